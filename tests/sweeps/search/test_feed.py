"""What results make known is added to a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from lip.ledger.ledger import Ledger
from sweeps.drain import Drain
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.queue import Queue
from sweeps.scheduler import Scheduler
from sweeps.search.feed import PATIENCE, RECORD_EVERY, RETRY_AFTER, SearchFeed
from tests.sweeps.helpers import publish
from tests.sweeps.search.conftest import finish, plan_of, psnr, trials
from tests.sweeps.test_scheduler import Listener

Searching = Callable[..., str]

RACING = {"sampler": "tpe", "racing": {"first": 2}, "parallel": 2, "trials": 8}


class Bench:
    """A run without Ray, whose trials publish invented results at once."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.now, self.drain = 0.0, Drain()
        self.plan, self.ledger = plan, ledger
        self.remaining = plan.remaining_fits()
        queue = Queue({key: [fit.id for fit in fits] for key, fits in self.remaining.items()})
        self.progress = Progress(plan, queue, Console(quiet=True))
        self.feed = SearchFeed(plan, ledger, queue, self.progress, self.remaining, clock=lambda: self.now)
        self.listener = Listener()
        self.scheduler = Scheduler(queue, self.listener, clock=lambda: self.now, drain=self.drain, feed=self.feed)

    def step(self) -> bool:
        """Run a trajectory; tell whether there was one."""
        if (start := self.scheduler.next()) is not None:
            self.finish(start.key)
        return start is not None

    def finish(self, key: str) -> None:
        for fit in self.remaining[key]:
            publish(self.ledger, fit, psnr_stop_ema=psnr(fit), diverged=False)
            self.scheduler.on_report(key, {"published": fit.id})
        self.scheduler.on_end(key)


def test_a_run_goes_on_until_every_setting_is_decided(searching: Searching, ledger: Ledger, tmp_path) -> None:
    spec = searching(RACING)
    bench = Bench(plan_of(spec, ledger), ledger)
    while bench.step():
        pass
    assert not bench.scheduler
    assert not bench.plan.missing
    undisturbed = finish(spec, Ledger(tmp_path / "undisturbed"))
    assert trials(bench.plan.studies[0]) == trials(undisturbed.studies[0])


def test_a_drained_run_asks_for_nothing_more(searching: Searching, ledger: Ledger) -> None:
    bench = Bench(plan_of(searching(RACING), ledger), ledger)
    proposed = len(bench.plan.studies[0].candidates)
    while not bench.feed:
        bench.step()
    bench.drain.request("time is over")
    assert not bench.step()
    assert not bench.scheduler, "though results have arrived"
    assert len(bench.plan.studies[0].candidates) == proposed


def test_a_storage_that_does_not_answer_is_asked_again(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(plan_of(searching(RACING), ledger), ledger)
    broken = True
    fits = Ledger.fits

    def sometimes(*arguments: object, **options: object) -> object:
        if broken:
            raise OSError("gone")
        return fits(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "fits", sometimes)
    while bench.step():
        pass
    assert len(bench.plan.studies[0].candidates) == 2
    broken = False
    assert not bench.step(), "it waits a moment"
    assert bench.scheduler, "the run is not over"
    bench.now += RETRY_AFTER
    while bench.step():
        pass
    assert bench.plan.studies[0].is_decided


def test_a_storage_that_never_answers_ends_the_run(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(plan_of(searching(RACING), ledger), ledger)

    def never(*arguments: object, **options: object) -> object:
        raise OSError("gone")

    monkeypatch.setattr(Ledger, "fits", never)
    while bench.scheduler:
        bench.step()
        bench.now += RETRY_AFTER
    assert bench.now > PATIENCE


def test_the_search_is_recorded_now_and_then(searching: Searching, ledger: Ledger) -> None:
    bench = Bench(plan_of(searching(RACING), ledger), ledger)
    assert ledger.search("tiny", "smoke") is None
    while bench.step():
        bench.now += RECORD_EVERY
    recorded = ledger.search("tiny", "smoke")
    assert recorded is not None
    assert len(recorded["settings"]) == 9


def test_a_trajectory_that_fails_holds_the_search_up(searching: Searching, ledger: Ledger) -> None:
    bench = Bench(plan_of(searching(RACING), ledger), ledger)
    start = bench.scheduler.next()
    assert start is not None
    for _ in range(2):
        bench.scheduler.on_report(start.key, {"failed": "OSError: full"})
        bench.scheduler.on_end(start.key)
        bench.now += 60
        if not bench.listener.failures:
            while (again := bench.scheduler.next()) is not None and again.key != start.key:
                bench.finish(again.key)
    while bench.step():
        pass
    assert not bench.scheduler, "the run ends"
    assert bench.listener.failures == {start.key: "OSError: full"}
    study = bench.plan.studies[0]
    assert not study.is_decided
    assert study.candidates[0].state == "running"
    assert bench.plan.missing, "and says that it is not done"


def test_inputs_that_a_setting_needs_are_loaded_when_it_is_proposed(searching: Searching, ledger: Ledger) -> None:
    space = {"size": {"choice": [32, 48]}, "lr": {"log": [1e-3, 1e-1]}}
    bench = Bench(plan_of(searching(RACING | {"space": space}), ledger), ledger)
    while bench.step():
        for fits in bench.remaining.values():
            assert {fit.picture.content_hash for fit in fits} <= bench.plan.inputs.keys()
    assert {fit.picture.height for fit in bench.plan.fits.values()} == {32, 48}
