"""ES-WMV and ES-EMV (arXiv 2112.06074) against the published algorithms, the first with a queue of whole outputs."""

from collections import deque

import numpy as np
import pytest
import torch
from torch import Tensor

from lip.stopping import Best, ExponentialVariance, MovingVariance

STEPS = 1000
BLOCK, WINDOW, PATIENCE = 2, 20, 200  # W and P of the published 5000 steps, and what W/10 makes of every step


def outputs(amplitude: np.ndarray, seed: int = 0) -> list[Tensor]:
    """Images around grey that differ from one another by so much at every step."""
    random = torch.Generator().manual_seed(seed)
    return [0.5 + a * torch.randn(1, 3, 4, 4, generator=random) for a in amplitude.tolist()]


def published(images: list[Tensor], first: int = 100) -> tuple[dict[int, float], int | None]:
    """The variance at every checked step, and the step it is stopped at (None: not before the end)."""
    queue: deque[np.ndarray] = deque(maxlen=WINDOW)
    variances: dict[int, float] = {}
    best = wait = 0
    for step, image in enumerate(images, 1):
        queue.append(image.double().numpy())
        if step % BLOCK == 0 and step >= first:
            variances[step] = float(np.var(np.stack(queue), axis=0).mean())
            if not best or variances[step] < variances[best]:
                best, wait = step, 0
            else:
                wait += BLOCK
            if wait >= PATIENCE:
                return variances, best
    return variances, None


def followed(images: list[Tensor]) -> tuple[MovingVariance, dict[int, float]]:
    moving = MovingVariance(len(images), images[0])
    offered: dict[int, float] = {}
    offer = moving.best.offer

    def spy(value: Tensor, step: int, *best: Tensor, allowed: Tensor) -> Tensor:
        offered[step] = float(value)
        return offer(value, step, *best, allowed=allowed)

    moving.best.offer = spy  # type: ignore[method-assign]
    for step, image in enumerate(images, 1):
        moving.see(step, image, -image)
    return moving, offered


STEP = np.arange(1, STEPS + 1)
VALLEY = 0.01 + 0.1 * np.abs(STEP - 401) / STEPS


def test_the_variance_is_that_of_the_last_window_at_every_checked_step() -> None:
    drifting = [image + step / STEPS for step, image in enumerate(outputs(np.full(STEPS, 0.003)))]
    _, offered = followed(drifting)
    expected, _ = published(drifting)
    assert list(offered) == list(range(100, STEPS + 1, BLOCK))
    assert expected.items() <= {step: pytest.approx(value, rel=1e-3) for step, value in offered.items()}.items()


def test_it_stops_where_the_published_algorithm_does() -> None:
    images = outputs(VALLEY)
    moving, _ = followed(images)
    _, expected = published(images)
    assert expected is not None
    assert bool(moving.found)
    assert int(moving.best.step) == expected == pytest.approx(410, abs=20)


def test_it_waits_for_exactly_its_patience() -> None:
    images = outputs(VALLEY)
    moving = MovingVariance(STEPS, images[0])
    step = 0
    while not moving.found:
        moving.see(step + 1, images[step], images[step])
        step += 1
    assert step == int(moving.best.step) + PATIENCE


def test_the_images_of_the_minimum_are_kept_the_smoothed_one_with_it() -> None:
    images = outputs(VALLEY)
    moving, _ = followed(images)
    best = images[int(moving.best.step) - 1]
    assert torch.equal(moving.best.images[0], best)
    assert torch.equal(moving.best.images[1], -best)


def test_a_deeper_minimum_after_the_stop_is_too_late() -> None:
    images = outputs(np.where(STEP > 800, 1e-4, VALLEY))
    assert int(followed(images)[0].best.step) == published(images)[1] == pytest.approx(410, abs=20)


def test_a_deeper_minimum_within_the_patience_is_taken() -> None:
    images = outputs(np.where(abs(STEP - 560) < 15, 3e-3, VALLEY))
    assert int(followed(images)[0].best.step) == published(images)[1] == pytest.approx(570, abs=5)


def test_a_variance_that_still_falls_at_the_end_has_no_minimum() -> None:
    moving, _ = followed(outputs(np.linspace(0.1, 0.01, STEPS)))
    assert not moving.found


def test_what_is_not_a_number_has_no_minimum() -> None:
    stop, _ = followed([torch.full((1, 3, 4, 4), torch.nan)] * STEPS)
    assert not stop.found


def test_grey_outputs_of_the_first_hundred_steps_are_not_a_minimum() -> None:
    moving, _ = followed(outputs(np.where(STEP <= 79, 0.0, VALLEY)))
    assert bool(moving.found)
    assert int(moving.best.step) > 300


def exponential(images: list[Tensor]) -> tuple[int | None, list[np.ndarray]]:
    """The published ES-EMV: where it stops (None: not before the end), and its average at every step."""
    average, variance, best, wait, stop = images[0].double().numpy(), 0.0, np.inf, 0, None
    averages, at = [], 0
    for step, image in enumerate(images, 1):
        moved = image.double().numpy() - average
        average = np.clip(average + 0.1 * moved, 0, 1)
        averages.append(average)
        variance = 0.9 * (variance + 0.1 * float((moved**2).mean()))
        if step > 100 and stop is None:
            at, best, wait = (step, variance, 0) if variance < best else (at, best, wait + 1)
            stop = at if wait >= PATIENCE else None
    return stop, averages


@pytest.mark.parametrize(("amplitude", "stops"), [(VALLEY, True), (np.linspace(0.1, 0.01, STEPS), False)])
def test_the_exponential_variance_stops_where_the_published_algorithm_does(amplitude: np.ndarray, stops: bool) -> None:
    images = outputs(amplitude)
    moving = ExponentialVariance(STEPS, images[0])
    for step, image in enumerate(images, 1):
        moving.see(step, image)
    stop, averages = exponential(images)
    assert (stop is not None) == bool(moving.found) == stops
    assert np.allclose(moving.average.numpy(), averages[-1], atol=1e-6)
    if stop:
        assert int(moving.best.step) == stop == pytest.approx(410, abs=30)
        assert np.allclose(moving.best.images[0].numpy(), averages[stop - 1], atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "window", "patience", "first"),
    [(5000, 100, 1000, 100), (3000, 60, 600, 100), (1000, 20, 200, 100), (300, 10, 60, 60), (30, 10, 6, 10)],
)
def test_window_and_patience_scale_with_the_schedule(steps: int, window: int, patience: int, first: int) -> None:
    moving = MovingVariance(steps, torch.zeros(1))
    assert (moving.window, moving.patience, moving.first) == (window, patience, first)


def test_best_keeps_the_first_of_the_smallest_and_never_what_is_not_a_number() -> None:
    best = Best(torch.zeros(1))
    values = [float("nan"), 3.0, 1.0, float("nan"), 1.0, 2.0]
    better = [bool(best.offer(torch.tensor(v), step, torch.tensor([step]))) for step, v in enumerate(values, 1)]
    assert better == [False, True, True, False, False, False]
    assert (float(best.value), int(best.step), best.images[0].tolist()) == (1.0, 3, [3])


def test_best_ignores_what_is_not_allowed() -> None:
    best = Best(torch.zeros(1))
    assert not best.offer(torch.tensor(1.0), 1, torch.ones(1), allowed=torch.tensor(False))
    assert (float(best.value), int(best.step), best.images[0].tolist()) == (torch.inf, 0, [0])
