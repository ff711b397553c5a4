"""Random pruning with the layer-wise ratios of another mask (Fig. 15 of the paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lip.errors import InputError, nearest
from lip.masks import Mask
from lip.specs.recipe import Link, Recipe
from lip.specs.target import Place

if TYPE_CHECKING:
    from lip.specs.fit import Fit
    from lip.training.model import Problem


class Shuffled(Recipe):
    """As many weights of every layer as another mask keeps, but which is drawn; nested where the other's rounds are."""

    kind = "shuffled"
    borrows = True
    options = ("counts_of",)

    of: Recipe

    @property
    def place(self) -> Place:
        return self.of.place

    @classmethod
    def at(cls, place: Place, link: Link, counts_of: str = "imp", **options: Any) -> Self:
        """Raises InputError when there is no pruner `counts_of`, or it is this one."""
        from lip.pruners import PRUNERS

        known = [name for name in PRUNERS if name != cls.kind]
        if counts_of not in known:
            raise InputError(f"counts_of: there are no counts of {counts_of!r}; {nearest(str(counts_of), known)}")
        return cls(of=PRUNERS[counts_of].at(place, link, **options))

    @property
    def source(self) -> Fit | None:
        return self.of.source

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        import torch

        draw = problem.stream("shuffled pruning")
        given = self.of.mask(problem, ticket)
        ranks = [torch.randperm(layer.size, generator=draw).numpy() for layer in given.layers]
        kept = [rank < count for rank, count in zip(ranks, given.kept_per_layer, strict=True)]
        return Mask(given.layers, np.concatenate(kept))
