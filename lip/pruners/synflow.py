"""SynFlow: pruning without data by conserving synaptic flow (arXiv 2006.05467)."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from lip.masks import Mask
from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable

ITERATIONS = 100


class Synflow(AtInitialisation):
    """Removes the weights of smallest |theta * dR/dtheta| in 100 small cuts, R being the flow through the network.

    R is the sum of the outputs for a code of ones when every weight and bias is replaced by its absolute value. The
    sigmoid is left out (it saturates, and every score would be 0), batch norm stands at its initial statistics, and
    all is float64, for scores span 26 orders of magnitude.
    """

    kind = "synflow"
    revision = 2

    def scores(self, model: Prunable) -> Tensor:
        return Flow(model).scores(Mask.dense(model.layers))

    def build(self, model: Prunable, ticket: Mask | None) -> Mask:
        flow = Flow(model)
        mask = Mask.dense(model.layers)
        for kept in cuts(mask.kept, self.kept(model)):
            scores = np.where(mask.bits, flow.scores(mask).numpy(), -1)  # what is pruned stays pruned
            mask = Mask.keep_largest(model.layers, scores, kept)
        return mask


def cuts(total: int, kept: int) -> list[int]:
    """Count the weights kept after each cut, as published: of what a cut removes, a part of a weight stays."""
    densities = ((kept / total) ** (t / ITERATIONS) for t in range(1, ITERATIONS))
    return [total - int((1 - density) * total) for density in densities] + [kept]


class Flow:
    """A model's network at theta_0 with every weight and bias replaced by its absolute value, float64 on the CPU."""

    def __init__(self, model: Prunable) -> None:
        import torch

        self.net = deepcopy(model.net).cpu().double().eval()
        for parameter in self.net.parameters():
            parameter.data.abs_()
        self.code = torch.ones(1, *model.input_shape, dtype=torch.float64)
        self.weights = [weight for _, weight in self.net.covered(model.fit.covers)]
        self.values = [weight.detach().clone() for weight in self.weights]

    def scores(self, mask: Mask) -> Tensor:
        """theta * dR/dtheta of every prunable weight under a mask, flat, in module order; pruned weights score 0."""
        import torch

        kept = torch.tensor(mask.bits).split([layer.size for layer in mask.layers])
        for weight, value, part in zip(self.weights, self.values, kept, strict=True):
            weight.data = value * part.view_as(value)
        slopes = torch.autograd.grad(self.net.logits(self.code).sum(), self.weights)
        return torch.cat([(w.detach() * slope).flatten() for w, slope in zip(self.weights, slopes, strict=True)])
