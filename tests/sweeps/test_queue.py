from __future__ import annotations

from random import Random

from sweeps.queue import Queue


def test_a_shared_fit_is_made_once_and_others_wait_for_it_without_a_slot() -> None:
    queue = Queue({"imp": ["dense", "imp1"], "random": ["dense", "random1"], "other": ["elsewhere"]})
    assert [queue.next(), queue.next(), queue.next()] == ["imp", "other", None]
    assert queue, "random is still to come"
    queue.published("dense")
    assert queue.next() == "random"
    assert not queue


def test_those_that_others_wait_for_come_first() -> None:
    queue = Queue({"a": ["a1"], "b": ["b1"], "c": ["shared", "c1"], "d": ["shared", "d1"]})
    assert [queue.next(), queue.next()] == ["c", "a"]
    queue.published("shared")
    assert [queue.next(), queue.next(), queue.next()] == ["b", "d", None]


def test_if_the_maker_fails_the_next_in_line_takes_over() -> None:
    queue = Queue({"a": ["dense", "a1"], "b": ["dense", "b1"], "c": ["dense", "c1"]})
    assert queue.next() == "a"
    queue.ended("a")
    assert (queue.next(), queue.next()) == ("b", None)
    queue.published("dense")
    assert queue.next() == "c"


def test_a_maker_that_ends_after_publishing_leaves_nothing_behind() -> None:
    queue = Queue({"a": ["dense"], "b": ["dense", "b1"]})
    assert queue.next() == "a"
    queue.published("dense")
    queue.ended("a")
    assert queue.next() == "b"
    assert queue.next() is None
    assert not queue


def test_every_trajectory_comes_exactly_once_whatever_fails() -> None:
    for seed in range(200):
        draw = Random(seed)
        fits = [f"fit{i}" for i in range(12)]
        needs = {f"t{i}": sorted(draw.sample(fits, draw.randint(1, 5))) for i in range(10)}
        queue, running, done = Queue(needs), [], set()
        started: list[str] = []
        while queue or running:
            if len(running) < 3 and (key := queue.next()) is not None:
                assert all(fit in done or not any(fit in needs[r] for r in running) for fit in needs[key])
                running.append(key)
                started.append(key)
                continue
            assert running, "something can always go on"
            key = running.pop(draw.randrange(len(running)))
            if draw.random() < 0.2:
                queue.postpone(key, 0.0)
                started.remove(key)
                continue
            fails_after = draw.randint(0, 8)
            for fit in needs[key][:fails_after]:
                done.add(fit)
                queue.published(fit)
            queue.ended(key)
        assert sorted(started) == sorted(needs)


def test_who_needs_a_fit_that_another_run_trains_waits_with_the_one_that_asks_for_it() -> None:
    queue = Queue({"a": ["dense", "a1"], "b": ["dense", "b1"], "c": ["c1"]})
    assert queue.next() == "a"
    queue.postpone("a", not_before=10.0)
    assert (queue.next(5.0), queue.next(5.0), queue.next(10.0)) == ("c", None, "a")
    queue.published("dense")
    assert queue.next() == "b"


def test_the_queue_counts_what_is_done() -> None:
    queue = Queue({"a": ["dense", "a1"], "b": ["dense"]})
    assert (queue.n_trajectories, queue.n_finished) == (2, 0)
    assert (queue.n_needed("a"), queue.n_missing("a")) == (2, 2)
    queue.published("dense")
    queue.published("dense")
    assert (queue.n_finished, queue.n_needed("a"), queue.n_missing("a"), queue.n_missing("b")) == (1, 2, 1, 0)


def test_trajectories_are_added_at_the_end_and_wait_for_fits_under_way() -> None:
    queue = Queue({"a": ["dense", "a1"]})
    assert queue.next() == "a"
    queue.add({"b": ["dense", "b1"], "c": ["c1"], "a": ["never"]})
    assert (queue.next(), queue.next()) == ("c", None)
    queue.published("dense")
    assert queue.next() == "b"
    assert (queue.n_trajectories, queue.n_needed("a"), queue.n_missing("a")) == (3, 2, 1)


def test_what_is_added_makes_a_fit_whose_maker_has_failed() -> None:
    queue = Queue({"a": ["dense"]})
    assert queue.next() == "a"
    queue.ended("a")
    queue.add({"b": ["dense"]})
    assert queue.next() == "b"
