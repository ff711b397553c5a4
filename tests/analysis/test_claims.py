"""The claims, and how they are judged by an exhibit's effects."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

import analysis
from analysis.claims import HERE, NEGATIVE, POSITIVE, Claim, register, registered
from analysis.exhibits.verdicts import build_notes, fault_notes, verdicts_on
from analysis.verdicts import HOLDS, NOT_MEASURED, REFUTED

CLAIMS = list(analysis.CLAIMS.values())


def test_no_two_claims_have_the_same_id_or_statement():
    stated = [claim for exhibit in analysis.EXHIBITS.values() for claim in exhibit.claims]
    assert len({claim.id for claim in stated}) == len(stated)
    assert len({claim.statement for claim in stated}) == len(stated)


def test_every_claim_cites_the_paper_or_says_that_it_is_not_there():
    silent = [claim.id for claim in CLAIMS if not any(word in claim.paper for word in ("Fig.", "Table", "not in the"))]
    assert silent == []


def test_every_claim_is_registered_in_its_present_words():
    """After writing or changing a claim, run `python -m analysis register`: it is then dated today."""
    assert [claim.id for claim in CLAIMS if claim.written is None] == []
    assert list(registered()) == [claim.id for claim in CLAIMS]


def test_a_claim_that_follows_from_another_names_it():
    assert {claim.repeats for claim in CLAIMS if claim.repeats} <= set(analysis.CLAIMS)


@pytest.mark.parametrize(
    "change",
    [{"statement": "another"}, {"region": NEGATIVE}, {"rounds": (1, 2)}, {"every": ()}, {"outputs": ("peak",)}],
)
def test_a_changed_claim_is_another_one(change):
    assert replace(claim(), **change).hash != claim().hash


def test_registering_dates_what_is_new_and_keeps_what_is_not(monkeypatch, tmp_path):
    monkeypatch.setattr("analysis.claims.REGISTER", tmp_path / "register.csv")
    (tmp_path / "register.csv").write_text("id,hash,written\n")
    registered.cache_clear()
    old, new = claim(), replace(claim(), id="new")
    assert register([old], date(2026, 1, 1)) == 1
    assert register([old, new], date(2026, 2, 2)) == 1
    assert (old.written, new.written) == (date(2026, 1, 1), date(2026, 2, 2))
    assert replace(old, statement="another").written is None
    monkeypatch.undo()
    registered.cache_clear()


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
    return Claim(**words, value="gain", outputs=("last",), scopes=(HERE,), **values)


def test_a_claim_is_judged_by_its_own_rows(frames):
    rows = effects(1.0, 1.1, 0.9).assign(kind="ticket")
    rival = rows.assign(kind="rival", gain=-9.0)
    (verdict,) = verdicts_on(frames, claim(rows=lambda each: each["kind"] == "ticket"), pd.concat([rows, rival]))
    assert (verdict.verdict, verdict.effect, verdict.n) == (HOLDS, pytest.approx(1), 3)


def test_a_claim_is_judged_by_the_rounds_it_speaks_of(frames):
    rows = effects(1.0, 1.1, 0.9)
    rows.loc[rows["round"] == 2, "gain"] = -9.0
    (verdict,) = verdicts_on(frames, claim(rounds=(1,)), rows)
    assert (verdict.verdict, verdict.effect) == (HOLDS, pytest.approx(1))


def test_a_claim_is_not_measured_until_both_ends_of_its_rounds_are(frames):
    (verdict,) = verdicts_on(frames, claim(rounds=(1, 2, 3)), effects(1.0, 1.1, 0.9))
    assert (verdict.verdict, verdict.effect) == (NOT_MEASURED, pytest.approx(1))
    assert verdict.note == "at 20–36 %; least certain at 20 %; not measured at 48.8 %"
    assert not verdict.tested


def test_rounds_without_an_end_need_their_beginning_only(frames):
    (verdict,) = verdicts_on(frames, claim(rounds=(2,), open_ended=True), effects(1.0, 1.1, 0.9))
    assert (verdict.verdict, verdict.note) == (HOLDS, "at 36 %")
    (verdict,) = verdicts_on(frames, claim(rounds=(0,), open_ended=True), effects(1.0, 1.1, 0.9))
    assert (verdict.verdict, verdict.note.split("; ")[-1]) == (NOT_MEASURED, "not measured at 0 %")


def test_what_is_refuted_at_a_measured_round_is_refuted_whatever_is_not_measured(frames):
    (verdict,) = verdicts_on(frames, claim(rounds=(1, 2, 3)), effects(-1.0, -1.1, -0.9))
    assert verdict.verdict == REFUTED


def test_a_claim_about_an_image_is_not_measured_on_another(frames):
    (verdict,) = verdicts_on(frames, claim(covers={"image": ("bird",)}), effects(-1.0, -1.1, -0.9))
    assert (verdict.verdict, verdict.note.split("; ")[-1]) == (NOT_MEASURED, "not measured on bird")


def test_the_collapse_of_every_fit_says_nothing(frames):
    collapsed = replace(frames, fits=frames.fits.assign(collapsed=True))
    (verdict,) = verdicts_on(collapsed, claim(), effects(1.0, 1.1, 0.9))
    assert (verdict.verdict, verdict.note.split("; ")[-1]) == (NOT_MEASURED, "every fit collapsed")


def test_no_effects_name_the_command(frames):
    (verdict,) = verdicts_on(frames, claim(), effects(float("nan")))
    assert (verdict.verdict, verdict.n) == (NOT_MEASURED, 0)
    assert verdict.note == f"not measured; python -m sweeps run invented --profile smoke --storage {frames.storage}"


def test_another_reason_than_missing_fits_is_given_instead(frames):
    (verdict,) = verdicts_on(frames, claim(unless=lambda rows: "it never stops"), effects(float("nan")))
    assert verdict.note == "it never stops"


def test_fits_that_round_differently_are_named():
    fits = pd.DataFrame(
        {"backend": ["dense", "numba"], "kernels": [None, "a"], "device": "cpu", "precision": "float32"}
    )
    assert build_notes(fits) == ["mixed backend: dense, numba"]


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
