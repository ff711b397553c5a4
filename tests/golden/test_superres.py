"""Super-resolution against deep image prior: its crops, low resolutions, operator and PSNR of the luma."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lip.data.images import load
from lip.data.library import InputLibrary
from lip.tasks import TASKS
from lip.tasks.superres import SuperResolution, downsample, lanczos2
from lip.training.metrics import psnr

SIZES = json.loads(Path(__file__).with_name("crop.json").read_text())["images"]


@pytest.fixture
def arrays(golden):
    return golden("superres")


def images(pixels: np.ndarray) -> torch.Tensor:
    """From uint8 (height, width, 3) to (1, 3, height, width) in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tasks", [("denoise", "inpaint"), ("superres",)])
def test_a_task_crops_an_image_where_deep_image_prior_crops_it(tmp_path: Path, size: str, tasks: tuple[str]) -> None:
    """Every pixel says where it was: its row and column, each in two bytes of a colour."""
    width, height = SIZES[size]["size"]
    left, top, right, bottom = SIZES[size]["_".join(tasks)]
    rows, columns = np.indices((height, width))
    where = np.stack([rows // 4, columns // 4, 4 * (rows % 4) + columns % 4], axis=2).astype(np.uint8)
    Image.fromarray(where).save(tmp_path / "where.png")
    for task in tasks:
        cropped = load(str(tmp_path / "where.png"), multiple=32, half_pixel=TASKS[task].half_pixel)
        assert np.array_equal(cropped.pixels, where[top:bottom, left:right])


def test_an_album_holds_one_image_as_either_task_crops_it(tmp_path: Path, arrays) -> None:
    Image.fromarray(arrays["tall"]).save(tmp_path / "tall.png")
    library = InputLibrary()
    even, down = (library.picture(str(tmp_path / "tall.png"), None, 32, half_pixel) for half_pixel in ("even", "down"))
    first, rows = arrays["tall_hr_rows"]
    assert np.array_equal(library.inputs[even.content_hash], arrays["tall"][first : first + rows, 2:34])
    assert np.array_equal(library.inputs[down.content_hash], arrays["tall"][first - 1 : first - 1 + rows, 2:34])


@pytest.mark.parametrize("factor", [4, 8])
def test_the_low_resolution_of_a_cropped_image_is_that_of_deep_image_prior(tmp_path: Path, arrays, factor: int) -> None:
    Image.fromarray(arrays["tall"]).save(tmp_path / "tall.png")
    tall = load(str(tmp_path / "tall.png"), multiple=32, half_pixel=SuperResolution.half_pixel)
    for pixels, published in ((tall.pixels, f"tall_lr{factor}"), (arrays["hr"], f"hr_lr{factor}")):
        observed = SuperResolution(factor=factor).observe(images(pixels), torch.Generator())[0]
        assert np.array_equal(observed.numpy(), arrays[published])


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_operator_is_that_of_deep_image_prior(arrays, factor: int) -> None:
    weights = lanczos2(factor)
    assert np.abs(torch.outer(weights, weights).numpy() - arrays[f"kernel{factor}"]).max() < 1e-14
    small = downsample(torch.from_numpy(arrays["image"]), factor)
    assert np.abs(small.numpy() - arrays[f"down{factor}"]).max() < 2e-6


def test_the_gradient_of_the_operator_is_that_of_deep_image_prior(arrays) -> None:
    image = torch.from_numpy(arrays["image"]).requires_grad_()
    (downsample(image, 4) * torch.from_numpy(arrays["weight4"])).sum().backward()
    assert np.abs(image.grad.numpy() - arrays["gradient4"]).max() < 2e-6


def test_psnr_is_that_of_the_luma_as_deep_image_prior_reports_it(arrays) -> None:
    output = torch.from_numpy(arrays["psnr_output"])[None]
    error = SuperResolution().error(output, images(arrays["psnr_clean"]))
    assert psnr(float(error)) == pytest.approx(float(arrays["psnr_y"]), abs=1e-4)
