"""Target sparsities: a number of rounds, or a level between two rounds."""

from __future__ import annotations

from math import floor
from typing import Annotated, Self

from pydantic import Field, model_validator

from lip.specs.spec import Spec


class Level(Spec):
    """A target that falls between two rounds: a sparsity, or the size of another network."""

    sparsity: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fraction of the prunable weights that is pruned."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """All parameters that are kept, those that no mask covers included."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.sparsity is None) == (self.parameters is None):
            raise ValueError("a level is a sparsity or a number of parameters")
        return self

    def n_kept(self, prunable: int, total: int) -> int:
        """Count the weights to keep of `prunable` ones in a network of `total` parameters, rounded down."""
        if self.parameters is not None:
            return self.parameters - (total - prunable)
        assert self.sparsity is not None
        return floor((1 - self.sparsity) * prunable + 1e-6)  # 1 - 0.9 is a little less than a tenth

    def __str__(self) -> str:
        return f"level {self.sparsity:g}" if self.sparsity else f"{self.parameters:,} parameters"


Target = int | Level
"""A number of rounds of 20 %, or a level."""
