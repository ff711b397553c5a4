"""Iterative magnitude pruning, Algorithm 1 of the paper."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from lip.masks import Mask, first_convolutions
from lip.pruners.pruner import Prunable, Pruner
from lip.specs.fit import Fit
from lip.specs.recipe import Link
from lip.specs.target import Place


class Imp(Pruner):
    """The source fit's mask less the weights that ended training smallest, over all layers together.

    20 % of them go in a round; at a level between two rounds, what is left to go.
    """

    kind = "imp"
    borrows = True
    chained = True
    defects = ("unmasked_first",)

    trained: Fit
    """The fit of the round before; on another image or task, this mask is a transferred ticket."""
    unmasked_first: bool = False
    """As the released code has it: the two convolutions that see the code z are never masked."""

    @property
    def place(self) -> Place:
        if self.trained.cut:
            return self.trained.cut
        before = self.trained.mask.round
        assert before is not None, "only rounds are links of a chain"
        return before + 1

    @classmethod
    def at(cls, place: Place, link: Link, **options: Any) -> Self:
        return cls(trained=link(place), **options)

    @property
    def source(self) -> Fit:
        return self.trained

    def build(self, model: Prunable, ticket: Mask | None) -> Mask:
        assert ticket is not None, "IMP is handed its source's ticket"
        ticket = ticket.onto(model.layers)
        return ticket.unmasked_first() if self.unmasked_first else ticket


def stale(mask: Mask, trained: np.ndarray, before_last: np.ndarray) -> np.ndarray:
    """Return the weights, flat, that the released code ranks: those before the last update.

    It takes them from the last forward pass of what it masks, so not of the two convolutions that it never does.
    """
    return np.where(first_convolutions(mask.layers), trained, before_last)


def cut(mask: Mask, trained: np.ndarray, kept: int) -> Mask:
    """The next mask: of the kept weights, the `kept` that ended training largest in magnitude.

    `trained` holds the trained values of all prunable weights, flat, in the mask's order.
    """
    magnitudes = np.where(mask.bits, np.abs(trained), -1.0)
    return Mask.keep_largest(mask.layers, magnitudes, kept)
