"""From an exhibit's effects to verdicts on its claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import nan

import pandas as pd

from analysis.claims import Claim
from analysis.exhibits.scores import PROTOCOLS, is_excluded, select_output
from analysis.frames import EXCLUDED, Frames
from analysis.text import distinct_values, percent, plural, sparsity_range
from analysis.verdicts import NOT_MEASURED, REFUTED, Verdict, joined, judge_scopes
from lip.ledger.schema import OUTPUTS

BUILDS = ("backend", "kernels", "device", "precision")
"""What rounds differently: fits that differ in these agree only within rounding."""


def verdicts_on(frames: Frames, claim: Claim, effects: pd.DataFrame) -> Iterator[Verdict]:
    """Judge a claim by each of its outputs in each scope, given effects with a row per seed, cell and output.

    The column `claim.value` holds the statistic. Outputs other than peak, last and stop use all rows.
    """
    rows = effects[claim.rows(effects)] if claim.rows else effects
    if claim.rounds:
        within = rows["round"] >= claim.rounds[0]
        rows = rows[within if claim.open_ended else within & rows["round"].isin(claim.rounds)]
    values = [claim.value, *(name for name in by_protocol(claim) if name in rows)]
    rows = rows.assign(**{name: rows[name].mask(is_excluded(rows)) for name in values})
    for output in claim.outputs:
        yield from _by_output(frames, claim, select_output(rows, output) if output in OUTPUTS else rows, output)


def _by_output(frames: Frames, claim: Claim, rows: pd.DataFrame, output: str) -> list[Verdict]:
    fits = frames.fits[frames.fits["fit"].isin(rows["fit"])] if "fit" in rows else frames.fits
    notes = [*fault_notes(frames.fits, rows), *build_notes(fits)]
    verdicts = judge_scopes(claim, rows, output, claim.scopes)
    if not verdicts[0].n:
        return [replace(each, note=joined(why_missing(frames, claim, rows), *notes)) for each in verdicts]
    about, started = (claim.note or sparsity_note)(rows), fits["started"].min().date()
    rounds, values = uncovered_rounds(claim, rows), uncovered_values(claim, rows)
    lacks = ["every fit collapsed"] if frames.fits["collapsed"].all() else [*rounds, *values]
    judged = []
    for each in verdicts:
        refuted_already = each.verdict == REFUTED and lacks == rounds and "round" in claim.every
        given = each if not lacks or refuted_already else replace(each, verdict=NOT_MEASURED, p=nan, p_against=nan)
        judged.append(replace(given, started=started, note=joined(about, each.note, *notes, *lacks)))
    return judged if judged[0].verdict == NOT_MEASURED else _by_each_protocol(claim, rows, judged)


def by_protocol(claim: Claim) -> dict[str, str]:
    """Name the columns of a claim's value by each protocol, and the protocol."""
    return {f"{claim.value}_{protocol}": label for protocol, label in PROTOCOLS.items()}


def _by_each_protocol(claim: Claim, rows: pd.DataFrame, verdicts: list[Verdict]) -> list[Verdict]:
    """Say where the raw or the averaged outputs would give another verdict than those that the task reports."""
    for column, label in by_protocol(claim).items():
        if column not in rows:
            continue
        others = verdicts
        if not rows[column].equals(rows[claim.value]):  # the task does not report this protocol itself
            others = judge_scopes(replace(claim, value=column), rows, verdicts[0].output, claim.scopes)
        verdicts = [_beside(each, label, other.verdict) for each, other in zip(verdicts, others, strict=True)]
    return verdicts


def _beside(verdict: Verdict, label: str, other: str) -> Verdict:
    """Put the verdict by another protocol beside one that is given."""
    if verdict.verdict == NOT_MEASURED:
        return verdict
    note = verdict.note if other == verdict.verdict else joined(verdict.note, f"{other} by {label} outputs")
    return replace(verdict, by_protocol={**verdict.by_protocol, label: other}, note=note)


def uncovered_rounds(claim: Claim, rows: pd.DataFrame) -> list[str]:
    """Name the ends of the range that a claim speaks of if they are not measured."""
    if not claim.rounds:
        return []
    ends = {claim.rounds[0]} if claim.open_ended else {claim.rounds[0], claim.rounds[-1]}
    lacking = sorted(ends - set(rows["round"]))
    return [f"not measured at {' and '.join(f'{percent(k):.3g} %' for k in lacking)}"] if lacking else []


def uncovered_values(claim: Claim, rows: pd.DataFrame) -> list[str]:
    """Name the images, tasks or sets that a claim speaks of if they are not measured."""
    measured = {column: [str(value) for value in rows[column].unique()] for column in claim.covers}
    lacking = [
        wanted
        for column, all_wanted in claim.covers.items()
        for wanted in all_wanted
        if not any(wanted in value for value in measured[column])
    ]
    return [f"not measured on {', '.join(lacking)}"] if lacking else []


def why_missing(frames: Frames, claim: Claim, rows: pd.DataFrame) -> str:
    """Say why no seed has every value."""
    if claim.unless and (reason := claim.unless(rows)):
        return reason
    if rows[claim.value].notna().any() and not frames.missing:
        return "no seed has every value: some are not finite, or not planned"
    return f"not measured; {frames.remedy}"


def fault_notes(fits: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Count the fits that did not train as meant, and say whether verdicts include them.

    Excluded fits are counted among all `fits` of an exhibit, since their partners are excluded too; collapsed ones
    among the judged `rows`.
    """
    counted = {name: fits for name in EXCLUDED}
    if "fit" in rows:
        counted["collapsed"] = fits[fits["fit"].isin(rows["fit"])]
    notes = []
    for name, group in counted.items():
        distinct = group.drop_duplicates("fit")
        if count := int(distinct[name].sum()):
            treatment = "left out" if name in EXCLUDED and name in rows else "included"
            notes.append(f"{count} of {plural(len(distinct), 'fit')} {name}: {treatment}")
    return notes


def build_notes(fits: pd.DataFrame) -> list[str]:
    """Name what the judged fits were computed with if that differs between them."""
    return [f"mixed {name}: {distinct_values(fits[name])}" for name in BUILDS if fits[name].nunique() > 1]


def sparsity_note(rows: pd.DataFrame) -> str:
    """Say at which sparsities a claim was judged, if its rows are whole rounds."""
    return f"at {sparsity_range(rows['round'])}" if "round" in rows and rows["round"].notna().all() else ""
