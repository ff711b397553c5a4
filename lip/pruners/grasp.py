"""GraSP: keeping the gradient flow after pruning (arXiv 2002.07376)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Grasp(AtInitialisation):
    """Removes the weights with the largest -theta_0 * (H g), H and g being Hessian and gradient of the fit's own loss.

    As published, both are taken over the weights that the mask covers; biases and batch norm count as constants. One
    batch, and no temperature: that is for a cross-entropy.
    """

    kind = "grasp"
    revision = 2

    def scores(self, model: Prunable) -> Tensor:
        return model.theta.detach()[model.prunable] * model.curvature("grasp")
