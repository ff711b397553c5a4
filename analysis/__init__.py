"""From the ledger to tables, figures and verdicts.

    frames = analysis.load("results", "existence")     frames.fits, frames.curves, frames.layers: tidy data frames
    exhibit = analysis.exhibits.existence(frames)      exhibit.frame, exhibit.figure, exhibit.verdict

or `python -m analysis report existence` for all exhibits on one page. `analysis.COLUMNS` documents every column,
`analysis.CLAIMS` lists the claims. Needs neither torch nor ray. Importing it loads nothing heavy: pandas and seaborn
are loaded with the first name that is used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis import exhibits
    from analysis.claims import MATCHING_TOLERANCE_DB, Claim
    from analysis.exhibits import CLAIMS, EXHIBITS, Exhibit, MissingExhibit
    from analysis.frames import COLUMNS, Frames, load, recorded
    from analysis.panels import plot
    from analysis.verdicts import Verdict, judge

__all__ = [
    "CLAIMS",
    "COLUMNS",
    "EXHIBITS",
    "MATCHING_TOLERANCE_DB",
    "SAMPLE",
    "Claim",
    "Exhibit",
    "Frames",
    "MissingExhibit",
    "Verdict",
    "exhibits",
    "judge",
    "load",
    "plot",
    "recorded",
]

SAMPLE = Path(__file__).parent / "sample"
"""The results folder of a small sweep of real fits, `sample`."""

_HOMES = {
    **dict.fromkeys(("CLAIMS", "EXHIBITS", "Exhibit", "MissingExhibit"), "analysis.exhibits"),
    **dict.fromkeys(("COLUMNS", "Frames", "load", "recorded"), "analysis.frames"),
    **dict.fromkeys(("MATCHING_TOLERANCE_DB", "Claim"), "analysis.claims"),
    "plot": "analysis.panels",
    **dict.fromkeys(("Verdict", "judge"), "analysis.verdicts"),
}


def __getattr__(name: str) -> Any:
    if name == "exhibits":
        return import_module("analysis.exhibits")
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
