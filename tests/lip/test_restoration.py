"""A photograph that is itself degraded goes in; what comes back is of the same kind, and says what was done."""

import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import lip
from lip.errors import InputError
from lip.masks import Mask
from lip.priors import Decoder
from lip.restoration import Restored, estimate_sigma
from lip.tasks.upscale import Upscale
from lip.tickets import Ticket
from lip.training import machine, memory
from lip.training.restore import train

Call = Callable[..., Restored]


@pytest.fixture
def restore() -> Call:
    """`lip.restore` with a network so small that it takes milliseconds."""

    def call(image: Any, task: Any = "denoise", **options: Any) -> Restored:
        tiny = {"width": 4, "scales": 2, "steps": 3, "threads": 1, "backend": "dense", "progress": False}
        return lip.restore(image, task, **tiny | options)

    return call


@pytest.fixture
def known() -> np.ndarray:
    return np.random.default_rng(0).random((32, 32)) < 0.5


LAYOUTS = [np.s_[..., 0], np.s_[..., :1], np.s_[..., :2], np.s_[..., :3], np.s_[...]]
"""Of RGBA pixels: grey twice, grey with alpha, RGB, all."""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_an_array_comes_back_as_an_array_of_its_kind(restore: Call, photo: np.ndarray, dtype, layout) -> None:
    pixels = np.dstack([photo, photo[..., 1]])[:21, :30] / 255
    most = np.iinfo(dtype).max if dtype in (np.uint8, np.uint16) else 1
    array = (pixels * most).astype(dtype)[layout]
    image = restore(array).image
    assert image.dtype == array.dtype
    assert image.shape == array.shape
    if array.ndim == 3 and array.shape[2] in (2, 4):
        np.testing.assert_allclose(image[..., -1], array[..., -1], atol=0 if most > 1 else 1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 9), (64, 33)])
def test_any_size_is_taken(restore: Call, size: tuple[int, int]) -> None:
    assert restore(np.full(size, 90, np.uint8)).image.shape == size
    assert restore(np.full(size, 90, np.uint8), "upscale", factor=2).image.shape == (2 * size[0], 2 * size[1])


def test_the_same_call_returns_the_same_bits_and_another_seed_others(restore: Call, photo: np.ndarray) -> None:
    first = restore(photo).image
    assert np.array_equal(restore(photo).image, first)
    assert not np.array_equal(restore(photo, seed=1).image, first)


def test_seeds_are_averaged(restore: Call, photo: np.ndarray) -> None:
    array = photo / 255
    one, other, both = (restore(array, **keys) for keys in ({}, {"seed": 1}, {"seeds": 2}))
    np.testing.assert_allclose(both.image, (one.image + other.image) / 2, atol=1e-6)
    assert [fit["seed"] for fit in both.record["fits"]] == [0, 1]


def test_known_pixels_stay_and_hidden_ones_are_never_looked_at(
    restore: Call, photo: np.ndarray, known: np.ndarray
) -> None:
    restored = restore(photo, "inpaint", mask=known)
    assert np.array_equal(restored.image[known], photo[known])
    black = np.where(known[..., None], photo, 0)
    assert np.array_equal(restore(black, "inpaint", mask=known).image, restored.image)
    assert restored.record["share_hidden"] == round(1 - known.mean(), 5)


def test_a_mask_is_a_file_a_picture_or_an_array(
    restore: Call, photo: np.ndarray, known: np.ndarray, tmp_path: Path
) -> None:
    picture = PIL.Image.fromarray(np.where(known, 255, 0).astype(np.uint8))
    picture.save(tmp_path / "mask.png")
    expected = restore(photo, "inpaint", mask=known).image
    for mask in (picture, tmp_path / "mask.png", np.asarray(picture)):
        assert np.array_equal(restore(photo, "inpaint", mask=mask).image, expected)
    assert np.array_equal(restore(photo, "inpaint", mask=~known, invert=True).image, expected)


def test_a_file_keeps_its_alpha_its_profile_and_stands_upright(
    restore: Call, photo: np.ndarray, tmp_path: Path
) -> None:
    from PIL.ImageCms import ImageCmsProfile, createProfile

    profile = ImageCmsProfile(createProfile("LAB")).tobytes()
    alpha = np.arange(32 * 20, dtype=np.uint16).reshape(20, 32).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    PIL.Image.fromarray(np.dstack([photo[:20], alpha])).save(tmp_path / "cat.png", exif=exif, icc_profile=profile)
    restored = restore(tmp_path / "cat.png")
    assert restored.image.size == (20, 32)
    restored.save(tmp_path / "out.png")
    out = PIL.Image.open(tmp_path / "out.png")
    assert out.info["icc_profile"] == profile
    assert np.array_equal(np.asarray(out)[..., 3], np.rot90(alpha, -1))
    assert restored.record["notes"][0] == "turned upright (EXIF orientation)"


def test_pictures_of_pillow_and_files_are_restored_alike(restore: Call, photo: np.ndarray, tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(photo)
    picture.save(tmp_path / "cat.png")
    images = [np.asarray(restore(one).image) for one in (photo, picture, tmp_path / "cat.png")]
    assert np.array_equal(images[0], images[1])
    assert np.array_equal(images[0], images[2])


def test_noise_is_estimated_where_it_is_not_given(restore: Call) -> None:
    noisy = np.random.default_rng(0).normal(120, 20, (200, 200, 3))
    assert estimate_sigma(noisy) == pytest.approx(20, rel=0.03)
    record = restore(np.rint(noisy[:16, :16]).clip(0, 255).astype(np.uint8)).record
    assert record["sigma_is_estimated"]
    assert "(estimated)" in record["notes"][0]
    assert restore(np.full((16, 16), 9, np.uint8), sigma=7).record["sigma"] == 7


def test_all_that_was_done_is_written(restore: Call, photo: np.ndarray, tmp_path: Path) -> None:
    restored = restore(photo, "upscale", factor=2)
    image, beside, record = restored.save_all(tmp_path / "big.jpg")
    for file, size in ((image, (64, 64)), (beside, (132, 64))):
        with PIL.Image.open(file) as picture:
            assert picture.size == size
    said = json.loads(record.read_text())
    assert (said["task"], said["factor"], said["size"]) == ("upscale", 2, [32, 32])
    assert said["fits"][0]["stop"] == restored.stop
    assert len(restored.curve["step"]) == len(restored.curve["loss"]) == 3
    assert PIL.Image.open(BytesIO(restored._repr_png_())).size == (64, 64)
    assert restored.stop in repr(restored)


def test_the_schedule_can_be_set(restore: Call, photo: np.ndarray) -> None:
    schedule = restore(photo, settings={"lr": 0.003, "ema": 0.9}).record["schedule"]
    assert (schedule["lr"], schedule["ema"], schedule["steps"]) == (0.003, 0.9, 3)
    assert schedule["until"] == "stop"


def test_the_schedule_can_be_set_for_a_ticket_that_brings_its_network(restore: Call, photo: np.ndarray, tiny) -> None:
    prior = Decoder(width=8, scales=2)
    card = {"prior": {"kind": "decoder", **prior.model_dump()}, "image": {"channels": 3}, "seed": 7}
    ticket = Ticket(Mask.dense(tiny.model(prior=prior).layers), card)
    options = {"ticket": ticket, "width": None, "scales": None}
    own = restore(photo, **options).record["schedule"]
    changed = restore(photo, settings={"lr": 0.003, "until": None}, **options).record["schedule"]
    assert (own["jitter"], own["until"]) == (0, "stop"), "a deep decoder's"
    assert changed == {**own, "lr": 0.003, "until": None}


def test_upscaling_fits_the_image_as_it_is(tiny) -> None:
    model = tiny.model(task=Upscale(factor=2))
    assert model.clean.shape == (1, 3, 64, 64)
    assert np.array_equal(
        np.rint(model.observation[0].permute(1, 2, 0).numpy() * 255), tiny.images[model.fit.picture.content_hash]
    )


def test_a_ticket_must_be_for_the_network(restore: Call, photo: np.ndarray, tiny) -> None:
    layers = tiny.model(width=4).layers
    dense = Mask.dense(layers)
    assert np.array_equal(restore(photo, ticket=dense).image, restore(photo).image)
    sparse = Mask(layers, np.arange(dense.bits.size) % 2 == 0)
    assert not np.array_equal(restore(photo, ticket=sparse).image, restore(photo).image)
    with pytest.raises(InputError, match="of another network than an hourglass of width 8 and 2 scales"):
        restore(photo, ticket=sparse, width=8)


def test_training_ends_when_patience_runs_out(tiny) -> None:
    model = tiny.model(steps=100, stop_window=2, stop_patience=3, until="stop")
    whole = train(tiny.model(steps=100, stop_window=2, stop_patience=3), Mask.dense(model.layers))
    ended = train(model, Mask.dense(model.layers))
    assert ended.steps < whole.steps == 100
    assert ended.scores["stop"] == whole.scores["stop"]
    assert np.array_equal(ended.outputs["stop_ema"], whole.outputs["stop_ema"])
    assert ended.curve.loss == whole.curve.loss[: len(ended.curve.loss)]
    assert ended.before_last is None


CAT = np.zeros((16, 16, 3), np.uint8)
BAD: list[tuple[Any, dict[str, Any], str]] = [
    (CAT, {"task": "denoyse"}, "task: there is no task 'denoyse'; did you mean 'denoise'?"),
    (CAT, {"task": "inpaint"}, "mask: to inpaint takes one"),
    (CAT, {"mask": CAT[..., 0] > 1}, "mask: to denoise takes none"),
    (CAT, {"invert": True}, "invert: there is no mask to invert"),
    (CAT, {"task": "inpaint", "mask": np.ones((16, 16), bool)}, "mask: it hides no pixel"),
    (CAT, {"task": "inpaint", "mask": np.ones((8, 16), bool)}, "mask: it is 16x8 pixels and image array is 16x16"),
    (CAT, {"task": "inpaint", "mask": np.ones((16, 16))}, "mask: it is an array of 16x16 float64"),
    (CAT, {"factor": 4}, "factor: to denoise takes none"),
    (CAT, {"task": "upscale", "factor": 3}, "factor: input should be 2, 4 or 8, not 3"),
    (CAT, {"task": "upscale", "sigma": 25}, "sigma: to upscale takes none"),
    (CAT, {"sigma": 0}, "sigma: 0 is not between 0 and 255"),
    (CAT, {"seeds": 0}, "seeds: 0 is less than one"),
    (CAT, {"steps": 0}, "steps: input should be greater than or equal to 1"),
    (CAT, {"width": 0}, "width: input should be greater than or equal to 1"),
    (CAT, {"seed": -1}, "seed: input should be greater than or equal to 0"),
    (CAT, {"settings": {"lrr": 0.1}}, "there is no key 'lrr'; did you mean 'lr'"),
    (CAT, {"settings": {"lr": -1}}, "lr: input should be greater than 0, not -1"),
    (CAT, {"device": "quantum"}, "device quantum cannot be used here"),
    (CAT.astype(int), {}, "image is an array of int64; give uint8, uint16 or floats"),
    (CAT + 0.5 + 1, {}, r"image has values that are not in \[0, 1\]"),
    (np.full((8, 8), np.nan), {}, r"image has values that are not in \[0, 1\]"),
    (CAT[None], {}, "image is an array of 1x16x16x3"),
    (CAT[:0], {}, "image is an array of 0x16x3"),
    ("nowhere.png", {}, "image: there is no file nowhere.png"),
    (7, {}, "image is of type int; give a path, a Pillow image or a NumPy array"),
]


@pytest.mark.parametrize(("image", "options", "sentence"), BAD)
def test_what_cannot_be_restored_is_refused_in_a_sentence(restore: Call, image: Any, options, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        restore(image, **options)


MEMORY = [
    ("denoise", {}, (100, 300), r"to restore 300x100 pixels .*; reduce it to (\d+)x(\d+), or use a smaller width$"),
    ("upscale", {"factor": 4}, (30, 50), r"to restore 200x120 .*; reduce it to (\d+)x(\d+), .* or a smaller factor$"),
]


@pytest.mark.parametrize(("task", "options", "size", "sentence"), MEMORY)
def test_what_does_not_fit_into_memory_is_refused_with_a_size_that_fits(
    restore: Call, monkeypatch: pytest.MonkeyPatch, task: str, options: Any, size: tuple[int, int], sentence: str
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: memory.PROCESS + 10e6)
    with pytest.raises(InputError, match=sentence) as refused:
        restore(np.zeros(size, np.uint8), task, width=32, **options)
    found = re.search(sentence, str(refused.value))
    assert found is not None
    width, height = map(int, found.groups())
    restore(np.zeros((height, width), np.uint8), task, width=32, steps=1, **options)


def test_where_no_size_fits_another_machine_is_named(restore: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 1e6)
    with pytest.raises(InputError, match=r"use a smaller width, or a machine with more$"):
        restore(np.zeros((16, 16), np.uint8))
