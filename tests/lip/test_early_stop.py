"""ES-WMV and ES-EMV (arXiv 2112.06074) against the published algorithms, word for word, on traces made up and real.

The published code on traces of its own: tests/golden/test_stopping.py.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from lip.data import images as photographs
from lip.masks import Mask
from lip.priors import Hourglass
from lip.tasks.degradation import Degradation
from lip.tasks.denoise import Denoise
from lip.tasks.inpaint import Inpaint
from lip.tasks.superres import SuperResolution
from lip.training.early_stop import Best, ExponentialVariance, MovingVariance
from lip.training.restore import Restoration

STEPS, WINDOW, PATIENCE = 1000, 20, 200


class Report(NamedTuple):
    """What a rule reports: the step of the smallest variance so far, and whether patience ran out."""

    step: int
    found: bool


def outputs(amplitude: np.ndarray, images: int = 1, seed: int = 0) -> list[Tensor]:
    """Images around grey that differ from one another by so much at every step."""
    random = torch.Generator().manual_seed(seed)
    return [0.5 + a * torch.randn(images, 3, 4, 4, generator=random) for a in amplitude.tolist()]


def minimum(variances: dict[int, float], patience: int) -> Report:
    """The published search: a variance per step, in order."""
    best, smallest, wait = 0, np.inf, 0
    for step, variance in variances.items():
        best, smallest, wait = (step, variance, 0) if variance < smallest else (best, smallest, wait + 1)
        if wait >= patience:
            return Report(best, True)
    return Report(best, False)


def moving_variances(images: list[Tensor], window: int = WINDOW) -> dict[int, float]:
    """The published ES-WMV: a queue of whole outputs, and the variance of a full one."""
    queue: deque[np.ndarray] = deque(maxlen=window)
    variances = {}
    for step, image in enumerate(images, 1):
        queue.append(image.double().numpy())
        if len(queue) == window:
            variances[step] = float(np.var(np.stack(queue), axis=0).mean())
    return variances


def exponential_variances(images: list[Tensor], first: int = WINDOW + 2) -> tuple[dict[int, float], list[np.ndarray]]:
    """The published ES-EMV: its variance at every step from the first that is looked at, its average at every step."""
    average, variance = images[0].double().numpy(), 0.0
    variances, averages = {}, []
    for step, image in enumerate(images, 1):
        moved = image.double().numpy() - average
        average = np.clip(average + 0.1 * moved, 0, 1)
        averages.append(average)
        variance = 0.9 * (variance + 0.1 * float((moved**2).mean()))
        if step >= first:
            variances[step] = variance
    return variances, averages


def followed(
    images: list[Tensor], window: int | None = WINDOW, patience: int | None = PATIENCE
) -> tuple[MovingVariance, dict[int, float]]:
    """The moving variance after all of these (their negatives as smoothed), and what it looked at by step."""
    moving = MovingVariance(len(images), images[0], window, patience)
    offered: dict[int, float] = {}
    offer = moving.best.update

    def spy(value: Tensor, step: int, *best: Tensor, allowed: Tensor) -> Tensor:
        offered[step] = float(value)
        return offer(value, step, *best, allowed=allowed)

    moving.best.update = spy  # type: ignore[method-assign]
    for step, image in enumerate(images, 1):
        moving.record(step, image, -image)
    return moving, offered


def exponential(images: list[Tensor], window: int = WINDOW, patience: int = PATIENCE) -> ExponentialVariance:
    moving = ExponentialVariance(len(images), images[0], window, patience)
    for step, image in enumerate(images, 1):
        moving.record(step, image)
    return moving


def report(rule: MovingVariance | ExponentialVariance) -> Report:
    return Report(int(rule.best.step), bool(rule.found))


STEP = np.arange(1, STEPS + 1)
VALLEY = 0.01 + 0.1 * np.abs(STEP - 401) / STEPS
FALLING_THEN_FLAT = np.where(STEP < 850, np.linspace(0.1, 0.01, STEPS), 0.03)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("window", [2, 20, 100])
def test_the_variance_is_that_of_the_last_window_at_every_step_that_has_one(images: int, window: int) -> None:
    drifting = [image + step / STEPS for step, image in enumerate(outputs(np.full(STEPS, 0.003), images))]
    _, offered = followed(drifting, window)
    assert list(offered) == list(range(window, STEPS + 1))
    assert offered == pytest.approx(moving_variances(drifting, window), rel=1e-9)


def test_the_variance_of_outputs_that_hardly_move_is_not_lost_in_rounding() -> None:
    """Float32 sums would leave nothing of it."""
    still = [image + 0.49 for image in outputs(np.full(STEPS, 1e-5))]
    assert followed(still)[1] == pytest.approx(moving_variances(still), rel=1e-4)


@pytest.mark.parametrize(("window", "patience"), [(2, 30), (20, 200), (100, 200), (100, 1000)])
@pytest.mark.parametrize("amplitude", [VALLEY, FALLING_THEN_FLAT, np.linspace(0.1, 0.01, STEPS)])
def test_it_reports_what_the_published_algorithm_does(amplitude: np.ndarray, window: int, patience: int) -> None:
    images = outputs(amplitude)
    assert report(followed(images, window, patience)[0]) == minimum(moving_variances(images, window), patience)


@pytest.mark.parametrize("window", [20, 100])
@pytest.mark.parametrize("amplitude", [VALLEY, FALLING_THEN_FLAT, np.linspace(0.1, 0.01, STEPS)])
def test_the_exponential_variance_reports_what_the_published_algorithm_does(amplitude: np.ndarray, window: int) -> None:
    images = outputs(amplitude)
    moving = exponential(images, window)
    variances, averages = exponential_variances(images, window + 2)
    expected = minimum(variances, PATIENCE)
    assert report(moving) == expected
    assert moving.best.images[0].numpy() == pytest.approx(averages[expected.step - 1], abs=1e-6)
    assert moving.average.numpy() == pytest.approx(averages[-1], abs=1e-6)


def test_it_waits_for_exactly_its_patience() -> None:
    images = outputs(VALLEY)
    moving = MovingVariance(STEPS, images[0], WINDOW, PATIENCE)
    step = 0
    while not moving.found:
        moving.record(step + 1, images[step], images[step])
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
    assert report(followed(images)[0]) == (pytest.approx(410, abs=20), True)


def test_a_deeper_minimum_within_the_patience_is_taken() -> None:
    images = outputs(np.where(abs(STEP - 560) < 15, 3e-3, VALLEY))
    assert report(followed(images)[0]) == (pytest.approx(570, abs=5), True)


def test_where_patience_does_not_run_out_the_smallest_variance_is_reported_and_not_the_last_output() -> None:
    images = outputs(FALLING_THEN_FLAT)
    for rule in (followed(images)[0], exponential(images)):
        assert report(rule) == (pytest.approx(849, abs=10), False)


def test_a_schedule_shorter_than_the_window_reports_what_it_ends_with() -> None:
    images = outputs(VALLEY)[:15]
    moving, offered = followed(images)
    assert offered == {}
    assert not moving.found
    step, (output, smoothed) = moving.best.or_else(15, images[-1], -images[-1])
    assert step == 15
    assert torch.equal(output, images[-1])
    assert torch.equal(smoothed, -images[-1])


def test_a_step_that_was_taken_is_preferred_to_another() -> None:
    best = Best(torch.zeros(1))
    best.update(torch.tensor(2.0), 3, torch.ones(1))
    assert best.or_else(9, torch.zeros(1)) == (3, (torch.ones(1),))


def test_what_is_not_a_number_has_no_minimum() -> None:
    images = [torch.full((1, 3, 4, 4), torch.nan)] * STEPS
    for rule in (followed(images)[0], exponential(images)):
        assert report(rule) == (0, False)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_output_that_is_not_finite_is_forgotten_with_its_window(value: float) -> None:
    """Such a step is undone, and what follows it is as good as ever."""
    images = outputs(VALLEY)
    images[299] = images[299].clone()
    images[299][0, 0, 0, 0] = value
    moving, offered = followed(images)
    assert [step for step, variance in offered.items() if not np.isfinite(variance)] == list(range(300, 320))
    whole = moving_variances(images[300:])
    assert [offered[step + 300] for step in whole] == pytest.approx(list(whole.values()), rel=1e-9)
    assert report(moving) == (pytest.approx(410, abs=20), True)


def test_no_more_outputs_are_kept_than_a_window_has() -> None:
    assert len(followed(outputs(VALLEY))[0].frames) == WINDOW
    assert len(followed(outputs(VALLEY[:30]), window=10_000_000)[0].frames) == 30


@pytest.mark.parametrize(
    ("steps", "window", "patience"),
    [
        (20000, 100, 1000),
        (3000, 100, 1000),
        (2000, 100, 666),
        (1000, 100, 333),
        (200, 100, 66),
        (60, 30, 20),
        (1, 2, 1),
    ],
)
def test_window_and_patience_are_the_published_ones_unless_the_schedule_is_too_short(
    steps: int, window: int, patience: int
) -> None:
    for rule in (MovingVariance, ExponentialVariance):
        moving = rule(steps, torch.zeros(1))
        assert (moving.window, moving.patience) == (window, patience)


@pytest.mark.parametrize(
    ("name", "task"),
    [("astronaut", Denoise()), ("coffee", Inpaint()), ("camera", SuperResolution(factor=4))],
    ids=lambda value: getattr(value, "kind", value),
)
def test_a_real_fit_of_200_steps_does_not_stop_at_its_first_grey_outputs(tiny, name: str, task: Degradation) -> None:
    """A window and a patience scaled with the steps, 4 and 40, do: 3 to 8 dB below the peak, in the first 40 steps."""
    pixels = photographs.load(name, size=32).pixels
    picture = tiny.picture(name, pixels)
    schedule = task.schedules()["paper"].replace(steps=200)
    fit = tiny.fit(picture=picture, task=task, schedule=schedule, prior=Hourglass(width=16, scales=3))
    model = Restoration(fit, {picture.content_hash: pixels})
    outputs: list[Tensor] = []
    computed = model.output
    model.output = lambda jitter: outputs.append((output := computed(jitter)).detach()) or output
    scores = model.train(Mask.dense(model.layers)).scores
    assert scores["stop"].psnr > scores["peak"].psnr - 1
    assert report(followed(outputs, window=4, patience=40)[0]) == (pytest.approx(25, abs=20), True)


def test_best_keeps_the_first_of_the_smallest_and_never_what_is_not_a_number() -> None:
    best = Best(torch.zeros(1))
    values = [float("nan"), 3.0, 1.0, float("nan"), 1.0, 2.0]
    better = [bool(best.update(torch.tensor(v), step, torch.tensor([step]))) for step, v in enumerate(values, 1)]
    assert better == [False, True, True, False, False, False]
    assert (float(best.value), int(best.step), best.images[0].tolist()) == (1.0, 3, [3])


def test_best_ignores_what_is_not_allowed() -> None:
    best = Best(torch.zeros(1))
    assert not best.update(torch.tensor(1.0), 1, torch.ones(1), allowed=torch.tensor(False))
    assert (float(best.value), int(best.step), best.images[0].tolist()) == (torch.inf, 0, [0])
