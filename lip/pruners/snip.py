"""SNIP: single-shot pruning by connection sensitivity (arXiv 1810.02340)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from lip.masks import Mask, kept_after
from lip.pruners.recipe import Recipe

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.problem import Problem


class Snip(Recipe):
    """The weights with the largest |theta_0 * dL/dtheta|, L being the fit's own loss at initialisation."""

    kind = "snip"

    rounds: Annotated[int, Field(ge=1)]

    @property
    def round(self) -> int:
        return self.rounds

    @classmethod
    def after(cls, fit: Fit) -> Self:
        return cls(rounds=fit.mask.round + 1)

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        sensitivity = (problem.theta.detach() * problem.gradient("snip"))[problem.prunable].abs()
        total = sensitivity.numel()
        return Mask.keep_largest(problem.layers, sensitivity.cpu().numpy(), kept_after(total, self.rounds))
