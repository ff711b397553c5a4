"""From the ledger to tables, figures and verdicts.

    frames = analysis.load("results", "existence")       tidy data frames
    exhibit = analysis.EXHIBITS["existence"](frames)     table, figure, claims with their verdicts

or `python -m analysis report existence` for all exhibits on one page. Needs neither torch nor ray, and importing it
loads nothing heavy: pandas and seaborn come with the first name that is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.exhibits import EXHIBITS, Absent, Exhibit
    from analysis.frames import Frames, load, recorded
    from analysis.stats import MATCHING_TOLERANCE_DB, Verdict

__all__ = ["EXHIBITS", "MATCHING_TOLERANCE_DB", "Absent", "Exhibit", "Frames", "Verdict", "load", "recorded"]

_HOMES = {
    **dict.fromkeys(("EXHIBITS", "Absent", "Exhibit"), "analysis.exhibits"),
    **dict.fromkeys(("Frames", "load", "recorded"), "analysis.frames"),
    **dict.fromkeys(("MATCHING_TOLERANCE_DB", "Verdict"), "analysis.stats"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
