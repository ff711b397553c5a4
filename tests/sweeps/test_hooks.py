"""What Tune asks and tells, without Ray and Tune."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from ray.exceptions import RayTaskError, WorkerCrashedError
from ray.tune.search import Searcher

from lip.ledger.ledger import Ledger
from sweeps import hooks
from sweeps.budget import Budget, Meter
from sweeps.drain import Drain
from sweeps.heartbeat import Heartbeat, may_begin
from sweeps.hooks import DrainStopper, SchedulerSearcher, TrialCallback
from sweeps.queue import Queue
from sweeps.scheduler import Scheduler


class Log:
    """Stands for the display and the list of failures."""

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.lines.append((name, *arguments))


class Trial:
    def __init__(self, key: str, error: Exception | None = None) -> None:
        self.config: dict[str, object] = {"key": key}
        self.error = error

    def get_pickled_error(self) -> Exception | None:
        return self.error


class Bench:
    """A sweep of two trajectories that share a fit; the nodes that are lost are set by hand."""

    def __init__(self, heartbeat: Heartbeat, lost: set[str]) -> None:
        self.log, self.heartbeat, self.lost = Log(), heartbeat, lost
        self.drain, self.now = Drain(), 0.0
        self.scheduler = Scheduler(Queue({"a": ["dense", "a1"], "b": ["dense", "b1"]}), self.log, drain=self.drain)
        self.searcher = SchedulerSearcher(self.scheduler, lambda key: {"pruner": key})
        meter = Meter(Budget(hours=1, began=0.0), 1, clock=lambda: self.now)
        self.callback = TrialCallback(self.scheduler, self.log, heartbeat, self.drain, meter)  # type: ignore[arg-type]
        self.stopper = DrainStopper(self.drain, heartbeat)

    def report(self, key: str, **report: object) -> None:
        self.callback.on_trial_result(0, [], Trial(key), report)


@pytest.fixture
def bench(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    lost: set[str] = set()
    monkeypatch.setattr(hooks, "_lost_nodes", lambda: set(lost))
    return Bench(Heartbeat(Ledger(tmp_path / "results")), lost)


def test_tune_gets_what_can_start_until_all_is_done(bench: Bench) -> None:
    assert bench.searcher.suggest("1") == {"pruner": "a", "key": "a", "gpus": 0.0}
    assert bench.searcher.suggest("2") is None, "b waits for the dense fit"
    bench.report("a", published="dense", row="null")
    assert bench.searcher.suggest("2") == {"pruner": "b", "key": "b", "gpus": 0.0}
    for key in "ab":
        bench.report(key, published=f"{key}1", row="null")
        bench.callback.on_trial_complete(0, [], Trial(key))
    assert bench.searcher.suggest("3") == Searcher.FINISHED


def test_what_a_trial_is_to_do_is_taken_out_of_its_config_once_it_has_it(bench: Bench) -> None:
    trial = Trial("a")
    trial.config |= {"pruner": "imp", "work": b"pickled"}
    bench.callback.on_trial_start(0, [], trial)
    assert trial.config == {"pruner": "imp", "key": "a"}


def test_reports_are_shown_and_are_in_the_heartbeat(bench: Bench) -> None:
    bench.searcher.suggest("1")
    bench.callback.on_trial_start(0, [], Trial("a"))
    assert bench.heartbeat.at == {"a": "starting"}
    bench.report("a", mask="round 0", step=3, score="20.00 dB")
    assert bench.heartbeat.at == {"a": "round 0, step 3, 20.00 dB"}
    bench.report("a", waiting="for storage x")
    assert bench.heartbeat.at == {"a": "waiting for storage x"}
    bench.report("a", published="dense", row=json.dumps({"seconds": 1.0}))
    bench.report("a", published="a1", row="null")
    bench.callback.on_trial_complete(0, [], Trial("a"))
    assert bench.heartbeat.at == {}
    assert bench.log.lines == [
        ("running", "a", "round 0, step 3, 20.00 dB", 3),
        ("running", "a", "waiting for storage x", 0),
        ("published", "a", "dense", {"seconds": 1.0}),
        ("published", "a", "a1", None),
        ("finished", "a"),
        ("ended", "a"),
    ]


@pytest.mark.parametrize(
    ("error", "lost", "note"),
    [
        (WorkerCrashedError(), False, "its process died; starts again in 1 s"),
        (WorkerCrashedError(), True, "its node was lost; starts again in 1 s"),
        (None, False, "its process died; starts again in 1 s"),
        (
            RayTaskError("train", "Traceback\nOSError: full", OSError("full")),
            True,
            "OSError: full; will be retried once",
        ),
    ],
)
def test_an_error_is_a_death_the_loss_of_a_node_or_a_failure(
    bench: Bench, error: Exception | None, lost: bool, note: str
) -> None:
    bench.searcher.suggest("1")
    bench.lost.update({"node"} if lost else ())
    bench.callback.on_trial_error(0, [], Trial("a", error))
    assert bench.log.lines == [("note", "a", note), ("ended", "a")]


def test_a_spent_budget_drains_the_run_once_and_tells_its_trials(bench: Bench) -> None:
    storage = bench.heartbeat._storage
    bench.searcher.suggest("1")
    bench.callback.on_trial_start(0, [], Trial("a"))
    bench.now = 3500.0
    bench.callback.on_step_end(0, [])
    assert may_begin(storage, bench.heartbeat.run, 100.0)
    assert not may_begin(storage, bench.heartbeat.run, 101.0)
    assert not bench.drain
    bench.now = 3600.0
    for _ in range(2):
        bench.callback.on_step_end(0, [])
    assert not may_begin(storage, bench.heartbeat.run, 0.0)
    assert bench.log.lines == [("draining", "the budget of 1 hours is spent")]
    assert not bench.stopper.stop_all(), "a fit is in training"
    bench.report("a", published="dense", row="null")
    bench.report("a", drained=True)
    bench.callback.on_trial_complete(0, [], Trial("a"))
    assert bench.stopper.stop_all()
    assert bench.searcher.suggest("2") == Searcher.FINISHED
    assert ("finished", "a") not in bench.log.lines


def test_nothing_of_a_run_is_in_the_state_that_tune_pickles(bench: Bench) -> None:
    assert len(pickle.dumps([bench.searcher, bench.callback, bench.stopper])) < 250
