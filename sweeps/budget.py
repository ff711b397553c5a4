"""Keep a run within its budget of hours or money."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Self

from lip.errors import InputError


@dataclass(frozen=True)
class Budget:
    """The limits of a run, if any. A fit that cannot end within them, by its estimate, is not begun."""

    hours: float = inf
    """Since the command began."""
    cost: float = inf
    price: float = 0.0
    """Of a CPU-hour, or of a GPU-hour where trials have GPUs."""
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, hours: float | None, max_cost: float | None, price: float | None) -> Self:
        """Return the budget that is asked for. Raises InputError."""
        for option, limit in (("--hours", hours), ("--max-cost", max_cost)):
            if limit is not None and not (isfinite(limit) and limit > 0):
                raise InputError(f"{option} {limit:g} is not a positive number; correct it")
        if max_cost is not None and not (price and isfinite(price)):
            raise InputError(f"--max-cost {max_cost:g} needs a price; give --price, that of a CPU-hour or GPU-hour")
        return cls(hours or inf, max_cost or inf, price or 0.0)

    def __bool__(self) -> bool:
        """Tell whether there is a limit."""
        return isfinite(self.hours) or isfinite(self.cost)

    def __str__(self) -> str:
        limits = [f"{self.hours:g} hours"] * isfinite(self.hours)
        return " and ".join(limits + [f"{self.cost:g} of cost"] * isfinite(self.cost))


class Meter:
    """Measures what a run has spent: its time, and the CPUs or GPUs that its trials hold all the while."""

    def __init__(self, budget: Budget, units: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to measure the cost; a trial holds so many `units`, GPUs or else CPUs."""
        self._budget = budget
        self._price_per_second = budget.price * units / 3600
        self._clock = clock
        self._read = clock()
        self.cost = 0.0
        """The cost so far."""

    def seconds_left(self, trials: int) -> float:
        """Return the seconds left if so many trials, as many as now, go on."""
        now = self._clock()
        self.cost += (now - self._read) * trials * self._price_per_second
        self._read = now
        by_time = 3600 * self._budget.hours - (now - self._budget.began)
        rate = max(1, trials) * self._price_per_second
        return min(by_time, (self._budget.cost - self.cost) / rate if rate else inf)

    @property
    def spent(self) -> str:
        """Say that the budget is spent."""
        return f"the budget of {self._budget} is spent"
