"""GraSP: keeping the gradient flow after pruning (arXiv 2002.07376)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Grasp(AtInitialisation):
    """Remove the weights with the largest -theta_0 * (H g).

    H and g are Hessian and gradient of the fit's own loss, as published over the weights that the mask covers; biases
    and batch norm are constants. One batch, and no temperature, which belongs to a cross-entropy.
    """

    kind = "grasp"
    revision = 2

    def scores(self, model: Prunable) -> Tensor:
        return model.theta.detach()[model.is_prunable] * model.curvature("grasp")
