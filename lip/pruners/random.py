"""Random pruning, the paper's first baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lip.masks import PRUNED_PER_ROUND, Mask
from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Random(AtInitialisation):
    """Weights drawn uniformly over all layers together; nested from round to round."""

    kind = "random"
    defects = ("random_double", "unmasked_first")

    random_double: bool = False
    """As the released code has it: every layer is listed twice and its two masks are multiplied."""
    unmasked_first: bool = False
    """As the released code has it: the two convolutions that see the code z are never masked."""

    def scores(self, model: Prunable) -> Tensor:
        import torch

        total = sum(layer.size for layer in model.layers)
        return torch.rand(total, generator=model.stream("random pruning"), dtype=torch.float64)

    def build(self, model: Prunable, ticket: Mask | None) -> Mask:
        if self.random_double or self.unmasked_first:
            return self._as_released(model)
        return super().build(model, ticket)

    def _as_released(self, model: Prunable) -> Mask:
        import torch

        draw = model.stream("random pruning")
        mask = Mask.dense(model.layers)
        for _ in range(self.rounds or 0):
            listed = np.tile(np.flatnonzero(mask.bits), 2 if self.random_double else 1)
            drawn = torch.randperm(listed.size, generator=draw).numpy()[: round(PRUNED_PER_ROUND * listed.size)]
            bits = mask.bits.copy()
            bits[listed[drawn]] = False
            mask = Mask(mask.layers, bits)
            if self.unmasked_first:
                mask = mask.unmasked_first()
        return mask
