"""Iterative magnitude pruning, Algorithm 1 of the paper."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from lip.masks import Mask, first_convolutions
from lip.pruners.pruner import Prunable, Pruner, Stored
from lip.specs.fit import Fit
from lip.specs.recipe import FitBefore
from lip.specs.target import Target


class Imp(Pruner):
    """Prune the weights of smallest magnitude after training, over all layers together.

    A round removes 20 % of the remaining weights; a level between two rounds, as many as it takes.
    """

    kind = "imp"
    can_transfer = True
    chained = True
    released_flags = ("unmasked_first",)

    trained: Fit
    """The fit of the round before. If it is on another image or task, the mask is transferred."""
    unmasked_first: bool = False
    """Never mask the two convolutions that see the code z, as the released code does."""

    @property
    def target(self) -> Target:
        if self.trained.next_target:
            return self.trained.next_target
        before = self.trained.recipe.round
        assert before is not None, "only rounds are links of a chain"
        return before + 1

    @classmethod
    def for_target(cls, target: Target, fit_before: FitBefore, **options: Any) -> Self:
        return cls(trained=fit_before(target), **options)

    @property
    def source_fit(self) -> Fit:
        return self.trained

    def build(self, model: Prunable, stored: Stored) -> Mask:
        assert isinstance(stored, Mask), "the mask was cut when its source fit ended"
        mask = stored.onto(model.layers)
        return mask.unmasked_first() if self.unmasked_first else mask


def stale_weights(mask: Mask, final_weights: np.ndarray, before_last: np.ndarray) -> np.ndarray:
    """Return the weights, flat, that the released code ranks: those before the last update.

    It takes them from the last forward pass of the layers that it masks, so not of the two convolutions that it never
    masks.
    """
    return np.where(first_convolutions(mask.layers), final_weights, before_last)


def prune_to(mask: Mask, final_weights: np.ndarray, n_kept: int) -> Mask:
    """Keep those `n_kept` of the mask's weights that ended training largest in magnitude.

    `final_weights` holds the trained values of all prunable weights, flat, in the mask's order.
    """
    magnitudes = np.where(mask.bits, np.abs(final_weights), -1.0)
    return Mask.keep_largest(mask.layers, magnitudes, n_kept)
