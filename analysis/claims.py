"""Claims: statements that can be tested, and when each was written."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd

from analysis.stats import Region
from lip.ledger.schema import OUTPUTS

MATCHING_TOLERANCE_DB = 0.1
"""A ticket matches if it is at most this much below the dense prior. The paper names no tolerance."""

POSITIVE, NEGATIVE = Region(low=0, open=True), Region(high=0, open=True)
MATCHING = Region(low=-MATCHING_TOLERANCE_DB)
EQUAL = Region(-MATCHING_TOLERANCE_DB, MATCHING_TOLERANCE_DB)
NO_GAIN = Region(high=MATCHING_TOLERANCE_DB)
HARM = Region(high=-MATCHING_TOLERANCE_DB, open=True)

HERE, ANYWHERE = "on these photographs", "on photographs"
"""Scopes of a verdict: the photographs that were measured, or those that they are a sample of."""

REGISTER = Path(__file__).with_name("register.csv")
"""The id, hash and date of every claim: it was written on that date, in the words of that hash."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that can be tested."""

    id: str
    statement: str
    paper: str
    """What the paper says, and where."""
    statistic: str
    """What is measured, and over what it is averaged."""
    region: Region
    """Where the mean of the statistic lies if the claim holds."""
    unit: str = "dB"
    rounds: Sequence[int] = ()
    """Rounds that it speaks of; empty for all. It is not measured unless the first and the last of them are."""
    open_ended: bool = False
    """Whether `rounds` are a beginning, so that only the first must be measured."""
    every: Sequence[str] = ("round",)
    """Columns of which every measured value is tested, since the claim speaks of each; it is averaged over the rest."""
    trend: str = ""
    """A column over which the slope of the statistic is judged, in place of its mean."""
    covers: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    """By column: texts that must each be in a measured value, since the claim speaks of all of them."""
    repeats: str = ""
    """The id of a claim that it follows from, which it is not counted beside."""
    value: str = ""
    """Column of an exhibit's effects that holds the statistic."""
    rows: Callable[[pd.DataFrame], pd.Series] | None = None
    """Marks the rows of these effects that it speaks of; None for all."""
    cells: Sequence[str] = ("round", "image")
    """Columns that tell the values of a seed apart."""
    outputs: Sequence[str] = tuple(OUTPUTS)
    """Reported outputs that it is judged by, the primary one first; or what else was measured: masks, loss."""
    scopes: Sequence[str] = (HERE, ANYWHERE)
    note: Callable[[pd.DataFrame], str] | None = None
    """Describes its rows, for the note of its verdicts; None for their range of sparsities."""
    unless: Callable[[pd.DataFrame], str] | None = None
    """Says why its rows cannot be judged, if another reason than missing fits; empty for none."""

    @property
    def threshold(self) -> str:
        """Print it as in `≥ -0.1 dB`, for matching `at most 0.1 dB below`."""
        words = {
            MATCHING: f"at most {MATCHING_TOLERANCE_DB:g} {self.unit} below",
            EQUAL: f"within {MATCHING_TOLERANCE_DB:g} {self.unit}",
            NO_GAIN: f"at most {MATCHING_TOLERANCE_DB:g} {self.unit} above",
            HARM: f"more than {MATCHING_TOLERANCE_DB:g} {self.unit} below",
        }
        return words.get(self.region, f"{self.region} {self.unit}")

    @property
    def hash(self) -> str:
        """Return a hash of its words and of all that decides its verdict but the choice of rows."""
        asked = [self.id, self.statement, self.statistic, self.threshold, list(self.rounds), self.open_ended]
        asked += [list(self.every), self.trend, dict(self.covers), list(self.outputs), self.value, list(self.cells)]
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:12]

    @property
    def written(self) -> date | None:
        """Return the date on which it was registered in these words; None if it was not."""
        known, day = registered().get(self.id, ("", date.max))
        return day if known == self.hash else None


@cache
def registered() -> dict[str, tuple[str, date]]:
    """Return hash and date of the registered claims by id."""
    with REGISTER.open(encoding="utf-8", newline="") as file:
        return {row["id"]: (row["hash"], date.fromisoformat(row["written"])) for row in csv.DictReader(file)}


def register(claims: Sequence[Claim], today: date) -> int:
    """Date all claims that are new or changed `today`, and return how many; forget those that are gone."""
    fresh = [claim for claim in claims if claim.written is None]
    rows = [(claim.id, claim.hash, (claim.written or today).isoformat()) for claim in claims]
    with REGISTER.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "hash", "written"), *rows])
    registered.cache_clear()
    return len(fresh)
