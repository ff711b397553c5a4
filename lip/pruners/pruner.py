"""The base classes of pruners: recipes that build a mask for a network at theta_0."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self, runtime_checkable

from pydantic import Field

from lip.masks import Layer, Mask, kept_after
from lip.specs.recipe import Link, Recipe
from lip.specs.target import Level, Place

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lip.networks.encoder_decoder import Network
    from lip.specs.fit import Fit


class Prunable(Protocol):
    """A fit that is about to be trained, as a pruner sees it (`lip.training.model.Model`)."""

    fit: Fit
    device: str
    net: Network
    layers: tuple[Layer, ...]
    theta: Tensor
    prunable: Tensor
    prunable_count: int

    @property
    def input_shape(self) -> tuple[int, int, int]: ...

    def stream(self, name: str, device: str = "cpu") -> torch.Generator: ...

    def gradient(self, name: str) -> Tensor: ...

    def curvature(self, name: str) -> Tensor: ...


@runtime_checkable
class Restorable(Prunable, Protocol):
    """A restoration, as a pruner that trains sees it."""

    code: Tensor

    def loss(self, output: Tensor) -> Tensor: ...


class Pruner(Recipe):
    """Prune a network that stands at theta_0."""

    @abstractmethod
    def build(self, model: Prunable, ticket: Mask | None) -> Mask:
        """Build the mask; `ticket` is that of the recipe's source, if it has one."""


class AtInitialisation(Pruner):
    """Keep the weights of highest score at theta_0, which needs no training: as many as IMP keeps at that place."""

    rounds: Annotated[int, Field(ge=1)] | None = None
    level: Level | None = None

    @property
    def place(self) -> Place:
        place = self.level or self.rounds
        assert place is not None
        return place

    @classmethod
    def at(cls, place: Place, link: Link, **options: Any) -> Self:
        return cls(rounds=place, **options) if isinstance(place, int) else cls(level=place, **options)

    def kept(self, model: Prunable) -> int:
        """Count the weights that the mask keeps."""
        total = model.prunable_count
        return self.level.kept(total, model.theta.numel()) if self.level else kept_after(total, self.rounds or 0)

    @abstractmethod
    def scores(self, model: Prunable) -> Tensor:
        """One score per prunable weight, flat, in module order."""

    def build(self, model: Prunable, ticket: Mask | None) -> Mask:
        return Mask.keep_largest(model.layers, self.scores(model).cpu().numpy(), self.kept(model))
