"""A fit made concrete: the network at theta_0 and what it is fitted to, on one device."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lip.masks import Layer, Mask
from lip.specs.fit import Fit

if TYPE_CHECKING:
    from lip.networks.encoder_decoder import Network
    from lip.training.result import Left, TrainingResult, Watch


def stream(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """A generator of its own for every (seed, name): changing what one draws never moves another."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "little"))


class Model(ABC):
    """Everything a training needs but the mask: a network at theta_0, and what it is fitted to.

    All parameters are views of one flat vector `theta`, their gradients of `slope`, so that masking, optimising and
    undoing a step are single operations. Of all parameters the network was built with, `prunable` (bool) marks what a
    mask covers, `convolutional` the weights of convolutions, and `there` what theta still holds.
    """

    def __init__(self, fit: Fit, device: str) -> None:
        self.fit = fit
        self.device = device

    @abstractmethod
    def train(
        self, mask: Mask, start: Mapping[str, Tensor] | None = None, watch: Watch | None = None, backend: str = "dense"
    ) -> TrainingResult:
        """Fit the masked network from theta_0, or from the weights `start`, for the whole schedule."""

    @abstractmethod
    def probe(self, name: str) -> Tensor:
        """The loss at the present weights, what is random in it drawn from the stream `name`."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the smallest input that shows how the network works."""

    def hold(self, net: Network) -> None:
        """Take a network at theta_0."""
        self.net = net.to(self.device).train()
        self.layers = tuple(Layer(name, tuple(p.shape)) for name, p in self.net.covered(self.fit.covers))
        self.prunable = self._marks(self.net.covered(self.fit.covers))
        self.convolutional = self._marks(self.net.prunable())
        self.prunable_count = sum(layer.size for layer in self.layers)
        self.there = torch.ones_like(self.prunable)
        self.flatten()

    def flatten(self) -> None:
        """Let the parameters that the network now has be views of one vector."""
        parameters = list(self.net.parameters())
        self.theta = torch.cat([p.detach().flatten() for p in parameters]).requires_grad_()
        self.theta.grad = self.grad = torch.zeros_like(self.theta)
        start = 0
        for p in parameters:
            part = slice(start, start := start + p.numel())
            p.data = self.theta.data[part].view_as(p)
            p.grad = self.grad[part].view_as(p)

    def _marks(self, named: Iterable[tuple[str, Tensor]]) -> Tensor:
        covered = {id(p) for _, p in named}
        return torch.cat([torch.full((p.numel(),), id(p) in covered) for p in self.net.parameters()]).to(self.device)

    def stream(self, name: str, device: str = "cpu") -> torch.Generator:
        """The fit's generator of that name, at its start."""
        own = {"theta_0": self.fit.theta_seed, "z": self.fit.z_seed, "observation": self.fit.noise_seed}.get(name)
        return stream(self.fit.seed if own is None else own, name, device)

    @contextmanager
    def drawing(self, name: str) -> Iterator[None]:
        """Whatever draws from PyTorch's global generator draws from that stream; on the CPU, the same everywhere."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.set_state(self.stream(name).get_state())
            yield

    def gradient(self, name: str) -> Tensor:
        """The gradient g of the loss in the prunable weights, flat; at the present weights, as `probe` draws it."""
        with self._probe(name) as loss:
            return _flat(torch.autograd.grad(loss, self._covered))

    def curvature(self, name: str) -> Tensor:
        """The product H g of the loss's Hessian with its gradient, both in the prunable weights; as `gradient`."""
        with self._probe(name) as loss:
            gradient = torch.autograd.grad(loss, self._covered, create_graph=True)
            along = torch.stack([(g * g.detach()).sum() for g in gradient]).sum()
            return _flat(torch.autograd.grad(along, self._covered))

    @property
    def _covered(self) -> list[Tensor]:
        return [weight for _, weight in self.net.covered(self.fit.covers)]

    @contextmanager
    def _probe(self, name: str) -> Iterator[Tensor]:
        buffers = {key: value.clone() for key, value in self.net.named_buffers()}
        yield self.probe(name)
        self.net.load_state_dict(buffers, strict=False)  # the pass moved batch norm's running statistics

    def spread(self, mask: Mask) -> Tensor:
        """A mask over all of theta, as ones and zeros: what it does not cover is kept."""
        if mask.layers != self.layers:
            raise ValueError(f"a mask of {len(mask.layers)} layers cut for another network does not fit this one")
        kept = torch.ones_like(self.theta.data)
        kept[self.prunable] = torch.tensor(mask.bits).to(kept)
        return kept

    def prune(self, mask: Mask) -> Tensor:
        """Set what a mask prunes to zero; returns the mask over theta, as ones and zeros.

        Raises ValueError when the mask was cut for another network.
        """
        kept = self.spread(mask)
        self.theta.data.mul_(kept)
        return kept

    def whole(self) -> Tensor:
        """A copy of all parameters the network was built with, flat; what theta no longer holds is zero."""
        whole = torch.zeros_like(self.there, dtype=self.theta.dtype)
        whole[self.there] = self.theta.detach()
        return whole

    def left(self) -> Left:
        """Return what the ledger keeps of the trained network."""
        return {
            "weights": self.weights(),
            "prunable": self.whole()[self.prunable].cpu().numpy(),
            "parameters": self.there.numel(),
            "device": self.device,
        }

    def weights(self) -> dict[str, Tensor]:
        """The present parameters and buffers by name, as copies on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()}

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Replace parameters and buffers, in place. Raises RuntimeError when names or shapes differ."""
        self.net.load_state_dict(weights)


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
