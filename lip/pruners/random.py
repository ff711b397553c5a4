"""Random pruning, the paper's first baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lip.pruners.recipe import AtInitialisation

if TYPE_CHECKING:
    from torch import Tensor

    from lip.problem import Problem


class Random(AtInitialisation):
    """Weights drawn uniformly over all layers together; nested from round to round."""

    kind = "random"

    def scores(self, problem: Problem) -> Tensor:
        import torch

        total = sum(layer.size for layer in problem.layers)
        return torch.rand(total, generator=problem.stream("random pruning"), dtype=torch.float64)
