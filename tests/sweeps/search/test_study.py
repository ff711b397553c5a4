"""A study proposes the same settings in whatever order results arrive, and from wherever it is rebuilt."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from pathlib import Path
from statistics import fmean

import pytest

from lip.ledger.ledger import Ledger
from sweeps.plan import Plan
from sweeps.search.study import COMPLETE, DROPPED, IMPOSSIBLE, Study
from tests.sweeps.helpers import publish
from tests.sweeps.search.conftest import finish, plan_of, psnr, trials

Searching = Callable[..., str]

RACING = {"sampler": "tpe", "racing": {"first": 2}, "parallel": 3, "trials": 20}


def test_the_baseline_comes_first_and_every_setting_is_fitted_to_every_block(
    searching: Searching, ledger: Ledger
) -> None:
    plan = finish(searching(), ledger)
    (study,) = plan.studies
    assert study.candidates[0].setting == {}
    assert len(study.candidates) == 13
    assert {one.state for one in study.candidates} == {COMPLETE}
    for one in study.candidates:
        assert one.scores == [psnr(trajectory.fits[-1]) for trajectory in one.trajectories]
        assert one.score == fmean(one.scores)
    assert study.best is max(study.candidates, key=lambda one: one.score)
    assert len(plan.fits) == 13 * 4


def test_a_random_search_is_known_at_once_and_one_that_learns_as_results_come(
    searching: Searching, ledger: Ledger
) -> None:
    assert len(plan_of(searching(), ledger).sweep.trajectories) == 13 * 4
    (study,) = plan_of(searching({"sampler": "tpe", "parallel": 3}), ledger).studies
    assert len(study.candidates) == 3


def test_the_order_in_which_results_arrive_changes_nothing(searching: Searching, tmp_path: Path) -> None:
    spec = searching(RACING)
    found = []
    for seed in range(3):
        ledger = Ledger(tmp_path / str(seed))
        plan, draw = plan_of(spec, ledger), random.Random(seed)
        while plan.missing:
            arrived = draw.sample(sorted(plan.missing), min(len(plan.missing), draw.randint(1, 4)))
            for key in arrived:
                publish(ledger, plan.fits[key], psnr_stop_ema=psnr(plan.fits[key]), diverged=False)
            plan.published |= set(arrived)
            plan.grow(ledger, set(arrived))
        found.append(trials(plan.studies[0]))
    assert found[0] == found[1] == found[2]
    assert {state for _, state, _, _ in found[0]} == {COMPLETE, DROPPED}


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_study_is_rebuilt_from_the_ledger_at_any_moment(
    searching: Searching, tmp_path: Path, is_recorded: bool
) -> None:
    """As after a kill: what was published is there, the record may be behind, or not."""
    spec = searching(RACING)
    undisturbed = finish(spec, Ledger(tmp_path / "undisturbed"))
    ledger = Ledger(tmp_path / "killed")
    while (plan := finish(spec, ledger, most=5)).missing:
        if is_recorded:
            plan.record(ledger)
    assert trials(plan.studies[0]) == trials(undisturbed.studies[0])
    assert plan.fits.keys() == undisturbed.fits.keys()
    assert sorted(ledger.fits(["fit"])["fit"].to_pylist()) == sorted(plan.fits), "nothing else was trained"


def test_a_dropped_setting_is_clearly_worse_and_costs_fewer_fits(searching: Searching, ledger: Ledger) -> None:
    (study,) = finish(searching(RACING), ledger).studies
    dropped = [one for one in study.candidates if one.state == DROPPED]
    assert dropped
    for one in dropped:
        assert len(one.fits) < 4
        assert one.rival is not None
        assert one.score < one.rival.score
        assert one.rival.number <= one.number - 3, "the rival was told when this one was proposed"
    assert study.best is not None
    assert study.best.score == max(one.score for one in study.candidates)


def test_the_first_blocks_show_every_photograph(searching: Searching, ledger: Ledger) -> None:
    (study,) = plan_of(searching(), ledger).studies
    names = [(trajectory.picture.name, trajectory.seed) for trajectory in study.candidates[1].trajectories]
    assert names == [("astronaut", 0), ("chelsea", 0), ("astronaut", 1), ("chelsea", 1)]


def test_a_fit_that_diverged_makes_its_setting_the_worst(searching: Searching, ledger: Ledger) -> None:
    plan = plan_of(searching({"sampler": "tpe"}), ledger)
    fit = plan.studies[0].candidates[1].trajectories[0].fits[-1]
    publish(ledger, fit, psnr_stop_ema=30.0, diverged=True)
    (study,) = finish(searching({"sampler": "tpe"}), ledger).studies
    assert study.candidates[1].score == -inf
    assert study.best is not study.candidates[1]
    assert len(study.candidates) == 13


def test_a_setting_that_no_fit_can_have_is_impossible_and_the_search_goes_on(
    searching: Searching, ledger: Ledger
) -> None:
    """Five scales fit a width, and a width fits 8 pixels, but they do not fit together."""
    space = {"scales": {"choice": [2, 4]}, "size": {"choice": [16, 32]}, "lr": {"log": [1e-3, 1e-1]}}
    spec = searching({"space": space}, profiles={"smoke": {"steps": 40, "width": 8}})
    (study,) = finish(spec, ledger).studies
    impossible = [one for one in study.candidates if one.state == IMPOSSIBLE]
    assert {(one.setting["scales"], one.setting["size"]) for one in impossible} == {(4, 16)}
    assert "needs at least" in impossible[0].reason
    assert study.is_decided


def test_the_best_and_the_baseline_are_compared_on_blocks_held_out(searching: Searching, ledger: Ledger) -> None:
    spec = searching({"held_out": {"image": ["coffee"], "seed": [5, 6]}})
    plan = finish(spec, ledger)
    (study,) = plan.studies
    assert study.best is not None
    assert study.held_out.keys() == {0, study.best.number}
    for trajectories in study.held_out.values():
        assert [(one.picture.name, one.seed) for one in trajectories] == [("coffee", 5), ("coffee", 6)]
    assert len(plan.fits) == 13 * 4 + 4


def test_more_trials_go_on_from_where_fewer_ended(searching: Searching, tmp_path: Path) -> None:
    at_once = finish(searching(RACING), Ledger(tmp_path / "at once"))
    ledger = Ledger(tmp_path / "in two")
    finish(searching(RACING | {"trials": 9}), ledger).record(ledger)
    assert trials(finish(searching(RACING), ledger).studies[0]) == trials(at_once.studies[0])


def test_two_searches_share_what_they_have_in_common(searching: Searching, ledger: Ledger) -> None:
    finish(searching(), ledger)
    again = plan_of(searching({"trials": 6, "objective": "psnr_stop_ema"}), ledger)
    assert not again.missing


def test_a_grid_runs_all_of_it(searching: Searching, ledger: Ledger) -> None:
    space = {"lr": {"log": [1e-3, 1e-1], "points": 3}, "width": {"int": [8, 24], "step": 8}}
    (study,) = finish(searching({"space": space, "sampler": "grid", "trials": None}), ledger).studies
    assert len(study.candidates) == 10
    assert study.best is not None
    assert study.best.setting == {"lr": 0.1, "width": 16}


def test_what_is_missing_is_never_empty_before_the_end(searching: Searching, ledger: Ledger) -> None:
    """A run ends when nothing is missing."""
    plan: Plan = plan_of(searching(RACING), ledger)
    study: Study = plan.studies[0]
    while not study.is_decided:
        assert plan.missing
        fit = next(iter(plan.missing.values()))
        publish(ledger, fit, psnr_stop_ema=psnr(fit), diverged=False)
        plan.published |= {fit.id}
        plan.grow(ledger, {fit.id})
