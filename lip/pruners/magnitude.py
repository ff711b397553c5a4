"""Magnitude at initialisation: what IMP would be if training told it nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Magnitude(AtInitialisation):
    """The weights with the largest |theta_0|, over all layers together."""

    kind = "magnitude"

    def scores(self, model: Prunable) -> Tensor:
        return model.theta.detach()[model.prunable].abs()
