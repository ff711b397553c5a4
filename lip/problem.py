"""A fit made concrete: the network at theta_0, the code z and the degraded observation, on one device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from lip.fit import Fit
from lip.masks import Layer, Mask


def stream(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """A generator of its own for every (seed, name): changing what one draws never moves another."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "little"))


class Problem:
    """Everything a training needs but the mask. `images` maps hashes to pixels, uint8 (height, width, channels).

    All parameters are views of one flat vector `theta`, their gradients of `slope`, so that masking, optimising and
    undoing a step are single operations. Of all parameters the network was built with, `prunable` (bool) marks what a
    mask covers, `convolutional` the weights of convolutions, and `there` what theta still holds.
    """

    def __init__(self, fit: Fit, images: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        self.fit = fit
        self.device = device
        cleans, others = (
            [fit.task.frame(_tensor(images[picture.pixels])) for picture in group]
            for group in (fit.pictures, fit.task.pictures)
        )
        noise = self.stream("observation")  # drawn on from image to image: each has noise of its own
        self.clean = torch.cat(cleans).to(device)
        self.observation = torch.cat([fit.task.observe(clean, noise, *others) for clean in cleans]).to(device)
        count, channels, height, width = self.clean.shape
        with torch.random.fork_rng(devices=[]):  # drawn on the CPU, so that every device starts from the same point
            torch.default_generator.set_state(self.stream("theta_0").get_state())
            self.net = fit.prior.build(channels)
            torch.default_generator.set_state(self.stream("z").get_state())
            codes = [fit.prior.code(height, width) for _ in range(count if fit.codes == "per_image" else 1)]
            self.code = torch.cat(codes).to(device)
        self.net.to(device).train()
        self.layers = tuple(Layer(name, tuple(p.shape)) for name, p in self.net.covered(fit.covers))
        self.prunable = self._marks(self.net.covered(fit.covers))
        self.convolutional = self._marks(self.net.prunable())
        self.prunable_count = sum(layer.size for layer in self.layers)
        self.there = torch.ones_like(self.prunable)
        self._flatten()

    def _flatten(self) -> None:
        parameters = list(self.net.parameters())
        self.theta = torch.cat([p.detach().flatten() for p in parameters]).requires_grad_()
        self.theta.grad = self.slope = torch.zeros_like(self.theta)
        start = 0
        for p in parameters:
            part = slice(start, start := start + p.numel())
            p.data = self.theta.data[part].view_as(p)
            p.grad = self.slope[part].view_as(p)

    def _marks(self, named: Iterable[tuple[str, Tensor]]) -> Tensor:
        covered = {id(p) for _, p in named}
        return torch.cat([torch.full((p.numel(),), id(p) in covered) for p in self.net.parameters()]).to(self.device)

    def stream(self, name: str, device: str = "cpu") -> torch.Generator:
        """The fit's generator of that name, at its start."""
        own = {"theta_0": self.fit.theta_seed, "z": self.fit.z_seed, "observation": self.fit.noise_seed}.get(name)
        return stream(self.fit.seed if own is None else own, name, device)

    def jittered(self, generator: torch.Generator) -> Tensor:
        """The code z with one draw of the schedule's input noise."""
        noise = torch.empty_like(self.code).normal_(0, self.fit.schedule.jitter, generator=generator)
        return noise.add_(self.code)

    def loss(self, output: Tensor) -> Tensor:
        """The task's loss, summed over the images if there are several (Alg. 2)."""
        return self.fit.task.loss(output, self.observation) * len(self.clean)

    def gradient(self, name: str) -> Tensor:
        """The flat gradient g of the loss at the present weights, with one jitter drawn from the stream `name`."""
        with self._probe(name) as (loss, parameters):
            return _flat(torch.autograd.grad(loss, parameters))

    def curvature(self, name: str) -> Tensor:
        """The flat product H g of the loss's Hessian with its gradient; as `gradient` otherwise."""
        with self._probe(name) as (loss, parameters):
            gradient = torch.autograd.grad(loss, parameters, create_graph=True)
            along = torch.stack([(g * g.detach()).sum() for g in gradient]).sum()
            return _flat(torch.autograd.grad(along, parameters))

    @contextmanager
    def _probe(self, name: str) -> Iterator[tuple[Tensor, list[Tensor]]]:
        buffers = {key: value.clone() for key, value in self.net.named_buffers()}
        yield self.loss(self.net(self.jittered(self.stream(name, self.device)))), list(self.net.parameters())
        self.net.load_state_dict(buffers, strict=False)  # the pass moved batch norm's running statistics

    def spread(self, mask: Mask) -> Tensor:
        """A mask over all of theta, as ones and zeros: what it does not cover is kept."""
        if mask.layers != self.layers:
            raise ValueError(f"a mask of {len(mask.layers)} layers cut for another network does not fit this one")
        kept = torch.ones_like(self.theta.data)
        kept[self.prunable] = torch.tensor(mask.bits).to(kept)
        return kept

    def prune(self, mask: Mask, sparse: bool) -> Tensor:
        """Set what a mask prunes to zero; returns the mask over theta, as ones and zeros.

        With `sparse`, layers that are faster for it hold their non-zeros only, and theta is shorter by the others.
        Raises ValueError when the mask was cut for another network.
        """
        kept = self.spread(mask)
        self.theta.data.mul_(kept)
        if sparse:
            from lip.fast.thin import thin

            self.there = thin(self.net, self.code, kept)
            self._flatten()
        return kept[self.there]

    def whole(self) -> Tensor:
        """A copy of all parameters the network was built with, flat; what theta no longer holds is zero."""
        whole = torch.zeros_like(self.there, dtype=self.theta.dtype)
        whole[self.there] = self.theta.detach()
        return whole

    def weights(self) -> dict[str, Tensor]:
        """The present parameters and buffers by name, as copies on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()}

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Replace parameters and buffers, in place. Raises RuntimeError when names or shapes differ."""
        self.net.load_state_dict(weights)


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
