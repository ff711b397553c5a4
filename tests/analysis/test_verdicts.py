"""Three words and when each is said, on rows whose truth is exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import isnan, nan

import pandas as pd
import pytest

from analysis.claims import ANYWHERE, EQUAL, HERE, MATCHING, NEGATIVE, POSITIVE, Claim
from analysis.verdicts import HOLDS, NOT_MEASURED, REFUTED, UNDECIDED, Verdict, adjusted, judge


def claim(region=POSITIVE, **values) -> Claim:
    words = {"id": "id", "statement": "statement", "paper": "paper", "statistic": "statistic", "value": "gain"}
    return Claim(**{**words, "region": region, **values})


def rows(*gains: float, round: int = 1, image: str = "cat") -> pd.DataFrame:
    """One row per seed."""
    return pd.DataFrame({"seed": range(len(gains)), "round": round, "image": image, "gain": gains})


SURE, UNSURE, AGAINST = (1.0, 1.1, 0.9), (1.0, -1.0, 0.5), (-1.0, -1.1, -0.9)


@pytest.mark.parametrize(("gains", "word"), [(SURE, HOLDS), (UNSURE, UNDECIDED), (AGAINST, REFUTED)])
def test_two_tests_give_three_words(gains: tuple[float, ...], word: str):
    assert judge(claim(), rows(*gains)).verdict == word


def test_a_positive_mean_alone_decides_nothing():
    """Of a true null, half of all means are positive."""
    verdict = judge(claim(), rows(0.1, 0.2, -0.05))
    assert verdict.effect > 0
    assert (verdict.verdict, verdict.low < 0) == (UNDECIDED, True)


def test_an_undecided_claim_says_what_would_decide_it():
    """Mean 1/6 and standard deviation 1.04 need (2.5 * 1.04 / (1/6)) squared = 242 seeds."""
    verdict = judge(claim(), rows(*UNSURE))
    assert verdict.note == "about 243 seeds would decide it"


def test_a_claim_on_the_threshold_is_not_decided_by_any_n():
    assert judge(claim(), rows(1.0, 0.0, -1.0)).note == "too near the threshold to decide"


def test_matching_is_non_inferiority_with_its_margin_in_words():
    below = judge(claim(MATCHING), rows(-0.05, -0.051, -0.049))
    assert (below.verdict, str(below)) == (HOLDS, "-0.05 dB [-0.05, -0.05], n = 3: holds (at most 0.1 dB below)")
    assert judge(claim(MATCHING), rows(-0.05, -0.2, 0.1)).verdict == UNDECIDED
    assert judge(claim(EQUAL), rows(0.2, 0.21, 0.19)).verdict == REFUTED


def test_fewer_than_three_seeds_are_undecided():
    one, two = judge(claim(), rows(5.0)), judge(claim(), rows(5.0, 7.0))
    assert (one.verdict, one.n, one.effect, one.note) == (UNDECIDED, 1, 5, "1 seed, 3 are needed")
    assert (two.verdict, two.n, two.effect, isnan(two.p)) == (UNDECIDED, 2, 6, True)
    assert one.measured == "+5.00 dB, n = 1"


def test_fewer_than_three_photographs_are_undecided_in_general():
    several = pd.concat([rows(*SURE), rows(*SURE, image="dog")])
    assert judge(claim(), several, scope=HERE).verdict == HOLDS
    verdict = judge(claim(), several, scope=ANYWHERE)
    assert (verdict.verdict, verdict.note) == (UNDECIDED, "2 photographs, 3 are needed")


def test_photographs_that_disagree_decide_nothing_in_general():
    several = pd.concat([rows(*(gain + shift for gain in SURE), image=str(shift)) for shift in (-2, 0, 3)])
    assert judge(claim(), several, scope=HERE).verdict == HOLDS
    assert judge(claim(), several, scope=ANYWHERE).verdict == UNDECIDED


def test_equal_values_cannot_be_tested():
    verdict = judge(claim(), rows(1.0, 1.0, 1.0))
    assert (verdict.verdict, verdict.effect) == (UNDECIDED, 1)
    assert verdict.note == "all seeds give the same value, so there is no spread to test with"


def test_no_data_is_not_measured():
    verdict = judge(claim(), rows(nan, nan))
    assert (verdict.verdict, verdict.n, verdict.measured, verdict.tested) == (NOT_MEASURED, 0, "no data", "")


def test_a_seed_with_a_gap_is_left_out_and_counted():
    verdict = judge(claim(every=()), pd.concat([rows(*SURE, 9.0), rows(*SURE, nan, round=2)]))
    assert (verdict.n, verdict.effect, verdict.note) == (3, 1, "1 incomplete seed left out")


def test_every_round_must_pass():
    """The mean over rounds would hold."""
    both = pd.concat([rows(9.0, 9.1, 8.9), rows(*UNSURE, round=2)])
    verdict = judge(claim(), both)
    assert (verdict.verdict, verdict.effect) == (UNDECIDED, pytest.approx(1 / 6))
    assert verdict.note.startswith("not certain at 36 %; about ")
    assert judge(claim(every=()), both).verdict == HOLDS


def test_one_round_refutes_all():
    verdict = judge(claim(), pd.concat([rows(9.0, 9.1, 8.0), rows(*AGAINST, round=2)]))
    assert (verdict.verdict, verdict.effect, verdict.note) == (REFUTED, pytest.approx(-1), "refuted at 36 %")


def test_rounds_that_are_each_uncertain_may_refute_together():
    """If every round had a positive effect, so had their mean."""
    first, second = (-1.0, -0.1, -0.6), (-0.1, -1.0, -0.6)
    verdict = judge(claim(), pd.concat([rows(*first), rows(*second, round=2)]))
    assert (verdict.verdict, verdict.note) == (REFUTED, "refuted on average")


def test_a_trend_is_a_slope_of_every_photograph():
    growing = pd.concat(
        [
            rows(*(slope * k + start for slope in SURE), round=k, image=image)
            for k in (1, 2, 4)
            for image, start in (("a", 0), ("b", 9))
        ]
    )
    verdict = judge(claim(trend="round", unit="dB per round"), growing)
    assert (verdict.verdict, verdict.effect) == (HOLDS, pytest.approx(1))
    assert (verdict.low, verdict.high) == pytest.approx((0.7516, 1.2484), abs=1e-4)


def test_false_discoveries_are_controlled_over_primary_verdicts_of_one_scope():
    first = judge(claim(outputs=("peak", "last")), rows(*SURE), "peak")
    again = replace(first, claim=claim(repeats="other", outputs=("peak", "last")))
    wider = replace(first, scope=ANYWHERE, p=0.2)
    several = [first, replace(first, output="last"), again, replace(first, p=0.04), wider]
    q = [each.q for each in adjusted(several)]
    assert (q[0], q[3], q[4]) == pytest.approx((2 * first.p, 0.04, 0.2))
    assert isnan(q[1])
    assert isnan(q[2])


def test_a_claim_is_confirmed_if_it_is_decided_after_correction():
    (one,) = adjusted([judge(claim(), rows(*SURE), "peak")])
    assert one.confirmed
    assert not replace(one, q=0.2).confirmed
    assert not replace(one, verdict=UNDECIDED).confirmed


def test_a_claim_is_exploratory_unless_it_was_written_the_day_before_its_data(monkeypatch):
    verdict = judge(claim(), rows(*SURE))
    day = date(2026, 1, 2)
    monkeypatch.setattr(Claim, "written", day)
    told = [replace(verdict, started=date(2026, 1, day)).registration for day in (1, 2, 3)]
    assert told == ["exploratory", "exploratory", "written before its data"]
    monkeypatch.setattr(Claim, "written", None)
    assert replace(verdict, started=date(2027, 1, 1)).registration == "exploratory"


def test_what_is_measured_and_tested_in_words():
    verdict = judge(claim(NEGATIVE), rows(1.0, 2.0, 3.0))
    assert verdict.measured == "+2.00 dB [-0.48, +4.48], n = 3"
    assert verdict.tested == "d = 2.0, p = 0.037"
    assert isinstance(verdict, Verdict)
