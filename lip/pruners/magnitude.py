"""Magnitude at initialisation: IMP without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Magnitude(AtInitialisation):
    """Keep the weights with the largest |theta_0|, over all layers together."""

    kind = "magnitude"

    def scores(self, model: Prunable) -> Tensor:
        return model.theta.detach()[model.is_prunable].abs()
