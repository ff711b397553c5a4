"""Random pruning with the layer-wise ratios of another mask (Fig. 15 of the paper)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from lip.masks import Mask
from lip.pruners.imp import Imp
from lip.pruners.pruner import Prunable, Pruner
from lip.specs.recipe import Link
from lip.specs.spec import Spec
from lip.specs.target import Place


class Shuffled(Pruner):
    """Keep as many weights of every layer as another mask, at random; nested where the other's rounds are."""

    kind = "shuffled"
    borrows = True
    options = ("counts_of",)

    of: Pruner

    @property
    def place(self) -> Place:
        return self.of.place

    @classmethod
    def at(cls, place: Place, link: Link, counts_of: type[Pruner] = Imp, **options: Any) -> Self:
        """Return the recipe at a place. `counts_of`: the pruner whose masks are shuffled; its own keys apply too."""
        return cls(of=counts_of.at(place, link, **options))

    @property
    def source(self) -> Spec | None:
        return self.of.source

    def build(self, model: Prunable, ticket: Mask | None) -> Mask:
        import torch

        draw = model.stream("shuffled pruning")
        given = self.of.build(model, ticket)
        ranks = [torch.randperm(layer.size, generator=draw).numpy() for layer in given.layers]
        kept = [rank < count for rank, count in zip(ranks, given.kept_per_layer, strict=True)]
        return Mask(given.layers, np.concatenate(kept))
