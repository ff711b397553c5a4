"""What a mask recipe is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from lip.masks import Mask, kept_after
from lip.specs.spec import Spec
from lip.specs.target import Level, Place

if TYPE_CHECKING:
    from torch import Tensor

    from lip.specs.fit import Fit
    from lip.training.model import Problem

Link = Callable[[Place], "Fit"]
"""The fit of an IMP trajectory whose ticket is the mask at a place."""


class Recipe(Spec):
    """How a mask comes about."""

    borrows: ClassVar[bool] = False
    """Whether it may be made from the tickets of an IMP trajectory on another image or task."""

    nested: ClassVar[bool] = True
    """Whether what one round prunes stays pruned in the next."""

    options: ClassVar[tuple[str, ...]] = ()
    """Keywords of `at` that a sweep file may set, as keys of their own."""

    defects: ClassVar[tuple[str, ...]] = ()
    """Keywords of `at` that reproduce what the released code does (`lip.specs.released`)."""

    @property
    @abstractmethod
    def place(self) -> Place: ...

    @property
    def round(self) -> int | None:
        """How often 20 % of the remaining weights have been removed; None at a level between two rounds."""
        place = self.place
        return place if isinstance(place, int) else None

    def __str__(self) -> str:
        """Its place in words."""
        place = self.place
        return f"round {place}" if isinstance(place, int) else str(place)

    @classmethod
    @abstractmethod
    def at(cls, place: Place, link: Link, **options: Any) -> Self:
        """The recipe at a place."""

    @property
    def source(self) -> Fit | None:
        """The fit whose trained weights this mask is cut from, if any: its ticket is handed to `mask`."""
        return None

    @abstractmethod
    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        """The mask for a problem whose network stands at theta_0."""


class AtInitialisation(Recipe):
    """Masks that need no training: the weights of highest score at theta_0, as many as IMP keeps at that place."""

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

    def kept(self, problem: Problem) -> int:
        """How many weights the mask keeps."""
        total = problem.prunable_count
        return self.level.kept(total, problem.theta.numel()) if self.level else kept_after(total, self.rounds or 0)

    @abstractmethod
    def scores(self, problem: Problem) -> Tensor:
        """One score per prunable weight, flat, in module order."""

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        return Mask.keep_largest(problem.layers, self.scores(problem).cpu().numpy(), self.kept(problem))
