"""The recipe of a mask: its target sparsity, and the fit that it is cut from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lip.specs.spec import Spec
from lip.specs.target import Target

FitBefore = Callable[[Target], Any]
"""Return the fit of an IMP trajectory from which the mask of a target is cut."""


class Recipe(Spec):
    """Describe how a mask is made. Recipes that prune build it (`lip.pruners.pruner`)."""

    can_transfer: ClassVar[bool] = False
    """Whether it may use the masks of an IMP trajectory on another image or task."""

    chained: ClassVar[bool] = False
    """Whether the next mask of IMP is cut from a fit with this mask."""

    nested: ClassVar[bool] = True
    """Whether a weight pruned in one round stays pruned in the next."""

    options: ClassVar[tuple[str, ...]] = ()
    """Keywords of `for_target` that a sweep file may set, as keys of their own."""

    released_flags: ClassVar[tuple[str, ...]] = ()
    """Keywords of `for_target` that reproduce the released code (`lip.specs.released`)."""

    if TYPE_CHECKING:

        @property
        def target(self) -> Target:
            """Return the target sparsity."""

    @property
    def round(self) -> int | None:
        """Count the rounds of 20 % that have been removed; None at a level between two rounds."""
        target = self.target
        return target if isinstance(target, int) else None

    def __str__(self) -> str:
        """Name its target."""
        target = self.target
        return f"round {target}" if isinstance(target, int) else str(target)

    @classmethod
    @abstractmethod
    def for_target(cls, target: Target, fit_before: FitBefore, **options: Any) -> Self:
        """Return the recipe for a target."""

    @property
    def source_fit(self) -> Spec | None:
        """Return the fit whose trained weights this mask is cut from, if any."""
        return None


class Dense(Recipe):
    """Keep every weight: round 0 of every trajectory."""

    kind = "dense"
    chained = True

    @property
    def target(self) -> Target:
        return 0

    @classmethod
    def for_target(cls, target: Target, fit_before: FitBefore, **options: Any) -> Self:
        return cls()
