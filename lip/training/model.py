"""A fit on a device: the network at theta_0 and its data."""

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
    from lip.training.result import FinalState, TrainingResult, Watch


def stream(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """Return a random generator of its own for every (seed, name), so that no draw moves another."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "little"))


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Let PyTorch's global generator draw what a generator of the CPU would draw next."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(generator.get_state())
        yield


class Model(ABC):
    """Everything that a training needs except the mask: a network at theta_0, and its data.

    All parameters are views of one flat vector `theta`, their gradients of `grad`, so that masking, optimising and
    undoing a step are single operations. Of all parameters the network was built with, `is_prunable` (bool) marks those
    that a mask covers, `is_convolutional` the weights of convolutions, and `is_stored` those that theta still holds.
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
    def loss_at_init(self, name: str) -> Tensor:
        """Return the loss before training; everything random is drawn from the stream `name`."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of the smallest input that the network takes."""

    def set_network(self, net: Network) -> None:
        """Use a network, which is at theta_0, and flatten its parameters."""
        self.net = net.to(self.device).train()
        self.layers = tuple(Layer(name, tuple(p.shape)) for name, p in self.net.covered(self.fit.covers))
        self.is_prunable = self._marks(self.net.covered(self.fit.covers))
        self.is_convolutional = self._marks(self.net.prunable_parameters())
        self.n_prunable = sum(layer.size for layer in self.layers)
        self.is_stored = torch.ones_like(self.is_prunable)
        self.flatten()

    def flatten(self) -> None:
        """Make the present parameters of the network views of one vector."""
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
        """Return the fit's random generator of that name, at its start."""
        own = {"theta_0": self.fit.theta_seed, "z": self.fit.z_seed, "observation": self.fit.noise_seed}.get(name)
        return stream(self.fit.seed if own is None else own, name, device)

    @contextmanager
    def seeded(self, name: str) -> Iterator[None]:
        """Let PyTorch's global generator draw from a stream, on the CPU, so that every device gets the same."""
        with seeded(self.stream(name)):
            yield

    def gradient(self, name: str) -> Tensor:
        """Return the gradient of `loss_at_init` in the prunable weights, flat."""
        with self._initial_loss(name) as loss:
            return _flat(torch.autograd.grad(loss, self._covered))

    def curvature(self, name: str) -> Tensor:
        """Return the Hessian-gradient product H g of `loss_at_init` in the prunable weights, flat."""
        with self._initial_loss(name) as loss:
            gradient = torch.autograd.grad(loss, self._covered, create_graph=True)
            along = torch.stack([(g * g.detach()).sum() for g in gradient]).sum()
            return _flat(torch.autograd.grad(along, self._covered))

    @property
    def _covered(self) -> list[Tensor]:
        return [weight for _, weight in self.net.covered(self.fit.covers)]

    @contextmanager
    def _initial_loss(self, name: str) -> Iterator[Tensor]:
        buffers = {key: value.clone() for key, value in self.net.named_buffers()}
        yield self.loss_at_init(name)
        self.net.load_state_dict(buffers, strict=False)  # the pass changed batch norm's running statistics

    def expand_mask(self, mask: Mask) -> Tensor:
        """Expand a mask to all of theta, as ones and zeros; parameters that it does not cover are kept."""
        if mask.layers != self.layers:
            raise ValueError(f"a mask of {len(mask.layers)} layers for another network does not fit this one")
        mask_vector = torch.ones_like(self.theta.data)
        mask_vector[self.is_prunable] = torch.tensor(mask.bits).to(mask_vector)
        return mask_vector

    def prune(self, mask: Mask) -> Tensor:
        """Set pruned weights to zero, and return the mask over theta, as ones and zeros.

        Raises ValueError when the mask is for another network.
        """
        mask_vector = self.expand_mask(mask)
        self.theta.data.mul_(mask_vector)
        return mask_vector

    def full_parameters(self) -> Tensor:
        """Copy all parameters the network was built with, flat; those that theta no longer holds are zero."""
        parameters = torch.zeros_like(self.is_stored, dtype=self.theta.dtype)
        parameters[self.is_stored] = self.theta.detach()
        return parameters

    def final_state(self) -> FinalState:
        """Return the trained network's fields of a `TrainingResult`."""
        return {
            "weights": self.weights(),
            "final_weights": self.full_parameters()[self.is_prunable].cpu().numpy(),
            "parameters": self.is_stored.numel(),
            "device": self.device,
        }

    def weights(self) -> dict[str, Tensor]:
        """Copy the present parameters and buffers to the CPU, by name."""
        return {name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()}

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Replace parameters and buffers in place. Raises RuntimeError when names or shapes differ."""
        self.net.load_state_dict(weights)


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
