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
        self.scheduler = Scheduler(queue, Listener(), clock=lambda: self.now, drain=self.drain, feed=self.feed)

    def step(self) -> bool:
        """Run a trajectory; tell whether there was one."""
        if (start := self.scheduler.next()) is None:
            return False
        for fit in self.remaining[start.key]:
            publish(self.ledger, fit, psnr_stop_ema=psnr(fit), diverged=False)
            self.scheduler.on_report(start.key, {"published": fit.id})
        self.scheduler.on_end(start.key)
        return True


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
