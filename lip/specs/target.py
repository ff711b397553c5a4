"""Target sparsities that fall between two rounds."""

from __future__ import annotations

from math import floor
from typing import Annotated, Self

from pydantic import Field, model_validator

from lip.specs.spec import Spec


class Level(Spec):
    """A target for a ticket: a sparsity, or a size to match that of another network. One of the two is given."""

    sparsity: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fraction of the prunable weights that is pruned."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """All parameters that are kept, those that no mask covers included."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.sparsity is None) == (self.parameters is None):
            raise ValueError("a level is a sparsity or a number of parameters")
        return self

    def kept(self, total: int, parameters: int) -> int:
        """Prunable weights kept, of `total` in a network of so many parameters; a part of a weight is not kept."""
        if self.parameters is not None:
            return self.parameters - (parameters - total)
        assert self.sparsity is not None
        return floor((1 - self.sparsity) * total + 1e-6)  # 1 - 0.9 is a little less than a tenth

    def __str__(self) -> str:
        return f"level {self.sparsity:g}" if self.sparsity else f"{self.parameters:,} parameters"


Place = int | Level
"""Where on the way to high sparsity a mask stands: after so many rounds, or at a level."""
