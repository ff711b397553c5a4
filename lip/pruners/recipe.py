"""What a mask recipe is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from lip.masks import Mask
from lip.spec import Spec

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.problem import Problem


class Recipe(Spec):
    """How a mask comes about. Its `round` says how often 20 % of the remaining weights have been removed."""

    @property
    @abstractmethod
    def round(self) -> int: ...

    @classmethod
    @abstractmethod
    def after(cls, fit: Fit) -> Self:
        """The recipe of the round that follows a fit of the same trajectory."""

    @property
    def source(self) -> Fit | None:
        """The fit whose trained weights this mask is cut from, if any: its ticket is handed to `mask`."""
        return None

    @abstractmethod
    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        """The mask for a problem whose network stands at theta_0."""
