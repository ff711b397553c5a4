"""Iterative magnitude pruning, Algorithm 1 of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from lip.masks import Mask, kept_after
from lip.pruners.recipe import Recipe

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.problem import Problem


class Imp(Recipe):
    """The source fit's mask less the 20 % of its weights that ended training smallest, over all layers together."""

    kind = "imp"

    trained: Fit
    """The fit of the round before; on another image or task, this mask is a transferred ticket."""

    @property
    def round(self) -> int:
        return self.trained.mask.round + 1

    @classmethod
    def after(cls, fit: Fit) -> Self:
        return cls(trained=fit)

    @property
    def source(self) -> Fit:
        return self.trained

    def mask(self, problem: Problem, ticket: Mask | None) -> Mask:
        assert ticket is not None, "IMP is handed its source's ticket"
        return ticket


def cut(mask: Mask, trained: np.ndarray) -> Mask:
    """The next round's mask: of the kept weights, the 80 % that ended training largest in magnitude.

    `trained` holds the trained values of all prunable weights, flat, in the mask's order.
    """
    magnitudes = np.where(mask.bits, np.abs(trained), -1.0)
    return Mask.keep_largest(mask.layers, magnitudes, kept_after(mask.kept, 1))
