"""The degradations, in numbers."""

from math import log10

import pytest
import torch
from torch import Generator, Tensor

from lip.tasks import TASKS, Denoise, Task


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def decibels(one: Tensor, two: Tensor) -> float:
    return -10 * log10((one - two).double().square().mean())


@pytest.mark.parametrize("task", [pytest.param(task(), id=name) for name, task in TASKS.items()])
def test_every_task_degrades_an_image_repeatably_and_leaves_the_clean_one_alone(task: Task) -> None:
    clean = torch.rand(1, 3, 32, 32, generator=seeded())
    before = clean.clone()
    observation = task.observe(clean, seeded())
    assert torch.equal(clean, before)
    assert torch.equal(observation, task.observe(clean, seeded()))
    assert not torch.equal(observation, task.observe(clean, seeded(1)))
    assert task.loss(observation, observation) == 0


@pytest.mark.parametrize(("sigma", "psnr"), [(25, 20.17), (50, 14.15), (15, 24.61)])
def test_noise_has_the_psnr_of_its_sigma(sigma: float, psnr: float) -> None:
    """On mid-grey, which no deviation of 2.5 sigma leaves for black or white."""
    grey = torch.full((1, 3, 256, 256), 0.5)
    tolerance = 0.03 if sigma <= 25 else 0.2  # sigma 50 is clipped beyond 2.55 sigma
    assert decibels(Denoise(sigma=sigma).observe(grey, seeded()), grey) == pytest.approx(psnr, abs=tolerance)


def test_noise_has_the_same_strength_in_every_channel_and_is_not_shared_by_them() -> None:
    noise = Denoise().observe(torch.full((1, 3, 128, 128), 0.5), seeded())[0].flatten(1) - 0.5
    assert torch.allclose(noise.std(1), torch.tensor(25 / 255), rtol=0.03)
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 0.03


def test_the_observation_stays_in_the_range_of_an_image() -> None:
    white, black = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    for image in (white, black):
        observation = Denoise().observe(image, seeded())
        assert observation.min() >= 0
        assert observation.max() <= 1
        assert (observation == image).float().mean() == pytest.approx(0.5, abs=0.04)


def test_the_loss_of_denoising_is_the_mean_squared_error() -> None:
    output, observation = torch.tensor([0.0, 0.5, 1.0, 1.0]), torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert Denoise().loss(output, observation) == (0.25 + 1) / 4


def test_denoising_is_trained_as_in_the_paper() -> None:
    schedule = Denoise.schedule
    assert (schedule.steps, schedule.lr, schedule.jitter, schedule.ema, schedule.backtrack) == (
        3000,
        0.01,
        1 / 30,
        0.99,
        5.0,
    )
