"""Optimal Eye Surgeon: masks learned at initialisation (arXiv 2406.05288)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.pruners.pruner import AtInitialisation, Prunable, Restorable

if TYPE_CHECKING:
    from torch import Tensor


TEMPERATURE = 0.2
KL_WEIGHT = 1e-9
"""Small beside the mean squared error and near Adam's eps: results depend on both."""


class Oes(AtInitialisation):
    """Keep the weights with the largest learned probability of being kept, theta_0 frozen.

    Minimises the error of f(z; m * theta_0) to the observation plus KL_WEIGHT times the divergence of the
    probabilities from the target density, over relaxed Bernoulli masks m (Gumbel softmax). No input jitter.
    """

    kind = "oes"
    nested = False
    options = ("search",)

    search: Annotated[int, Field(ge=1)] = 20
    """Steps of the search per step of the fit: 20 is the published 60,000 for fits of 3,000 steps, 2 the 80,000 that
    are published for the U-net with fits of 40,000 steps."""

    def scores(self, model: Prunable) -> Tensor:
        import torch
        from torch.func import functional_call

        assert isinstance(model, Restorable)
        net, draw = model.net, model.stream("oes", model.device)
        total = model.n_prunable
        density = self.n_kept(model) / total
        frozen = {name: parameter.detach() for name, parameter in net.named_parameters()}
        names = net.covered_names(model.fit.covers)
        buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
        logits = torch.zeros(total, device=model.device, requires_grad=True)
        adam = torch.optim.Adam([logits], lr=0.01)
        for _ in range(self.search * model.fit.schedule.steps):
            uniform = torch.empty_like(logits).uniform_(1e-6, 1 - 1e-6, generator=draw)
            soft = torch.sigmoid((logits + uniform.logit()) / TEMPERATURE)
            parts = soft.split([frozen[name].numel() for name in names])
            masked = {name: frozen[name] * part.view_as(frozen[name]) for name, part in zip(names, parts, strict=True)}
            output = functional_call(net, frozen | masked | buffers, (model.code,))
            loss = model.loss(output) + KL_WEIGHT * divergence(logits.sigmoid(), density)
            adam.zero_grad()
            loss.backward()
            adam.step()
        return logits.detach()


def divergence(keep_prob: Tensor, density: float) -> Tensor:
    """Sum KL(Bernoulli(keep_prob) || Bernoulli(density)) over weights, with 1e-6 inside the logarithms."""
    eps = 1e-6
    prune_prob = 1 - keep_prob
    return (
        keep_prob * ((keep_prob + eps).log() - (keep_prob.new_tensor(density) + eps).log())
        + prune_prob * ((prune_prob + eps).log() - (keep_prob.new_tensor(1 - density) + eps).log())
    ).sum()
