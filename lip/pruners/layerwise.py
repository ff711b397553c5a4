"""Random pruning at the same rate in every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.pruner import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.pruners.pruner import Prunable


class Layerwise(AtInitialisation):
    """Keep the same share of every layer, to the nearest weight; nested from round to round."""

    kind = "layerwise"

    def scores(self, model: Prunable) -> Tensor:
        import torch

        draw = model.stream("layerwise pruning")
        # A weight's rank within its layer, as a share of the layer: the same cut takes the same share of each.
        return torch.cat(
            [
                -(torch.randperm(layer.size, generator=draw, dtype=torch.float64) + 0.5) / layer.size
                for layer in model.layers
            ]
        )
