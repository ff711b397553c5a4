"""No pruning: round 0 of every trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from lip.masks import Mask
from lip.specs.recipe import Link, Recipe
from lip.specs.target import Place

if TYPE_CHECKING:
    from lip.training.model import Problem


class Dense(Recipe):
    """Every weight is kept."""

    kind = "dense"

    @property
    def place(self) -> Place:
        return 0

    @classmethod
    def at(cls, place: Place, link: Link, **options: Any) -> Self:
        return cls()

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        return Mask.dense(problem.layers)
