"""Objectives: the column of a fit's row that a search makes large, or small.

The default is the PSNR of the output that ES-WMV chooses, `psnr_stop_ema`: it is chosen without the clean image, which
only measures it. The ledger has no measure of quality that needs no clean image at all: the training loss says
how well the degraded image is fitted, noise included. Of 75 settings at 32 pixels the one of least loss restored 1.6 to
5.6 dB worse than the best (six blocks; `tests/benchmarks/search.py`). So a task without a clean image has no default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from lip.errors import InputError, nearest
from lip.ledger.schema import SCORES
from lip.specs.fit import Fit
from lip.tasks.degradation import Degradation

_AGAINST_CLEAN = [f"{measure}_{output}" for measure in ("psnr", "ssim") for output in (*SCORES, "emv", "lowest_loss")]
_OF_GENERATORS = ["mse_last", "mse_peak"]
_OF_CLASSIFIERS = ["accuracy_last", "accuracy_peak"]
_SMALL = ("loss", *_OF_GENERATORS)
"""Objectives that are made small."""


@dataclass(frozen=True)
class Objective:
    """A column of the ledger."""

    column: str

    @property
    def is_oracle(self) -> bool:
        """Tell whether the clean image or the test pictures choose the output."""
        return "peak" in self.column

    @property
    def is_small(self) -> bool:
        """Tell whether less is better."""
        return self.column in _SMALL

    @property
    def unit(self) -> str:
        return " dB" if self.column.startswith("psnr") else ""

    @property
    def columns(self) -> list[str]:
        """List the columns that `score` reads."""
        return [self.column, "diverged"]

    def score(self, row: Mapping[str, Any]) -> float:
        """Return how good a fit is, more being better: minus infinity if it diverged or has no such result."""
        value = row[self.column]
        if value is None or not isfinite(value) or row["diverged"]:
            return -inf
        return -value if self.is_small else value

    def value(self, score: float) -> float:
        """Return the value of the column that a score stands for."""
        return -score if self.is_small else score

    def __str__(self) -> str:
        return f"{self.column}{' (an oracle)' if self.is_oracle else ''}{' (less is better)' if self.is_small else ''}"


def objective(name: str | None, fit: Fit) -> Objective:
    """Return the objective of a name, by default that of the fit's task. Raises InputError."""
    known = objectives(fit)
    if name is None:
        if known == ["loss"]:
            raise InputError(
                f"objective: {fit.task.kind} has no clean image to measure by; name objective: loss, which says how "
                "well the degraded image is fitted, or search on a task that has one"
            )
        return Objective(known[0])
    if name not in known:
        raise InputError(f"objective: {fit.task.kind} has no {name!r}; {nearest(name, known)}")
    return Objective(name)


def objectives(fit: Fit) -> list[str]:
    """List the objectives of a fit's task, the default first."""
    if isinstance(fit.task, Degradation):
        if not fit.task.has_clean_image:
            return ["loss"]
        measured = [name for name in _AGAINST_CLEAN if "_stop" in name or not fit.schedule.ends_early]
        generators = _OF_GENERATORS if fit.trainer == "recovery" else []
        return ["psnr_stop_ema", *(name for name in measured if name != "psnr_stop_ema"), *generators, "loss"]
    return [*_OF_CLASSIFIERS, "loss"] if fit.trainer == "classification" else ["loss"]
