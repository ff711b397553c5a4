"""What a mask recipe is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field

from lip.masks import Mask, kept_after
from lip.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from lip.fit import Fit
    from lip.problem import Problem


class Recipe(Spec):
    """How a mask comes about. Its `round` says how often 20 % of the remaining weights have been removed."""

    borrows: ClassVar[bool] = False
    """Whether it is made from the tickets of an IMP trajectory rather than of its own."""

    nested: ClassVar[bool] = True
    """Whether what one round prunes stays pruned in the next."""

    @property
    @abstractmethod
    def round(self) -> int: ...

    @classmethod
    @abstractmethod
    def after(cls, fit: Fit) -> Self:
        """The recipe of the round that follows a fit."""

    @property
    def source(self) -> Fit | None:
        """The fit whose trained weights this mask is cut from, if any: its ticket is handed to `mask`."""
        return None

    @abstractmethod
    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        """The mask for a problem whose network stands at theta_0."""


class AtInitialisation(Recipe):
    """Masks that need no training: the weights of highest score at theta_0, as many as IMP keeps after the rounds."""

    rounds: Annotated[int, Field(ge=1)]

    @property
    def round(self) -> int:
        return self.rounds

    @classmethod
    def after(cls, fit: Fit) -> Self:
        return cls(rounds=fit.mask.round + 1)

    @abstractmethod
    def scores(self, problem: Problem) -> Tensor:
        """One score per prunable weight, flat, in module order."""

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        scores = self.scores(problem)
        return Mask.keep_largest(problem.layers, scores.cpu().numpy(), kept_after(len(scores), self.rounds))
