"""SynFlow: pruning without data by conserving synaptic flow (arXiv 2006.05467)."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from lip.masks import Mask, kept_after
from lip.pruners.recipe import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.problem import Problem

ITERATIONS = 100


class Synflow(AtInitialisation):
    """Removes the weights of smallest |theta * dR/dtheta| in 100 small cuts, R being the flow through the network.

    R is the sum of the outputs for a code of ones when every weight and bias is replaced by its absolute value. The
    sigmoid is left out (it saturates, and every score would be 0), batch norm stands at its initial statistics, and
    all is float64, for scores span 26 orders of magnitude.
    """

    kind = "synflow"

    def scores(self, problem: Problem) -> Tensor:
        return flow(problem, Mask.dense(problem.layers))

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        mask = Mask.dense(problem.layers)
        total, kept = mask.kept, kept_after(mask.kept, self.rounds)
        for t in range(1, ITERATIONS + 1):
            scores = flow(problem, mask)
            scores[~scores.new_tensor(mask.bits).bool()] = -1  # what is pruned stays pruned
            mask = Mask.keep_largest(problem.layers, scores.numpy(), round(total * (kept / total) ** (t / ITERATIONS)))
        return mask


def flow(problem: Problem, mask: Mask) -> Tensor:
    """The score of every prunable weight, flat, in module order, float64 on the CPU; pruned weights score 0."""
    import torch

    net = deepcopy(problem.net).cpu().double().eval()
    kept = torch.tensor(mask.bits).split([layer.size for layer in mask.layers])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
        for (_, weight), part in zip(net.prunable(), kept, strict=True):
            weight.mul_(part.view_as(weight))
    side = problem.fit.prior.smallest
    code = torch.ones_like(problem.fit.prior.code(side, side), dtype=torch.float64)
    weights = [weight for _, weight in net.prunable()]
    slopes = torch.autograd.grad(net.logits(code).sum(), weights)
    return torch.cat([(w.detach() * slope).flatten() for w, slope in zip(weights, slopes, strict=True)])
