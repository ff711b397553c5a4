"""A mask as a recipe: where it stands on the way to high sparsity, and which fit it is cut from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

from lip.specs.spec import Spec
from lip.specs.target import Place

Link = Callable[[Place], Any]
"""Gives the fit of an IMP trajectory whose ticket is the mask at a place."""


class Recipe(Spec):
    """Describe how a mask comes about. Those that prune build it (`lip.pruners.pruner`)."""

    borrows: ClassVar[bool] = False
    """Whether it may be made from the tickets of an IMP trajectory on another image or task."""

    chained: ClassVar[bool] = False
    """Whether a fit with this mask is a link of an IMP chain: the next mask is cut from its weights."""

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
        """Count the rounds of 20 % that have been removed; None at a level between two rounds."""
        place = self.place
        return place if isinstance(place, int) else None

    def __str__(self) -> str:
        """Its place in words."""
        place = self.place
        return f"round {place}" if isinstance(place, int) else str(place)

    @classmethod
    @abstractmethod
    def at(cls, place: Place, link: Link, **options: Any) -> Self:
        """Return the recipe at a place."""

    @property
    def source(self) -> Spec | None:
        """The fit whose trained weights this mask is cut from, if any."""
        return None


class Dense(Recipe):
    """Keep every weight: round 0 of every trajectory."""

    kind = "dense"
    chained = True

    @property
    def place(self) -> Place:
        return 0

    @classmethod
    def at(cls, place: Place, link: Link, **options: Any) -> Self:
        return cls()
