"""No pruning: round 0 of every trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from lip.masks import Mask
from lip.pruners.recipe import Recipe

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.problem import Problem


class Dense(Recipe):
    """Every weight is kept."""

    kind = "dense"

    @property
    def round(self) -> int:
        return 0

    @classmethod
    def after(cls, fit: Fit) -> Self:
        return cls()

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        return Mask.dense(problem.layers)
