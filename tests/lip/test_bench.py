"""The benchmark: what it counts and adds up. That it is fast is no test's business."""

import pytest

from lip import bench
from lip.bench import Timing, gain, multiplications, peak, released, timings, trajectory
from lip.ledger.ledger import Ledger
from lip.masks import Mask


def test_a_gain_is_the_median_over_turns_not_the_ratio_of_medians() -> None:
    assert gain([2.0, 10.0, 4.0], [1.0, 2.0, 4.0]) == 2.0


def test_a_trajectory_is_seventeen_rounds_those_between_interpolated_and_the_last_repeated() -> None:
    measured = {0: [4.0, 1.0], 5: [3.0, 1.0], 10: [1.0, 1.0], 15: [1.0, 1.0]}
    timed = [Timing(k, 1 - 0.8**k, multiplications=1, seconds={"ours": seconds}) for k, seconds in measured.items()]
    expected = (4 + 3.8 + 3.6 + 3.4 + 3.2) + (3 + 2.6 + 2.2 + 1.8 + 1.4) + 7
    assert trajectory(timed, "ours") == pytest.approx([expected, 17])


def test_products_are_three_per_kept_weight_and_pixel(tiny) -> None:
    model = tiny.model(scales=1, skip=0)
    mask = Mask.dense(model.layers)
    at = {"s0 stride": 16, "s0 conv": 16, "s0 up": 32, "s0 mix": 32, "out": 32}
    assert multiplications(model, mask) == 3 * sum(layer.size * at[layer.name] ** 2 for layer in model.layers)


def test_the_reference_loop_trains_like_ours(tiny) -> None:
    model, ours = tiny.model(steps=3, backtrack=None), tiny.model(steps=3, backtrack=None)
    mask = Mask.dense(model.layers)
    assert released(model, mask) > 0
    bench.train(ours, mask)
    losses = [each.loss(each.net(each.code)).item() for each in (model, ours)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_every_loop_is_timed_in_every_turn_with_the_masks_of_the_ledger(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROUNDS", (0, 1))
    timed = list(timings(64, width=4, steps=2, turns=2, imp_steps=2, ledger=ledger, backend="dense"))
    assert [t.round for t in timed] == [0, 1]
    assert timed[0].sparsity == 0
    assert timed[1].sparsity == pytest.approx(0.2, abs=1e-3)
    assert timed[1].multiplications < timed[0].multiplications
    assert all({len(t.seconds[loop]) for loop in bench.LOOPS} == {2} for t in timed)
    assert ledger.fits().num_rows == 1
    assert peak() > 0
