"""One-shot magnitude pruning: to the target in one cut of the trained dense network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from lip.masks import Mask
from lip.pruners.pruner import Prunable, Stored, ToTarget
from lip.specs.fit import Fit
from lip.specs.recipe import FitBefore
from lip.specs.target import Target

if TYPE_CHECKING:
    from torch import Tensor


class OneShot(ToTarget):
    """Prune the trained dense network's weights of smallest magnitude, over all layers together, in one cut."""

    kind = "one_shot"

    trained: Fit
    """The dense fit, which saves its trained weights."""

    @classmethod
    def for_target(cls, target: Target, fit_before: FitBefore, **options: Any) -> Self:
        return cls(target=target, trained=fit_before(1).replace(next_target=None).rewound(100))

    @property
    def source_fit(self) -> Fit:
        return self.trained

    def build(self, model: Prunable, stored: Stored) -> Mask:
        assert isinstance(stored, Mapping), "its source fit saves its weights"
        return Mask.keep_largest(model.layers, covered(model, stored).abs().numpy(), self.n_kept(model))


def covered(model: Prunable, weights: Mapping[str, Tensor]) -> Tensor:
    """Return the values of the prunable weights, flat, in module order, from weights by name."""
    import torch

    return torch.cat([weights[name].flatten() for name in model.net.covered_names(model.fit.covers)])
