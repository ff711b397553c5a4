"""Lost nodes, dying processes, full GPUs and errors, without Ray and without waiting."""

from __future__ import annotations

from random import Random

from sweeps.drain import Drain
from sweeps.queue import Queue
from sweeps.scheduler import MAX_DEATHS, MAX_DELAY, RECHECK_AFTER, RETRY_AFTER, Scheduler


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.failures: dict[str, str] = {}
        self.logs: dict[str, str] = {}
        self.done: list[str] = []

    def note(self, key: str, text: str) -> None:
        self.notes.append(f"{key}: {text}")

    def failed(self, key: str, cause: str, log: str) -> None:
        self.failures[key] = cause
        self.logs[key] = log

    def finished(self, key: str) -> None:
        self.done.append(key)


class Bench:
    """A scheduler with a clock that is set by hand."""

    def __init__(self, needs: dict[str, list[str]], gpus: float = 0.0) -> None:
        self.now = 0.0
        self.listener = Listener()
        self.drain = Drain()
        self.scheduler = Scheduler(Queue(needs), self.listener, gpus, clock=lambda: self.now, drain=self.drain)

    def next(self) -> str | None:
        start = self.scheduler.next()
        return start and start.key

    def finish(self, key: str, *fits: str) -> None:
        for fit in fits:
            self.scheduler.on_report(key, {"published": fit})
        self.scheduler.on_end(key)


def test_what_is_preempted_starts_again_without_limit_and_waits_twice_as_long_each_time() -> None:
    bench = Bench({"a": ["a0"]})
    waits = []
    for _ in range(20):
        assert bench.next() == "a"
        bench.scheduler.on_death("a", "its node has died", node_lost=True)
        died = bench.now
        while bench.next() is None:
            bench.now += 0.5
        bench.scheduler.on_death("a", "its node has died", node_lost=True)
        waits.append(bench.now - died)
        bench.now += MAX_DELAY
    assert waits[:4] == [1, 4, 16, 60]
    assert max(waits) == MAX_DELAY
    assert bench.listener.failures == {}
    assert bench.scheduler, "it is still to come"


def test_another_takes_over_at_once_what_an_interrupted_one_should_have_made() -> None:
    bench = Bench({"a": ["dense", "a1"], "b": ["dense", "b1"], "c": ["dense", "c1"]})
    assert (bench.next(), bench.next()) == ("a", None)
    bench.scheduler.on_death("a", "killed", node_lost=False)
    assert (bench.next(), bench.next()) == ("b", None)
    bench.now = 100
    assert bench.next() is None, "a waits for b's dense fit now, and holds no slot"
    bench.scheduler.on_report("b", {"published": "dense"})
    assert (bench.next(), bench.next()) == ("c", "a")


def test_what_another_run_is_at_is_left_to_it_and_looked_at_again() -> None:
    bench = Bench({"a": ["a0", "a1"], "b": ["b0"]})
    assert bench.next() == "a"
    bench.scheduler.on_report("a", {"elsewhere": True})
    bench.scheduler.on_end("a")
    assert (bench.next(), bench.next()) == ("b", None)
    bench.finish("b", "b0")
    assert bench.scheduler, "the other run may not live to finish it"
    bench.now += RECHECK_AFTER
    assert bench.next() == "a"
    bench.finish("a", "a0", "a1")
    assert (bench.listener.done, bench.listener.notes, bool(bench.scheduler)) == (["b", "a"], [], False)


def test_a_process_that_keeps_dying_at_one_fit_fails_but_not_one_that_gets_on() -> None:
    bench = Bench({"a": ["a0", "a1"], "b": ["b0"]})
    for death in range(2 * MAX_DEATHS - 1):
        bench.now += MAX_DELAY
        assert bench.next() == "a"
        if death == 2:
            bench.scheduler.on_report("a", {"published": "a0"})
        bench.scheduler.on_death("a", "killed", node_lost=False)
        if bench.listener.failures:
            break
        assert bench.next() == "b" or death
    assert death == 2 + MAX_DEATHS - 1
    assert bench.listener.failures == {"a": f"its process died {MAX_DEATHS} times at the same fit (killed)"}


def test_deaths_that_turn_out_to_be_losses_of_nodes_do_not_count() -> None:
    bench = Bench({"a": ["a0"]})
    for _ in range(3 * MAX_DEATHS):
        bench.now += MAX_DELAY
        assert bench.next() == "a"
        bench.scheduler.on_death("a", "killed", node_lost=False)
        bench.scheduler.forgive_death("a")
    assert bench.listener.failures == {}


def test_what_raises_is_tried_once_more_and_then_has_failed() -> None:
    bench = Bench({"a": ["a0"], "b": ["b0"]})
    assert (bench.next(), bench.next()) == ("a", "b")
    bench.finish("b", "b0")
    for _ in range(2):
        bench.scheduler.on_report("a", {"failed": "OSError in round 1: disk full", "log": "Traceback"})
        bench.scheduler.on_end("a")
        if bench.listener.failures:
            break
        assert bench.next() is None
        bench.now += RETRY_AFTER
        assert bench.next() == "a"
    assert bench.listener.failures == {"a": "OSError in round 1: disk full"}
    assert bench.listener.logs == {"a": "Traceback"}
    assert bench.listener.done == ["b"]
    assert not bench.scheduler


def test_out_of_gpu_memory_puts_fewer_on_each_gpu_and_starts_again() -> None:
    bench = Bench({key: [f"{key}0"] for key in "abcde"}, gpus=0.25)
    assert [bench.scheduler.next().gpus for _ in range(4)] == [0.25] * 4
    for key in "ab":  # both had a quarter: one of them is enough to learn from
        bench.scheduler.on_report(key, {"failed": "OutOfMemoryError", "out_of_memory": True})
        bench.scheduler.on_end(key)
    assert bench.listener.notes == ["a: out of GPU memory: from now on 3 per GPU (--gpus 0.3333)"]
    starts = [bench.scheduler.next() for _ in range(3)]
    assert [(start.key, start.gpus) for start in starts] == [("e", 0.3333), ("a", 0.3333), ("b", 0.3333)]
    for key, share in (("a", 0.5), ("a", 1.0)):
        bench.scheduler.on_report(key, {"failed": "OutOfMemoryError", "out_of_memory": True})
        bench.scheduler.on_end(key)
        start = bench.scheduler.next()
        assert (start.key, start.gpus) == (key, share)
    for _ in range(2):  # a whole GPU is too small: that is an error like any other
        bench.scheduler.on_report("a", {"failed": "OutOfMemoryError", "out_of_memory": True})
        bench.scheduler.on_end("a")
        bench.now += RETRY_AFTER
        bench.next()
    assert bench.listener.failures == {"a": "OutOfMemoryError"}


def test_a_drained_run_starts_nothing_and_ends_when_its_trials_have_ended() -> None:
    bench = Bench({"c": ["c0"], "a": ["a0", "a1"]})
    assert bench.next() == "c"
    bench.drain.request("enough")
    bench.drain.request("more than enough")
    assert bench.drain.reason == "enough"
    assert bench.next() is None
    assert bench.scheduler, "c is in training"
    bench.finish("c", "c0")
    assert (bool(bench.scheduler), bench.listener.done, bench.scheduler.n_drained) == (False, ["c"], 0)


def test_what_has_no_time_for_its_next_fit_is_left_and_others_are_tried() -> None:
    bench = Bench({"a": ["dense", "a1"], "b": ["dense", "b1"], "c": ["c0"]})
    started = []
    while key := bench.next():
        started.append(key)
        bench.scheduler.on_report(key, {"drained": True})
        bench.scheduler.on_end(key)
    assert started == ["a", "b", "c"]
    assert (bool(bench.scheduler), bench.listener.done, bench.scheduler.n_drained) == (False, [], 3)


def test_what_is_stopped_from_outside_is_not_taken_for_finished() -> None:
    bench = Bench({"a": ["dense", "a1"], "b": ["dense", "b1"]})
    assert bench.next() == "a"
    bench.scheduler.on_end("a")
    assert (bench.listener.done, bench.listener.failures, bench.scheduler.n_drained) == ([], {}, 0)
    assert bench.next() == "b", "which trains the fit that both need"


def test_whatever_happens_every_fit_is_made_once_and_everything_comes_to_an_end() -> None:
    for seed in range(100):
        run_at_random(Random(seed))


def run_at_random(draw: Random) -> None:
    fits = [f"fit{i}" for i in range(12)]
    needs = {f"t{i}": sorted(draw.sample(fits, draw.randint(1, 5))) for i in range(10)}
    bench = Bench(needs)
    running: dict[str, list[str]] = {}
    made: list[str] = []
    for _ in range(10_000):
        if not bench.scheduler:
            break
        if len(running) < 3 and (key := bench.next()) is not None:
            running[key] = [fit for fit in needs[key] if fit not in made]
            assert not {fit for fit in running[key] for other in running if other != key and fit in running[other]}
            continue
        if not running:
            bench.now += 1
            continue
        key = draw.choice(sorted(running))
        if draw.random() < 0.3:
            bench.scheduler.on_death(key, "its node has died", node_lost=True)
            del running[key]
        elif running[key]:
            made.append(running[key].pop(0))
            bench.scheduler.on_report(key, {"published": made[-1]})
        else:
            bench.scheduler.on_end(key)
            del running[key]
    assert not bench.scheduler
    assert sorted(made) == sorted({fit for wanted in needs.values() for fit in wanted})
    assert sorted(bench.listener.done) == sorted(needs)
