"""The degradations, in numbers."""

from math import log10

import numpy as np
import pytest
import torch
from numpy import sinc
from PIL import Image
from torch import Generator, Tensor

from lip.priors import Hourglass
from lip.specs.picture import Picture
from lip.tasks import TASKS
from lip.tasks.degradation import Degradation
from lip.tasks.denoise import Denoise
from lip.tasks.inpaint import Inpaint
from lip.tasks.reconstruct import Reconstruct
from lip.tasks.restore import Restore
from lip.tasks.superres import SuperResolution, downsample, lanczos2


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def decibels(one: Tensor, two: Tensor) -> float:
    return -10 * log10((one - two).double().square().mean())


EVERY_TASK = [pytest.param(task(), id=name) for name, task in TASKS.items() if issubclass(task, Degradation)] + [
    pytest.param(Reconstruct(target=target), id=target) for target in ("noisy", "shuffled", "noise")
]


@pytest.fixture
def smooth() -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing="ij")
    return torch.stack([x, y, (x + y) / 2])[None]


@pytest.mark.parametrize("task", EVERY_TASK)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_task_degrades_an_image_repeatably_and_leaves_the_clean_one_alone(
    task: Degradation, channels: int
) -> None:
    clean = torch.rand(1, channels, 32, 32, generator=seeded())
    before = clean.clone()
    observation = task.observe(clean, seeded())
    assert torch.equal(clean, before)
    assert torch.allclose(observation, task.observe(clean, seeded()), rtol=0, atol=0, equal_nan=True)
    assert observation.shape[1] == (1 + clean.numel() if task.kind == "sense" else channels)
    assert task.error(clean, clean) == 0


@pytest.mark.parametrize("task", EVERY_TASK)
def test_every_loss_pulls_towards_the_observation(task: Degradation, smooth: Tensor) -> None:
    output = torch.full_like(smooth, 0.5).requires_grad_()
    observation = task.observe(smooth, seeded())
    before = task.loss(output, observation)
    before.backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()
    with torch.no_grad():
        step = 1e-3 if task.kind == "sense" else 10  # corrupted measurements are steep
        assert task.loss(output - step * output.grad, observation) < before


@pytest.mark.parametrize("task", EVERY_TASK)
def test_every_task_has_both_schedules(task: Degradation) -> None:
    assert task.schedules().keys() == {"paper", "lip"}


def test_inpainting_knows_half_of_the_pixels_all_channels_alike() -> None:
    clean = torch.rand(1, 3, 128, 128, generator=seeded())
    known = ~Inpaint().observe(clean, seeded()).isnan()
    assert known.float().mean() == pytest.approx(0.5, abs=0.01)
    assert (known.all(1) == known.any(1)).all()
    assert (~Inpaint(keep=0.1).observe(clean, seeded()).isnan()).float().mean() == pytest.approx(0.1, abs=0.01)


def test_inpainting_as_released_knows_channels_apart_and_pads() -> None:
    clean = torch.rand(1, 3, 64, 64, generator=seeded())
    known = ~Inpaint(per_channel=True).observe(clean, seeded()).isnan()
    assert known.float().mean() == pytest.approx(0.5, abs=0.02)
    assert (known.all(1) != known.any(1)).float().mean() == pytest.approx(0.75, abs=0.03)
    framed = Inpaint(pad=1).frame(clean)
    assert framed.shape == (1, 3, 66, 66)
    assert torch.equal(framed[..., 1:-1, 1:-1], clean)
    assert torch.equal(framed[..., 0, 1:-1], clean[..., 1, :])
    assert torch.equal(Inpaint().frame(clean), clean)


def test_what_is_to_be_restored_is_the_image_as_it_is(smooth: Tensor) -> None:
    assert torch.equal(Restore().observe(smooth, seeded()), smooth)
    assert not Restore.has_clean_image
    assert Restore().schedules()["paper"].steps == 2400


def test_inpainting_learns_nothing_from_unknown_pixels(smooth: Tensor) -> None:
    observation = Inpaint().observe(smooth, seeded())
    unknown = observation.isnan()
    output = torch.rand(smooth.shape, generator=seeded()).requires_grad_()
    loss = Inpaint().loss(output, observation)
    (slope,) = torch.autograd.grad(loss, output)
    assert (slope[unknown] == 0).all()
    assert (slope[~unknown] != 0).all()
    wanted = ((output - smooth)[~unknown].square().sum() / unknown.numel()).item()
    assert loss.item() == pytest.approx(wanted, rel=1e-6)


def test_a_hole_is_where_its_picture_is_dark(smooth: Tensor) -> None:
    hole = torch.ones(1, 1, 32, 32)
    hole[..., 4:9, :] = 0.49
    task = Inpaint(inpaint_mask=Picture(name="inpaint_mask", content_hash="0" * 16, height=32, width=32, channels=1))
    unknown = task.observe(smooth, seeded(), hole).isnan()
    assert unknown[:, :, 4:9].all()
    assert unknown.float().mean() == 5 / 32
    assert task.check(32, 32, Hourglass()) is None
    assert task.check(64, 32, Hourglass()) == "mask: it is 32x32 pixels; use one of the image's size"


@pytest.mark.parametrize(("factor", "size", "padding"), [(4, 16, 6), (8, 32, 12)])
def test_the_lanczos_operator_is_that_of_deep_image_prior(factor: int, size: int, padding: int) -> None:
    kernel = lanczos2(factor)
    assert len(kernel) == size == 2 * padding + factor
    assert kernel.sum().item() == pytest.approx(1, abs=1e-15)
    assert torch.allclose(kernel, kernel.flip(0))
    offset = 0.5 / factor
    assert kernel[size // 2] / kernel[size // 2 + 1] == pytest.approx(
        sinc(offset) * sinc(offset / 2) / (sinc(3 * offset) * sinc(3 * offset / 2))
    )


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_downsampling_keeps_flat_colours_and_straight_ramps(factor: int) -> None:
    side = 64
    flat = torch.full((1, 3, side, side), 0.3)
    assert torch.allclose(downsample(flat, factor), torch.full((1, 3, side // factor, side // factor), 0.3))
    ramp = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side) / side
    centres = (torch.arange(side // factor) * factor + (factor - 1) / 2) / side
    assert torch.allclose(downsample(ramp, factor)[0, 0, 3, 2:-2], centres[2:-2], atol=1e-6)


def test_the_low_resolution_image_is_made_by_pillow_on_eight_bits() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    clean = torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)[None]
    small = SuperResolution(factor=4).observe(clean, seeded())
    wanted = np.asarray(Image.fromarray(pixels).resize((12, 8), Image.Resampling.LANCZOS))
    assert np.array_equal((small[0] * 255).round().byte().permute(1, 2, 0).numpy(), wanted)


def test_super_resolution_reports_the_luma_without_its_border() -> None:
    clean = torch.rand(1, 3, 32, 40, generator=seeded())
    off = clean.clone()
    off[..., :4, :], off[..., :, :4], off[..., -5:, :], off[..., :, -5:] = 0, 0, 0, 0
    task = SuperResolution()
    assert task.error(off, clean) == 0
    assert task.error(clean + 0.1, clean).item() == pytest.approx((0.1 * 219 / 255) ** 2, rel=1e-5)
    green = clean + torch.tensor([0.0, 0.1, 0.0]).view(1, 3, 1, 1)
    assert task.error(green, clean).item() == pytest.approx((0.0587 * 219 / 255) ** 2, rel=1e-4)


def test_super_resolution_wants_a_multiple_of_its_factor() -> None:
    assert SuperResolution(factor=8).check(64, 96, Hourglass()) is None
    assert (
        SuperResolution(factor=8).check(64, 100, Hourglass())
        == "factor: 100x64 pixels are not a multiple of 8; use another size"
    )


def test_the_four_targets_are_what_they_say(smooth: Tensor) -> None:
    def target(name: str) -> Tensor:
        return Reconstruct(target=name).observe(smooth, seeded())  # type: ignore[arg-type]

    assert torch.equal(target("clean"), smooth)
    assert decibels(target("noisy"), smooth) == pytest.approx(20.17, abs=0.3)
    assert target("noisy").min() < 0, "not clipped"
    shuffled = target("shuffled")
    assert not torch.equal(shuffled, smooth)
    pixels = [sorted(map(tuple, image[0].flatten(1).T.tolist())) for image in (shuffled, smooth)]
    assert pixels[0] == pixels[1], "whole pixels change places, channels together"
    assert target("noise").std() == pytest.approx(12**-0.5, abs=0.02)


@pytest.mark.parametrize(
    ("task", "paper", "released"),
    [
        (Inpaint(), (11000, 0.001, 0.03), (3000, 0.01, 0.03)),
        (
            Inpaint(inpaint_mask=Picture(name="inpaint_mask", content_hash="0" * 16, height=1, width=1, channels=1)),
            (6001, 0.01, 0.03),
            (3000, 0.01, 0.03),
        ),
        (SuperResolution(factor=4), (2000, 0.01, 0.03), (2000, 0.01, 0.03)),
        (SuperResolution(factor=8), (4000, 0.01, 0.05), (2000, 0.01, 0.03)),
        (Reconstruct(), (10000, 0.01, 1 / 30), (10000, 0.01, 1 / 30)),
    ],
)
def test_schedules_are_the_published_ones(
    task: Degradation, paper: tuple[float, ...], released: tuple[float, ...]
) -> None:
    for name, wanted in {"paper": paper, "lip": released}.items():
        schedule = task.schedules()[name]
        assert (schedule.steps, schedule.lr, schedule.jitter, schedule.backtrack) == (*wanted, None)


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
    schedule = Denoise().schedules()["paper"]
    assert (schedule.steps, schedule.lr, schedule.jitter, schedule.ema, schedule.backtrack) == (
        3000,
        0.01,
        1 / 30,
        0.99,
        5.0,
    )
