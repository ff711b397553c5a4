"""Racing: a setting is compared on growing sets of blocks, and dropped once it is clearly worse than the best.

Blocks are photographs and seeds, so both settings meet the same ones, and a paired t-test judges the differences. The
rival is the best of the settings that were told when the setting was proposed, which has been fitted to all blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, sqrt

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Racing(BaseModel):
    """When settings are compared, and what is clearly worse."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    first: int = Field(default=3, ge=2)
    """Blocks after which a setting is compared for the first time."""
    growth: float = Field(default=2.0, gt=1)
    """Factor on the number of blocks from one comparison to the next."""
    level: float = Field(default=0.05, gt=0, lt=0.5)
    """Level of the one-sided test."""

    def stages(self, blocks: int) -> list[int]:
        """Return the numbers of blocks after which a setting is compared, the last being all."""
        stages: list[int] = []
        count = float(self.first)
        while count < blocks:
            stages.append(int(count))
            count = max(count * self.growth, count + 1)
        return [*stages, blocks]

    def is_worse(self, differences: Sequence[float]) -> bool:
        """Tell whether differences to the rival, paired by block, are clearly negative."""
        if not all(map(isfinite, differences)):  # a fit diverged: of the setting, or of its rival
            return min(differences) == -inf
        return upper(differences, self.level) < 0


def upper(differences: Sequence[float], level: float) -> float:
    """Return the end of the one-sided interval of a mean of differences."""
    from scipy.stats import t

    values = np.asarray(differences, dtype=np.float64)
    error = values.std(ddof=1) / sqrt(len(values))
    return float(values.mean() + t.ppf(1 - level, len(values) - 1) * error)


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the t-interval of a mean; without ends for fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    mean, high = float(np.mean(values)), upper(values, (1 - level) / 2)
    return 2 * mean - high, high
