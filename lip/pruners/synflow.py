"""SynFlow: pruning without data by conserving synaptic flow (arXiv 2006.05467)."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from lip.masks import Mask
from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable, Stored

ITERATIONS = 100


class Synflow(AtInitialisation):
    """Remove the weights of smallest |theta * dR/dtheta| in 100 small cuts.

    R, the synaptic flow, is the sum of the outputs for a code of ones when every weight and bias is replaced by its
    absolute value. The sigmoid is left out (it saturates, and every score would be 0), batch norm has its initial
    statistics, and everything is computed in float64, because scores span 26 orders of magnitude.
    """

    kind = "synflow"
    revision = 2

    def scores(self, model: Prunable) -> Tensor:
        return Flow(model).scores(Mask.dense(model.layers))

    def build(self, model: Prunable, stored: Stored) -> Mask:
        flow = Flow(model)
        mask = Mask.dense(model.layers)
        for n_kept in cut_sizes(mask.n_kept, self.n_kept(model)):
            scores = np.where(mask.bits, flow.scores(mask).numpy(), -1)  # what is pruned stays pruned
            mask = Mask.keep_largest(model.layers, scores, n_kept)
        return mask


def cut_sizes(total: int, n_kept: int) -> list[int]:
    """Count the weights kept after each cut, as published: the number removed is rounded down."""
    densities = ((n_kept / total) ** (t / ITERATIONS) for t in range(1, ITERATIONS))
    return [total - int((1 - density) * total) for density in densities] + [n_kept]


class Flow:
    """A copy of a model's network with absolute values for weights and biases, in float64 on the CPU."""

    def __init__(self, model: Prunable) -> None:
        import torch

        self.net = deepcopy(model.net).cpu().double().eval()
        for parameter in self.net.parameters():
            parameter.data.abs_()
        self.code = torch.ones(1, *model.input_shape, dtype=torch.float64)
        self.weights = [weight for _, weight in self.net.covered(model.fit.covers)]
        self.values = [weight.detach().clone() for weight in self.weights]

    def scores(self, mask: Mask) -> Tensor:
        """Return theta * dR/dtheta of every prunable weight under a mask, flat, in module order; 0 if pruned."""
        import torch

        parts = torch.tensor(mask.bits).split([layer.size for layer in mask.layers])
        for weight, value, part in zip(self.weights, self.values, parts, strict=True):
            weight.data = value * part.view_as(value)
        grads = torch.autograd.grad(self.net.logits(self.code).sum(), self.weights)
        return torch.cat([(w.detach() * grad).flatten() for w, grad in zip(self.weights, grads, strict=True)])
