"""Define exhibits, and make them from the results of a sweep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import HERE, Claim
from analysis.exhibits.captions import basis
from analysis.exhibits.rows import Rows
from analysis.exhibits.verdicts import verdicts_on
from analysis.frames import Frames
from analysis.text import plural
from analysis.verdicts import HOLDS, NOT_MEASURED, REFUTED, UNDECIDED, Verdict, adjusted
from lip.errors import InputError
from lip.ledger.schema import AXES

SETTINGS = [
    "content_hash",
    "sigma",
    "keep",
    "inpaint_mask",
    "factor",
    "target",
    "measurements",
    "corrupted",
    "measurement_noise",
    "rows",
    "estimator",
    "head",
    "prior",
    "width",
    "scales",
    "skip",
    "depth",
    "net",
    "size",
    "checkpoint",
    "restarts",
    "start",
    "steps",
    "until",
    "lr",
    "jitter",
    "ema",
    "backtrack",
    "backtrack_rule",
    "grace",
    "backtrack_sigma",
    "langevin",
    "stop_window",
    "stop_patience",
    "batch",
    "momentum",
    "precision",
    "covers",
    "theta_seed",
    "z_seed",
    "noise_seed",
]
"""What else may differ between fits; a figure mixes no two values of these at one point."""


@dataclass(frozen=True)
class Exhibit:
    """A figure or table of the paper, from our own results."""

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    """Tidy; PSNR in dB, sparsity as a fraction."""
    figure: Figure
    verdicts: list[Verdict] = field(default_factory=list)
    paper_table: pd.DataFrame | None = None
    """The paper's own numbers beside ours and the difference, where it prints some."""
    missing: str = ""
    """How many fits of the experiment are not published, and the command that runs them; empty for none."""

    @property
    def verdict(self) -> dict[str, str]:
        """By output, on these photographs: refuted if a claim is, holds if all do, else undecided or not measured."""
        here = [verdict for verdict in self.verdicts if verdict.scope == HERE]
        words = {output: {each.verdict for each in here if each.output == output} for output in _outputs(here)}
        order = (REFUTED, UNDECIDED, NOT_MEASURED, HOLDS)
        return {output: next(word for word in order if word in found) for output, found in words.items()}


@dataclass(frozen=True)
class MissingExhibit:
    """An exhibit that cannot be made from a sweep: the reason, and the command that helps."""

    name: str
    title: str
    reason: str
    remedy: str

    @property
    def verdict(self) -> dict[str, str]:
        """Return no verdict, since nothing was measured."""
        return {}


class MissingError(Exception):
    """Raised while an exhibit is made if it cannot be; `remedy` is empty for running its sweep."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@dataclass(frozen=True)
class Contents:
    """Hold what an exhibit shows."""

    caption: str
    frame: pd.DataFrame
    figure: Figure
    fits: pd.DataFrame | None = None
    """Fits that it rests on, which the caption describes; None for no description."""
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Values that its claims are judged by: a row per seed, cell and output."""
    paper_table: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class Definition(ABC):
    """An exhibit that can be made from any sweep that has its fits: call it with the frames."""

    name: str
    title: str
    needed: Rows
    """Marks the rows that it cannot do without."""
    needs: str
    """These rows in words."""
    claims: tuple[Claim, ...] = ()
    apart: tuple[str, ...] = ()
    """Settings in which rows of one point may differ, since the exhibit keeps them apart."""
    experiment: str | None = ""
    """The experiment whose fits it shows; None for the whole sweep, empty for its own name."""

    def __call__(self, frames: Frames) -> Exhibit | MissingExhibit:
        """Make the exhibit. Raises InputError for frames that were loaded without a sweep."""
        if frames.sweep is None:
            raise InputError("an exhibit is made from a sweep; load one with load(storage, sweep)")
        if self.experiment is not None:
            frames = frames.part(self.experiment or self.name)
        try:
            self.check(frames)
            contents = self.contents(frames)
        except MissingError as missing:
            remedy = missing.remedy or frames.command_for(self.experiment or self.name)
            return MissingExhibit(self.name, self.title, missing.reason, remedy)
        return Exhibit(
            self.name,
            self.title,
            contents.caption if contents.fits is None else f"{contents.caption} {basis(frames, contents.fits)}",
            contents.frame,
            contents.figure,
            adjusted(each for claim in self.claims for each in verdicts_on(frames, claim, contents.effects)),
            contents.paper_table,
            missing_fits(frames),
        )

    @abstractmethod
    def contents(self, frames: Frames) -> Contents:
        """Make what it shows from frames with at least one needed fit. Raises MissingError if that is not enough."""

    def check(self, frames: Frames) -> None:
        """Raise MissingError if a needed fit is lacking, or if rows of one point differ in a setting."""
        fits = frames.fits[self.needed(frames.fits)]
        if frames.points[self.needed(frames.points)].empty or (fits.empty and not frames.missing):
            raise MissingError(f"the sweep has no {self.needs}")
        if fits.empty:
            raise MissingError(f"there is no {self.needs} among the published fits", frames.command)
        axes = [*AXES, "sparsity", *self.apart]
        same = frames.fits[frames.fits["task"].isin(fits["task"])]
        shared = same[same.duplicated(axes, keep=False)]
        points = shared.groupby(axes, dropna=False)
        settings = [column for column in SETTINGS if column not in axes]
        if varied := [column for column in settings if (points[column].nunique(dropna=False) > 1).any()]:
            raise MissingError(
                f"the sweep varies {' and '.join(varied)} within a point, which is never averaged",
                "analysis.load, then frames.only(fits) with the fits of one setting",
            )


@dataclass(frozen=True, kw_only=True)
class Custom(Definition):
    """An exhibit made by a function of its own."""

    make: Callable[[Frames], Contents]

    def contents(self, frames: Frames) -> Contents:
        """Call the function."""
        return self.make(frames)


def _outputs(verdicts: list[Verdict]) -> list[str]:
    return list(dict.fromkeys(verdict.output for verdict in verdicts))


def missing_fits(frames: Frames) -> str:
    """Say how many fits are missing, and the command that runs them; empty for none."""
    if not frames.missing:
        return ""
    return f"{frames.missing} of {plural(frames.planned, 'fit')} missing; to publish them: {frames.command}"
