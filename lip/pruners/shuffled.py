"""Random pruning with the layer-wise ratios of IMP (Fig. 15 of the paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from lip.masks import Mask
from lip.pruners.recipe import Recipe

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.problem import Problem


class Shuffled(Recipe):
    """As many weights of every layer as another mask keeps, but which is drawn; nested where the other's rounds are."""

    kind = "shuffled"
    borrows = True

    of: Recipe

    @property
    def round(self) -> int:
        return self.of.round

    @classmethod
    def after(cls, fit: Fit) -> Self:
        from lip.pruners.imp import Imp

        return cls(of=Imp.after(fit))

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
