"""From an exhibit's effects to verdicts on its claims."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.exhibits.scores import paired_effects, select_output
from analysis.frames import EXCLUDED, Frames
from analysis.stats import HOLDS, UNKNOWN, Claim, Verdict, judge, p_value
from analysis.text import OUTPUTS, percent, plural, sparsity_range


def verdicts_on(frames: Frames, claim: Claim, effects: pd.DataFrame) -> list[Verdict]:
    """Judge a claim by each of its outputs, given effects with a row per seed, cell and output.

    The column `claim.value` holds the statistic. Outputs other than peak, last and stop use all rows.
    """
    rows = effects[claim.rows(effects)] if claim.rows else effects
    if claim.rounds:
        rows = rows[rows["round"].isin(claim.rounds)]
    judge_output = _worst_round if claim.worst_round else _mean
    return [
        judge_output(frames, claim, output, select_output(rows, output) if output in OUTPUTS else rows)
        for output in claim.outputs
    ]


def _mean(frames: Frames, claim: Claim, output: str, rows: pd.DataFrame) -> Verdict:
    effects = paired_effects(rows, claim.value, list(claim.cells))
    note = (claim.note or sparsity_note)(rows) if len(effects.dropna()) else why_missing(frames, claim, rows)
    verdict = judge(claim, output, effects, _joined(note, *fault_notes(frames.fits, rows)))
    return _if_covered(verdict, rows["round"]) if claim.rounds and verdict.n else verdict


def _worst_round(frames: Frames, claim: Claim, output: str, rows: pd.DataFrame) -> Verdict:
    """Judge the round with the worst mean.

    That round need not be the least certain one: p is the largest of all rounds (an intersection-union test).
    """
    effects = paired_effects(rows, claim.value, list(claim.cells))
    complete = effects.dropna()
    faults = fault_notes(frames.fits, rows)
    if complete.empty:
        return judge(claim, output, effects, _joined(why_missing(frames, claim, rows), *faults))
    by_round = complete.T.groupby("round").mean()
    means = by_round.mean(axis="columns")
    worst = int(means.index[int(means.argmin())])
    at_worst = complete.loc[:, complete.columns.get_level_values("round") == worst].reindex(effects.index)
    verdict = judge(claim, output, at_worst, _joined(*faults))
    notes = [f"worst at {percent(worst):.4g} %"]
    if claim.note:
        notes.append(claim.note(rows[rows["seed"].isin(complete.index)]))
    p = max(p_value(seeds, claim.region) for _, seeds in by_round.iterrows())
    verdict = replace(verdict, p=p, note=_joined(*notes, verdict.note))
    return _if_covered(verdict, rows["round"]) if verdict.verdict == HOLDS else verdict


def _if_covered(verdict: Verdict, rounds: pd.Series) -> Verdict:
    """Withhold a verdict unless both ends of the range that its claim speaks of are measured."""
    ends = sorted({verdict.claim.rounds[0], verdict.claim.rounds[-1]} - set(rounds))
    if not ends:
        return verdict
    lack = f"not measured at {' and '.join(f'{percent(k):.3g} %' for k in ends)}"
    return replace(verdict, verdict=UNKNOWN, note=_joined(verdict.note, lack))


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


def sparsity_note(rows: pd.DataFrame) -> str:
    """Say at which sparsities a claim was judged, if its rows are whole rounds."""
    return f"at {sparsity_range(rows['round'])}" if "round" in rows and rows["round"].notna().all() else ""


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
