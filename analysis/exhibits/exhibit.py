"""The exhibit, and helpers that exhibits share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import CLAIMS
from analysis.exhibits.scores import averages, blocks, of, published
from analysis.frames import FAULTS, LEFT_OUT, Frames
from analysis.plots import DEPTH, OUTPUTS, percent
from analysis.stats import FAILS, HOLDS, UNKNOWN, Verdict, judge
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

REDRAWN = {"z": "z_seed", "noise": "noise_seed"}
"""Seeds that differ from round to round where the released code draws anew."""

LABELS = {
    "imp": "IMP",
    "random": "random",
    "snip": "SNIP",
    "synflow": "SynFlow",
    "grasp": "GraSP",
    "oes": "OES",
    "shuffled": "random, IMP's ratios",
}


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
    reference: pd.DataFrame | None = None
    """The paper's own numbers beside ours and the difference, where it prints some."""
    gap: str = ""
    """What of the experiment is not published, and the command that publishes it; empty for nothing."""

    @property
    def verdict(self) -> dict[str, str]:
        """By output: holds if all claims do, does not hold if one does not, else not enough data."""
        return {
            output: next((word for word in (FAILS, UNKNOWN) if word in words), HOLDS)
            for output in dict.fromkeys(verdict.output for verdict in self.verdicts)
            if (words := {verdict.verdict for verdict in self.verdicts if verdict.output == output})
        }


@dataclass(frozen=True)
class Absent:
    """An exhibit that the sweep does not hold: why, and the command that helps."""

    name: str
    title: str
    reason: str
    remedy: str

    @property
    def verdict(self) -> dict[str, str]:
        """There is none: nothing was measured."""
        return {}


def lacking(
    frames: Frames,
    name: str,
    title: str,
    needed: Callable[[pd.DataFrame], pd.Series],
    what: str,
    apart: Iterable[str] = (),
) -> Absent | None:
    """Return what stops an exhibit, if anything; `needed` marks the rows that it cannot do without.

    Of the tasks it needs, rows of one point may differ in no setting but those that the exhibit keeps `apart`. Raises
    InputError for frames that were loaded without a sweep.
    """
    if frames.sweep is None:
        raise InputError("an exhibit is made from a sweep; load one with load(storage, sweep)")
    fits = frames.fits[needed(frames.fits)]
    if frames.points[needed(frames.points)].empty or (fits.empty and not frames.missing):
        return Absent(name, title, f"the sweep has no {what}", frames.command_for(name))
    if fits.empty:
        return Absent(name, title, f"there is no {what} among the published fits", frames.command)
    axes = [*AXES, "sparsity", *apart]
    same = frames.fits[frames.fits["task"].isin(fits["task"])]
    shared = same[same.duplicated(axes, keep=False)]
    points = shared.groupby(axes, dropna=False)
    settings = [column for column in SETTINGS if column not in axes]
    if varied := [column for column in settings if (points[column].nunique(dropna=False) > 1).any()]:
        return Absent(
            name,
            title,
            f"the sweep varies {' and '.join(varied)} within a point, which is never averaged",
            "analysis.load, then frames.only(fits) with the fits of one setting",
        )
    return None


def gap(frames: Frames) -> str:
    """Say which fits are missing, and the command that publishes them; empty for none."""
    if not frames.missing:
        return ""
    return f"{frames.missing} of {plural(frames.planned, 'fit')} missing; to publish them: {frames.command}"


def verdicts(
    frames: Frames,
    name: str,
    rows: pd.DataFrame,
    value: str,
    cells: list[str],
    outputs: Iterable[str] = OUTPUTS,
    note: str = "",
    why: str = "",
) -> list[Verdict]:
    """A claim judged by a value of rows with a seed, averaged over `cells` within it: for every reported output apart.

    What is no reported output (`masks`) is judged by all rows. `note` is said beside an effect; `why` there is none, if
    that has a reason other than missing fits.
    """
    claim = CLAIMS[name]
    if not why and rows[value].notna().any() and not frames.missing:
        why = "no seed has every value: some are not finite, or not planned"
    elif not why:
        why = f"not measured; {frames.command if frames.missing else frames.command_for(claim.exhibit)}"
    judged = []
    for output in outputs:
        effects = blocks(of(rows, output) if output in OUTPUTS else rows, value, cells)
        said = [why if effects.dropna().empty else note, *faults(frames.fits, rows)]
        verdict = judge(claim, output, effects, "; ".join(filter(None, said)))
        judged.append(_reserved(verdict, rows["round"]) if claim.rounds and verdict.n else verdict)
    return judged


def faults(fits: pd.DataFrame, judged: pd.DataFrame) -> list[str]:
    """Count the fits that did not train as meant, and say what becomes of them.

    Of an exhibit's `fits`, those left out, for what they are paired with is left out too; of the judged ones, all.
    """
    counted = {name: fits for name in LEFT_OUT}
    if "fit" in judged:
        counted["collapsed"] = fits[fits["fit"].isin(judged["fit"])]
    said = []
    for name, rows in counted.items():
        distinct = rows.drop_duplicates("fit")
        if count := int(distinct[name].sum()):
            treatment = "left out" if name in LEFT_OUT and name in judged else "included"
            said.append(f"{count} of {plural(len(distinct), 'fit')} {name}: {treatment}")
    return said


def _reserved(verdict: Verdict, rounds: pd.Series) -> Verdict:
    """The verdict, unless one end of what its claim speaks of is not among the measured rounds."""
    ends = sorted({verdict.claim.rounds[0], verdict.claim.rounds[-1]} - set(rounds))
    if not ends:
        return verdict
    lack = f"not measured at {' and '.join(f'{percent(k):.3g} %' for k in ends)}"
    return replace(verdict, verdict=UNKNOWN, note="; ".join(filter(None, [verdict.note, lack])))


def native(rows: pd.DataFrame) -> pd.Series:
    """Marks denoising trajectories with masks of the image itself."""
    return denoising(rows) & (rows["source_image"] == rows["image"])


def denoising(rows: pd.DataFrame) -> pd.Series:
    """Marks whole rounds of denoising with masks found on denoising, done as the paper says."""
    return (rows["task"] == "denoise") & (rows["source_task"] == "denoise") & as_in_paper(rows)


def as_in_paper(rows: pd.DataFrame) -> pd.Series:
    """Marks whole rounds, done as the paper says."""
    return (rows["compat"] == "") & rows["round"].notna()


def caption(frames: Frames, fits: pd.DataFrame, *sentences: str) -> str:
    """Sentences, then what the numbers rest on."""
    sizes = [f"{width}×{height}" for width, height in set(zip(fits["image_width"], fits["image_height"], strict=True))]
    size = f"{sizes[0]} pixels" if len(sizes) == 1 else f"{len(sizes)} sizes"
    names = sorted(fits["image"].unique())
    images = f"{plural(len(names), 'image')} ({', '.join(names[:4])}{', …' * (len(names) > 4)}) of {size}"
    nets = fits[["prior", "width"]].drop_duplicates().sort_values(["prior", "width"], ascending=[False, True])
    priors = ", ".join(f"{prior} of width {width}" for prior, width in nets.itertuples(index=False))
    basis = (
        f"{images}, {plural(fits['seed'].nunique(), 'seed')}, {values(fits['steps'])} steps, {priors},"
        f" profile {frames.profile}."
    )
    smoke = ["Numbers of the profile smoke only show that everything works."] if frames.profile == "smoke" else []
    return " ".join([*filter(None, sentences), basis, *smoke])


def psnr_notes(fits: pd.DataFrame, dots: bool = False) -> str:
    """Explain PSNR panels, of lines or of dots, and what is unusual in them."""
    distinct = fits.drop_duplicates("fit")
    marked = {name: count for name in FAULTS if (count := int(distinct[name].sum()))}
    lost = sum(int((~np.isfinite(published(distinct, output))).sum()) for output in OUTPUTS)
    several = fits["seed"].nunique() > 1
    mean, spread = ("Dot", "bar") if dots else ("Line", "band")
    seeds = f"{mean}: mean over seeds; {spread}: one standard deviation over seeds."
    notes = [reported(fits), seeds if several else f"One seed, so no {spread}."]
    if marked:
        counts = ", ".join(f"{count} {name}" for name, count in marked.items())
        treated = "means include them" + ", verdicts the collapsed ones only" * bool(marked.keys() & set(LEFT_OUT))
        notes.append(f"Fits that did not train as meant{' (×)' * (not dots)}: {counts}; {treated}.")
    if marked and not dots:
        notes.append(f"The axis ends at the latest {DEPTH:g} dB below the dense prior; lower values are in the table.")
    if lost:
        notes.append(f"Values that are not finite: {lost}, left out.")
    return " ".join(notes)


def reported(fits: pd.DataFrame) -> str:
    """Say by task which output the PSNR is of: what the task's published protocol reports."""
    tasks = sorted(fits["task"].unique())
    averaged, raw = (" and ".join(task for task in tasks if averages(task) == wanted) for wanted in (True, False))
    if not raw:
        return "PSNR of the averaged (EMA) output."
    if not averaged:
        return "PSNR of the output as it is, not averaged, as published protocols report."
    return f"PSNR of the averaged (EMA) output for {averaged}, of the output as it is for {raw}, as published."


def unlike(fits: pd.DataFrame, image: str) -> str:
    """Warn where the paper's numbers beside ours are of another image; empty where they are not."""
    if fits["image"].str.contains(image).all():
        return ""
    return f"The paper's numbers are of {image}, at full size: compare differences from the dense prior only."


def alone(ours: pd.Series) -> str:
    """Warn where nothing of ours stands beside the paper's numbers; empty where something does."""
    if ours.notna().any():
        return ""
    return "None of these images is one of the paper's, so that its numbers stand alone: the profile paper has them."


def beside(rows: list[dict[str, object]], paper: str = "paper (dB)", ours: str = "ours (dB)") -> pd.DataFrame:
    """A table of the paper's numbers beside ours, with the difference."""
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    numbers = frame[[paper, ours]].astype("float64")
    return frame.assign(**{paper: numbers[paper], ours: numbers[ours], "difference": numbers[ours] - numbers[paper]})


def plural(count: int, noun: str) -> str:
    """Print a count with its noun, as in `1 seed`, `3 seeds`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def span(rounds: pd.Series) -> str:
    """Measured rounds as sparsities: `20–49 %`."""
    if rounds.empty:
        return "sparsities that are not measured"
    low, high = (f"{percent(int(k)):.3g}" for k in (rounds.min(), rounds.max()))
    return f"{low} %" if low == high else f"{low}–{high} %"


def values(column: pd.Series) -> str:
    """The distinct values of a column, in order: `0, 1, 2`."""
    distinct = sorted(column.dropna().unique().tolist())
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in distinct)


def labels_of(names: Iterable[str]) -> dict[str, str]:
    """Names of pruners as they are shown, in order."""
    return {name: LABELS.get(name, name) for name in sorted(set(names))}
