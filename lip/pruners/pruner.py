"""The base classes of pruners: recipes that build a mask for a network at theta_0."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self, TypeAlias, runtime_checkable

from pydantic import Field

from lip.masks import Layer, Mask, kept_after
from lip.specs.recipe import FitBefore, Recipe
from lip.specs.target import Level, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from lip.networks.encoder_decoder import Network
    from lip.specs.fit import Fit


Stored: TypeAlias = "Mask | Mapping[str, Tensor] | None"
"""The next mask of a fit, or its trained weights by name where it saves them."""


class Prunable(Protocol):
    """A fit before training, as a pruner sees it (`lip.training.model.Model`)."""

    fit: Fit
    device: str
    net: Network
    layers: tuple[Layer, ...]
    theta: Tensor
    is_prunable: Tensor
    n_prunable: int

    @property
    def input_shape(self) -> tuple[int, int, int]: ...

    def stream(self, name: str, device: str = "cpu") -> torch.Generator: ...

    def gradient(self, name: str) -> Tensor: ...

    def curvature(self, name: str) -> Tensor: ...


@runtime_checkable
class Restorable(Prunable, Protocol):
    """A restoration before training, as a pruner sees it that trains masks."""

    code: Tensor

    def loss(self, output: Tensor) -> Tensor: ...


class Pruner(Recipe):
    """Prune a network that is at theta_0."""

    @abstractmethod
    def build(self, model: Prunable, stored: Stored) -> Mask:
        """Build the mask; `stored` is what the recipe's source fit, if it has one, has left for it."""


class ToTarget(Pruner):
    """Keep as many weights as IMP keeps at the same target."""

    target: Annotated[int, Field(ge=1)] | Level

    def n_kept(self, model: Prunable) -> int:
        """Count the weights that the mask keeps."""
        target, total = self.target, model.n_prunable
        return kept_after(total, target) if isinstance(target, int) else target.n_kept(total, model.theta.numel())


class AtInitialisation(ToTarget):
    """Keep the weights of highest score at theta_0."""

    @classmethod
    def for_target(cls, target: Target, fit_before: FitBefore, **options: Any) -> Self:
        return cls(target=target, **options)

    @abstractmethod
    def scores(self, model: Prunable) -> Tensor:
        """Return one score per prunable weight, flat, in module order."""

    def build(self, model: Prunable, stored: Stored) -> Mask:
        return Mask.keep_largest(model.layers, self.scores(model).cpu().numpy(), self.n_kept(model))
