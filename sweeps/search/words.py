"""Say in words and numbers what a search consists of, and what it has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sweeps.search.racing import interval
from sweeps.search.study import BASELINE, COMPLETE, Candidate, Study, judged_fit


@dataclass(frozen=True)
class Line:
    """A setting in a table: means over its blocks in the units of the objective."""

    number: int
    setting: Mapping[str, Any]
    state: str
    blocks: int
    mean: float | None
    difference: float | None
    """Its mean paired difference to the baseline; positive is better, also where less is better."""
    low: float | None
    high: float | None
    """The ends of the 95 % t-interval of that over blocks."""

    @property
    def is_complete(self) -> bool:
        """Tell whether it was fitted to all blocks."""
        return self.state == COMPLETE

    @property
    def gain(self) -> str:
        """Format the difference to the baseline, with its interval."""
        if self.difference is None:
            return ""
        ends = "" if self.low is None else f" ({self.low:+.2g} to {self.high:+.2g})"
        return f"{self.difference:+.3g}{ends}"


def lines(study: Study) -> list[Line]:
    """Return a line for each setting that was proposed, the best first; dropped and running ones follow."""
    order = sorted(study.candidates, key=lambda candidate: (candidate.state != COMPLETE, -candidate.score))
    baseline = study.candidates[BASELINE]
    return [_line(study, candidate, candidate.fits, baseline.fits) for candidate in order]


def held_out_lines(study: Study) -> list[Line]:
    """Return a line for the baseline and for the best setting on the blocks held out."""
    fits = {number: list(map(judged_fit, trajectories)) for number, trajectories in study.held_out.items()}
    return [_line(study, study.candidates[number], ids, fits[BASELINE]) for number, ids in fits.items() if ids]


def _line(study: Study, candidate: Candidate, fits: Sequence[str], rivals: Sequence[str]) -> Line:
    own = [study.scores[fit] for fit in fits if fit in study.scores]
    pairs = [
        (study.scores[fit], study.scores[rival])
        for fit, rival in zip(fits, rivals, strict=False)
        if fit in study.scores and rival in study.scores
    ]
    differences = [a - b for a, b in pairs] if candidate.number != BASELINE else []
    low, high = interval(differences)
    return Line(
        candidate.number,
        candidate.setting,
        candidate.state,
        len(own),
        study.search.objective.value(fmean(own)) if own else None,
        fmean(differences) if differences else None,
        low if len(differences) > 1 else None,
        high if len(differences) > 1 else None,
    )


def contents(study: Study) -> str:
    """Say what a search consists of."""
    search, blocks = study.search, study.blocks
    held_out = len(search.trajectories(search.baseline, True))
    racing = f", dropped by racing from {search.racing.first} blocks on" if search.racing else ""
    then = f", then the best and the baseline on {held_out} blocks held out" if held_out else ""
    waits = f", {search.parallel} at a time" if "parallel" in search.definition else ""
    sampler = search.definition["sampler"].partition(" ")[0]
    most = blocks * (search.trials + 1)
    return (
        f"search {search.experiment}: the baseline and {search.trials} settings ({sampler}{waits})"
        f" on {blocks} blocks{racing}: at most {most:,} trajectories{then}; by {search.objective}"
    )


def progress(study: Study) -> str:
    """Say how far a search is, and which setting is the best."""
    decided = sum(candidate.is_decided for candidate in study.candidates)
    parts = [f"{decided} of {study.search.trials + 1} settings decided"]
    for state in ("dropped", "impossible"):
        if count := sum(candidate.state == state for candidate in study.candidates):
            parts.append(f"{count} {state}")
    if best := study.best:
        parts.append(f"best: {best.number} ({in_words(best.setting)}), {score_in_words(study, best)}")
    return f"search {study.search.experiment}: {', '.join(parts)}"


def score_in_words(study: Study, candidate: Candidate) -> str:
    """Format the score of a setting with its objective."""
    objective = study.search.objective
    return f"{objective} {objective.value(candidate.score):.4g}{objective.unit}"


def in_words(setting: Mapping[str, Any]) -> str:
    """Format a setting; the baseline has no key."""
    return ", ".join(f"{key} {value}" for key, value in setting.items()) or "baseline"
