"""Random pruning, the paper's first baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lip.errors import InputError
from lip.masks import PRUNED_PER_ROUND, Mask
from lip.pruners.pruner import AtInitialisation
from lip.specs.recipe import FitBefore
from lip.specs.target import Target

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable, Stored


class Random(AtInitialisation):
    """Keep weights drawn uniformly over all layers together; masks are nested from round to round."""

    kind = "random"
    released_flags = ("random_double", "unmasked_first")

    random_double: bool = False
    """List every layer twice and multiply its two masks, as the released code does."""
    unmasked_first: bool = False
    """Never mask the two convolutions that see the code z, as the released code does."""

    @classmethod
    def for_target(cls, target: Target, fit_before: FitBefore, **options: Any) -> Self:
        if options and not isinstance(target, int):
            raise InputError("compat: the released code prunes at random in rounds of 20 %, not to levels; remove one")
        return super().for_target(target, fit_before, **options)

    def scores(self, model: Prunable) -> Tensor:
        import torch

        total = sum(layer.size for layer in model.layers)
        return torch.rand(total, generator=model.stream("random pruning"), dtype=torch.float64)

    def build(self, model: Prunable, stored: Stored) -> Mask:
        if self.random_double or self.unmasked_first:
            return self._as_released(model)
        return super().build(model, stored)

    def _as_released(self, model: Prunable) -> Mask:
        import torch

        draw = model.stream("random pruning")
        mask = Mask.dense(model.layers)
        for _ in range(self.round or 0):
            listed = np.tile(np.flatnonzero(mask.bits), 2 if self.random_double else 1)
            drawn = torch.randperm(listed.size, generator=draw).numpy()[: round(PRUNED_PER_ROUND * listed.size)]
            bits = mask.bits.copy()
            bits[listed[drawn]] = False
            mask = Mask(mask.layers, bits)
            if self.unmasked_first:
                mask = mask.unmasked_first()
        return mask
