from __future__ import annotations

from sweeps.node_losses import SEEN_WITHIN, NodeLosses


class Bench:
    """Losses of nodes, with a clock that is set by hand."""

    def __init__(self, lost: set[str]) -> None:
        self.now = 0.0
        self.lost = lost
        self.losses = NodeLosses(lambda: set(self.lost), clock=lambda: self.now)


def test_a_death_after_the_loss_of_a_node_is_explained_by_it() -> None:
    bench = Bench(set())
    bench.lost.add("node")
    assert bench.losses.explain("a")
    bench.now += SEEN_WITHIN - 1
    assert bench.losses.explain("b"), "Ray reports it a little later"
    assert bench.losses.explained_late() == []


def test_a_death_before_the_loss_of_a_node_is_explained_once_and_late() -> None:
    bench = Bench(set())
    assert not bench.losses.explain("a")
    assert bench.losses.explained_late() == []
    bench.now += SEEN_WITHIN - 1
    bench.lost.add("node")
    assert bench.losses.explained_late() == ["a"]
    assert bench.losses.explained_late() == []


def test_deaths_and_losses_far_apart_have_nothing_to_do_with_each_other() -> None:
    bench = Bench(set())
    assert not bench.losses.explain("a")
    bench.now += SEEN_WITHIN
    bench.lost.add("node")
    assert bench.losses.explained_late() == []
    assert bench.losses.explain("b")
    bench.now += SEEN_WITHIN
    assert not bench.losses.explain("c")


def test_nodes_lost_before_the_run_explain_nothing() -> None:
    assert not Bench({"node"}).losses.explain("a")
