from __future__ import annotations

from random import Random

from sweeps.queue import Queue, shuffled


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
            fails_after = draw.randint(0, 8)
            for fit in needs[key][:fails_after]:
                done.add(fit)
                queue.published(fit)
            queue.ended(key)
        assert sorted(started) == sorted(needs)


def test_the_queue_counts_what_is_done() -> None:
    queue = Queue({"a": ["dense", "a1"], "b": ["dense"]})
    assert (queue.n_trajectories, queue.n_finished) == (2, 0)
    assert (queue.n_needed("a"), queue.n_missing("a")) == (2, 2)
    queue.published("dense")
    queue.published("dense")
    assert (queue.n_finished, queue.n_needed("a"), queue.n_missing("a"), queue.n_missing("b")) == (1, 2, 1, 0)


def test_every_seed_shuffles_in_an_order_of_its_own() -> None:
    needs = {f"t{number}": [f"fit{number}"] for number in range(20)}
    one, other = shuffled(needs, "one"), shuffled(needs, "other")
    assert one == other == needs
    assert list(one) == list(shuffled(needs, "one"))
    assert len({tuple(needs), tuple(one), tuple(other)}) == 3
