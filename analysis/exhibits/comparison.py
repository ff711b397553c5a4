"""The shape that most exhibits share: PSNR of several kinds of masks over sparsity, and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from matplotlib.figure import Figure

from analysis.exhibits.captions import paper_only_note, psnr_notes
from analysis.exhibits.exhibit import Contents, Definition
from analysis.exhibits.rows import Rows
from analysis.exhibits.scores import PROTOCOLS, difference, scores_of, summary
from analysis.frames import Frames
from analysis.panels import psnr_panels
from analysis.style import PRUNER_STYLES, Style, assign_styles
from analysis.text import pruner_labels

Labels = Callable[[pd.DataFrame], Mapping[str, str]]


@dataclass(frozen=True)
class Difference:
    """A value less that of a baseline of the same panel, image, seed and reported output.

    The value may be an earlier column of differences.
    """

    baseline: Rows
    at: Sequence[str] = ("round",)
    """What else the two agree in: nothing for a dense baseline."""
    value: str = "psnr"
    within_panel: bool = True


def is_dense(rows: pd.DataFrame) -> pd.Series:
    """Mark the dense prior."""
    return rows["sparsity"] == 0


MINUS_DENSE = Difference(is_dense, at=())


def by_pruner(scores: pd.DataFrame) -> dict[str, str]:
    """Label a line per pruner."""
    return pruner_labels(scores["pruner"])


@dataclass(frozen=True, kw_only=True)
class Comparison(Definition):
    """Scores of masks of several kinds, compared with one another."""

    about: str | Callable[[pd.DataFrame], str]
    """What the figure shows, for the caption; a function of the fits where they decide."""
    shown: Rows
    """Marks the fits to show."""
    within: str | None = "image"
    """Only images (or tasks) with a needed fit are shown; None for all."""
    select: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """Narrows the fits to show further. Raises MissingError if none remains."""
    also: tuple[str, ...] = ()
    """Further columns of the fits that scores need."""
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """Adds columns to the scores, such as `line` and `panel`."""
    differences: Mapping[str, Difference] = field(default_factory=dict)
    """Columns of differences; the first one is in the table."""
    derive: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """Adds columns that need the differences."""
    panel: str = "image"
    line: str = "pruner"
    labels: Labels | Mapping[str, str] = by_pruner
    """By the values of `line`, in order."""
    styles: Mapping[str, Style] = field(default_factory=lambda: PRUNER_STYLES)
    x: str = "round"
    marks: Rows | None = None
    """Marks scores that are drawn as points at their size, beside the lines."""
    by: Sequence[str] = ()
    """Columns that rows of the table are told apart by; empty for `panel` and `line`."""
    draw: Callable[[pd.DataFrame, Mapping[str, str], Mapping[str, Style]], Figure] | None = None
    """Draws scores as something else than lines of PSNR."""
    table: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """Makes the table if it is not means and deviations of PSNR."""
    compare: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """Puts the paper's numbers beside these scores."""

    def contents(self, frames: Frames) -> Contents:
        """Compare the fits to show."""
        fits = self.chosen(frames.fits)
        scores = scores_of(fits, *self.also)
        scores = self.prepare(scores) if self.prepare else scores
        marked = scores[self.marks(scores)] if self.marks else None
        scores = scores if marked is None else scores.drop(index=marked.index)
        for name, wanted in self.differences.items():
            scores = scores.assign(**{name: self.difference(scores, wanted)})
            if wanted.value == "psnr":
                for protocol in PROTOCOLS:
                    by_protocol = replace(wanted, value=f"psnr_{protocol}")
                    scores[f"{name}_{protocol}"] = self.difference(scores, by_protocol)
        scores = self.derive(scores) if self.derive else scores
        paper_table = self.compare(scores) if self.compare else None
        about = self.about(fits) if callable(self.about) else self.about
        alone = "" if paper_table is None else paper_only_note(paper_table)
        return Contents(
            caption=" ".join(filter(None, [about, alone, psnr_notes(fits, dots=self.draw is not None)])),
            frame=self.table(scores) if self.table else self.summary(scores),
            figure=self.figure(scores, marked),
            fits=fits,
            effects=scores,
            paper_table=paper_table,
        )

    def chosen(self, fits: pd.DataFrame) -> pd.DataFrame:
        """Return the fits to show."""
        chosen = fits[self.shown(fits)]
        if self.within:
            chosen = chosen[chosen[self.within].isin(chosen.loc[self.needed(chosen), self.within])]
        return self.select(chosen) if self.select else chosen

    def difference(self, scores: pd.DataFrame, wanted: Difference) -> pd.Series:
        """Return a column of differences, nan where there is no baseline."""
        panel = [self.panel] if wanted.within_panel else []
        on = list(dict.fromkeys([*panel, "image", "seed", "output", *wanted.at]))
        return difference(scores, scores[wanted.baseline(scores)], on, wanted.value)

    def summary(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return the table of means and deviations."""
        return summary(scores, list(self.by or (self.panel, self.line)), next(iter(self.differences)), self.x_of_table)

    @property
    def x_of_table(self) -> str:
        """The x axis, or rounds where that is the size."""
        return "round" if self.x == "kept_parameters" else self.x

    def figure(self, scores: pd.DataFrame, marked: pd.DataFrame | None) -> Figure:
        """Draw the scores, and the marked ones beside them if there are any."""
        labels = self.labels(scores) if callable(self.labels) else self.labels
        styles = assign_styles(list(labels), self.styles)
        if self.draw:
            return self.draw(scores, labels, styles)
        marks = None if marked is None or marked.empty else marked
        return psnr_panels(scores, self.line, labels, styles, self.panel, self.x, marks)
