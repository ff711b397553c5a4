"""The claims, and how they are judged by an exhibit's effects."""

from __future__ import annotations

import pandas as pd
import pytest

import analysis
from analysis.exhibits.verdicts import fault_notes, verdicts_on
from analysis.stats import HOLDS, POSITIVE, UNKNOWN, Claim

CLAIMS = list(analysis.CLAIMS.values())


def test_no_two_claims_have_the_same_id_or_statement():
    stated = [claim for exhibit in analysis.EXHIBITS.values() for claim in exhibit.claims]
    assert len({claim.id for claim in stated}) == len(stated)
    assert len({claim.statement for claim in stated}) == len(stated)


def test_every_claim_cites_the_paper_or_says_that_it_is_not_there():
    silent = [claim.id for claim in CLAIMS if not any(word in claim.paper for word in ("Fig.", "Table", "not in the"))]
    assert silent == []


def test_every_claim_is_judged_by_outputs_that_its_unit_has():
    assert {claim.unit for claim in CLAIMS if "masks" in claim.outputs} == {"ρ", "points"}


@pytest.fixture
def frames(invented) -> analysis.Frames:
    invented.sweep([invented.trajectory(seed=seed, rounds=2) for seed in range(3)])
    return analysis.load(invented.folder, "invented")


def effects(*gains: float, output: str = "last") -> pd.DataFrame:
    """One effect per seed and round 1 and 2."""
    rows = [(seed, k, "cat", output, gain) for seed, gain in enumerate(gains) for k in (1, 2)]
    return pd.DataFrame(rows, columns=["seed", "round", "image", "output", "gain"])


def claim(**values) -> Claim:
    words = {"id": "id", "statement": "statement", "paper": "paper", "statistic": "statistic", "region": POSITIVE}
    return Claim(**words, value="gain", outputs=("last",), **values)


def test_a_claim_is_judged_by_its_own_rows(frames):
    rows = effects(1.0, 2.0, 3.0).assign(kind="ticket")
    rival = rows.assign(kind="rival", gain=-9.0)
    (verdict,) = verdicts_on(frames, claim(rows=lambda each: each["kind"] == "ticket"), pd.concat([rows, rival]))
    assert (verdict.verdict, verdict.effect, verdict.n) == (HOLDS, 2, 3)


def test_a_claim_is_judged_by_the_rounds_it_speaks_of(frames):
    rows = effects(1.0, 2.0, 3.0)
    rows.loc[rows["round"] == 2, "gain"] = -9.0
    (verdict,) = verdicts_on(frames, claim(rounds=(1,)), rows)
    assert (verdict.verdict, verdict.effect) == (HOLDS, 2)


def test_a_claim_is_open_until_both_ends_of_its_rounds_are_measured(frames):
    (verdict,) = verdicts_on(frames, claim(rounds=(1, 2, 3)), effects(2.0, 2.0, 2.0))
    assert (verdict.verdict, verdict.effect) == (UNKNOWN, 2)
    assert verdict.note == "at 20–36 %; not measured at 48.8 %"


def test_no_effects_name_the_command(frames):
    (verdict,) = verdicts_on(frames, claim(), effects(float("nan")))
    assert (verdict.verdict, verdict.n) == (UNKNOWN, 0)
    assert verdict.note == f"not measured; python -m sweeps run invented --profile smoke --storage {frames.storage}"


def test_another_reason_than_missing_fits_is_given_instead(frames):
    (verdict,) = verdicts_on(frames, claim(unless=lambda rows: "it never stops"), effects(float("nan")))
    assert verdict.note == "it never stops"


def test_excluded_fits_are_counted_among_all_and_collapsed_ones_among_the_judged():
    fits = pd.DataFrame(
        {
            "fit": ["a", "b", "b", "c"],
            "stalled": [True, False, False, False],
            "diverged": False,
            "collapsed": [False, True, True, True],
        }
    )
    notes = fault_notes(fits, fits[fits["fit"] == "b"])
    assert notes == ["1 of 3 fits stalled: left out", "1 of 1 fit collapsed: included"]
