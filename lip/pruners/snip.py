"""SNIP: single-shot pruning by connection sensitivity (arXiv 1810.02340)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Snip(AtInitialisation):
    """Keep the weights with the largest |theta_0 * dL/dtheta|; L is the fit's own loss at theta_0."""

    kind = "snip"

    def scores(self, model: Prunable) -> Tensor:
        return (model.theta.detach()[model.is_prunable] * model.gradient("snip")).abs()
