"""Random pruning with the layer-wise ratios of another mask (Fig. 15 of the paper)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from lip.masks import Mask
from lip.pruners.imp import Imp
from lip.pruners.pruner import Prunable, Pruner, Stored
from lip.specs.recipe import FitBefore
from lip.specs.spec import Spec
from lip.specs.target import Target


class Shuffled(Pruner):
    """Keep as many weights of every layer as another mask, at random; nested if the other is."""

    kind = "shuffled"
    can_transfer = True
    options = ("counts_of",)

    template: Pruner
    """The recipe whose counts per layer are kept."""

    @property
    def target(self) -> Target:
        return self.template.target

    @classmethod
    def for_target(cls, target: Target, fit_before: FitBefore, counts_of: type[Pruner] = Imp, **options: Any) -> Self:
        """Return the recipe for a target. `counts_of`: the pruner whose masks are shuffled; its own keys apply too."""
        return cls(template=counts_of.for_target(target, fit_before, **options))

    @property
    def source_fit(self) -> Spec | None:
        return self.template.source_fit

    def build(self, model: Prunable, stored: Stored) -> Mask:
        import torch

        draw = model.stream("shuffled pruning")
        given = self.template.build(model, stored)
        ranks = [torch.randperm(layer.size, generator=draw).numpy() for layer in given.layers]
        bits = [rank < count for rank, count in zip(ranks, given.kept_per_layer, strict=True)]
        return Mask(given.layers, np.concatenate(bits))
