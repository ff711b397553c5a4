"""Random pruning, the paper's first baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from lip.masks import Mask, kept_after
from lip.pruners.recipe import Recipe

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.problem import Problem


class Random(Recipe):
    """Weights drawn uniformly over all layers together, exactly as many as IMP keeps; nested from round to round."""

    kind = "random"

    rounds: Annotated[int, Field(ge=1)]

    @property
    def round(self) -> int:
        return self.rounds

    @classmethod
    def after(cls, fit: Fit) -> Self:
        return cls(rounds=fit.mask.round + 1)

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        import torch

        total = sum(layer.size for layer in problem.layers)
        scores = torch.rand(total, generator=problem.stream("random pruning"), dtype=torch.float64)
        return Mask.keep_largest(problem.layers, scores.numpy(), kept_after(total, self.rounds))
