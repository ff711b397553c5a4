"""A mask hides what its author meant, or is refused: whatever its values, and after it was made smaller."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lip.data import images, inpaint_mask
from lip.data.library import InputLibrary
from lip.errors import InputError
from lip.specs.request import parse_trajectory

KNOWN = np.ones((64, 96), bool)
KNOWN[20:30, 40:60] = False


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 96, 3), dtype=np.uint8)).save("photo.png")


def load(name: str, shape: tuple[int, int] = (64, 96), size: int | None = None, invert: bool = False) -> images.Image:
    photograph = inpaint_mask.Photograph("photo.png", *shape)
    return inpaint_mask.load(name, photograph, size=size, multiple=32, invert=invert)


def known(name: str, **options: Any) -> np.ndarray:
    mask = load(name, **options)
    assert mask.pixels.dtype == np.uint8
    assert set(np.unique(mask.pixels)) <= {0, 255}
    return mask.pixels[..., 0] == 255


def save(name: str, image: np.ndarray | PIL.Image.Image, **options: Any) -> str:
    (PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(name, **options)
    return name


def coloured(dark: tuple[int, ...], light: tuple[int, ...]) -> np.ndarray:
    return np.where(KNOWN[..., None], np.array(light, np.uint8), np.array(dark, np.uint8))


def palette(*colours: tuple[int, int, int]) -> PIL.Image.Image:
    image = PIL.Image.fromarray(KNOWN.astype(np.uint8))
    image.putpalette([value for colour in colours for value in colour])
    return image


TWO_VALUED = {
    "8-bit.png": KNOWN.astype(np.uint8) * 255,
    "ones.png": KNOWN.astype(np.uint8),
    "label.bmp": np.where(KNOWN, 7, 3).astype(np.uint8),
    "bright.png": np.where(KNOWN, 255, 200).astype(np.uint8),
    "bits.png": KNOWN,
    "bits.tif": KNOWN,
    "ones.tif": KNOWN.astype(np.uint8),
    "16-bit.png": KNOWN.astype(np.uint16) * 65535,
    "16-bit ones.png": KNOWN.astype(np.uint16),
    "16-bit.tif": KNOWN.astype(np.uint16) * 4095,
    "32-bit.tif": KNOWN.astype(np.int32),
    "float.tif": KNOWN.astype(np.float32),
    "colour.png": coloured((0, 0, 0), (255, 255, 255)),
    "colour ones.png": coloured((0, 0, 0), (1, 1, 1)),
    "red.png": coloured((0, 0, 0), (128, 0, 0)),
    "opaque.png": coloured((0, 0, 0, 255), (255, 255, 255, 255)),
    "clear.png": coloured((255, 255, 255, 0), (255, 255, 255, 255)),
    "clear black.png": coloured((0, 0, 0, 0), (0, 0, 0, 255)),
    "half clear.webp": coloured((9, 9, 9, 100), (9, 9, 9, 200)),
    "palette.png": palette((0, 0, 0), (128, 0, 0)),
    "turned palette.png": palette((10, 20, 30), (250, 250, 250)),
    "palette.gif": palette((0, 0, 0), (128, 0, 0)),
}


@pytest.mark.parametrize("name", TWO_VALUED)
def test_of_two_values_the_lighter_is_known(name: str) -> None:
    save(name, TWO_VALUED[name], **({"lossless": True, "exact": True} if name.endswith("webp") else {}))
    np.testing.assert_array_equal(known(name), KNOWN)
    np.testing.assert_array_equal(known(name, invert=True), ~KNOWN)


def test_a_clear_colour_of_a_palette_is_hidden() -> None:
    save("palette.png", palette((9, 9, 9), (9, 9, 9)), transparency=bytes([0, 255]))
    np.testing.assert_array_equal(known("palette.png"), KNOWN)


def test_the_alpha_channel_of_a_photograph_is_its_mask() -> None:
    photograph = np.asarray(PIL.Image.open("photo.png"))
    mask = load(save("cut.png", np.dstack([photograph, np.where(KNOWN, 255, 0).astype(np.uint8)])))
    np.testing.assert_array_equal(mask.pixels[..., 0] == 255, KNOWN)
    assert "its alpha channel is the mask" in mask.notes


def test_two_masks_in_one_file_are_refused() -> None:
    partly = coloured((0, 0, 0, 255), (255, 255, 255, 255))
    partly[:5, :, 3] = 0
    save("partly.png", partly)
    save("opposite.png", coloured((0, 0, 0, 255), (255, 255, 255, 0)))
    save("opposite.gif", palette((0, 0, 0), (255, 255, 255)), transparency=1)
    for name in ("partly.png", "opposite.png", "opposite.gif"):
        said = f"mask: {name} has a mask in its colours and another in its alpha channel; save it with one of them"
        with pytest.raises(InputError, match=f"^{said}$"):
            load(name)


def test_colours_that_agree_with_the_alpha_channel_do_no_harm() -> None:
    save("agree.png", coloured((0, 0, 0, 0), (255, 255, 255, 255)))
    np.testing.assert_array_equal(known("agree.png"), KNOWN)


def test_of_many_values_the_lighter_half_is_known() -> None:
    grey = np.tile(np.linspace(0, 255, 96).round().astype(np.uint8), (64, 1))
    np.testing.assert_array_equal(known(save("soft.png", grey)), grey >= 128)
    deep = grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(known(save("deep.png", deep)), grey >= 128)


def test_a_jpeg_of_black_and_white_keeps_its_shape() -> None:
    np.testing.assert_array_equal(known(save("lossy.jpg", TWO_VALUED["8-bit.png"], quality=75)), KNOWN)


def test_many_values_of_no_known_white_are_refused() -> None:
    save("float.tif", np.random.default_rng(0).random((64, 96), np.float32))
    with pytest.raises(InputError, match=r"^mask: float.tif holds F values whose white is not known; save it with two"):
        load("float.tif")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "it hides every pixel; flat.png must be light where pixels are known"),
        (1, "it hides every pixel"),
        (255, "it hides no pixel; flat.png must be light where pixels are known and dark where they are hidden"),
    ],
)
def test_a_mask_that_says_nothing_is_refused(value: int, said: str) -> None:
    for dtype in (np.uint8, np.uint16):
        save("flat.png", np.full((64, 96), value * (1 if dtype is np.uint8 else 257), dtype))
        with pytest.raises(InputError, match=f"^mask: {said}"):
            load("flat.png")


@pytest.mark.parametrize("void", [20, 255])
def test_a_label_map_of_several_classes_is_refused(void: int) -> None:
    labels = np.arange(64 * 96).reshape(64, 96) % 21
    labels[labels == 20] = void
    brightest = 19 if void == 255 else 20
    said = f"mask: labels.png has more than two values, up to {brightest} and far from white; save"
    with pytest.raises(InputError, match=f"^{said}"):
        load(save("labels.png", labels.astype(np.uint8)))


def test_sizes_are_compared_on_the_files() -> None:
    save("small.png", TWO_VALUED["8-bit.png"][::2, ::2])
    said = "mask: small.png is 48x32 pixels and image photo.png is 96x64; give a mask of the image's size"
    for size in (None, 32):
        with pytest.raises(InputError, match=f"^{said}$"):
            load("small.png", size=size)


def test_a_turned_mask_is_turned_as_photographs_are() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    save("turned.png", np.rot90(TWO_VALUED["8-bit.png"]), exif=exif)
    np.testing.assert_array_equal(known("turned.png"), KNOWN)


def test_it_is_cropped_as_the_photograph_is() -> None:
    whole = np.random.default_rng(1).random((75, 90)) < 0.5
    cropped = known(save("mask.png", whole.astype(np.uint8)), shape=(75, 90))
    photograph = images.load(save("same.png", whole.astype(np.uint8) * 255))
    np.testing.assert_array_equal(cropped, photograph.pixels[..., 0] == 255)


@pytest.mark.parametrize(("width", "size"), [(256, 64), (250, 64), (96, 64), (64, 64), (33, 64), (101, 32)])
def test_a_reduced_pixel_is_known_only_if_all_it_overlaps_are(width: int, size: int) -> None:
    """Also of a side that is no multiple, of the middle of a wide mask, and of an enlarged one."""
    rng = np.random.default_rng(width)
    mask = rng.random((64, width)) < 0.9
    side, left = min(64, width), max(0, (width - 64) / 2)
    top = max(0, (64 - width) / 2)
    for row, column in rng.integers(size, size=(40, 2)):
        span = side / size
        rows = slice(int(top + row * span + 1e-9), int(np.ceil(top + (row + 1) * span - 1e-9)))
        columns = slice(int(left + column * span + 1e-9), int(np.ceil(left + (column + 1) * span - 1e-9)))
        assert inpaint_mask.reduce(mask, size)[row, column] == mask[rows, columns].all()


def test_a_scratch_of_one_pixel_stays_hidden_and_its_share_is_told() -> None:
    scratch = np.full((256, 256), 255, np.uint8)
    scratch[100] = 0
    mask = load(save("scratch.png", scratch), shape=(256, 256), size=64)
    np.testing.assert_array_equal(np.flatnonzero(mask.pixels[:, 5, 0] == 0), [25])
    assert mask.notes == ("as a mask it hides 1.56 % of the pixels",)


def test_a_part_that_hides_nothing_is_refused() -> None:
    edge = np.full((64, 96), 255, np.uint8)
    edge[:, :3] = 0
    with pytest.raises(InputError, match=r"^mask: it hides no pixel of the part of edge.png that is used; crop it and"):
        load(save("edge.png", edge), size=32)


def fit(**values: Any) -> Any:
    library = InputLibrary()
    keys = {"image": "photo.png", "task": "inpaint", "width": 4, "scales": 2, "rounds": 0} | values
    return parse_trajectory(keys, library, "fit"), library


def test_the_spec_holds_a_mask_whatever_file_it_came_from() -> None:
    save("a.png", TWO_VALUED["8-bit.png"])
    save("b.png", TWO_VALUED["ones.png"])
    save("c.png", TWO_VALUED["red.png"])
    ids = {fit(mask=name)[0].id for name in ("a.png", "b.png", "c.png")}
    assert len(ids) == 1
    turned, library = fit(mask="a.png", invert=True)
    assert turned.id not in ids
    (hole,) = turned.task.pictures
    np.testing.assert_array_equal(library.inputs[hole.content_hash][..., 0] == 0, KNOWN)
    assert "a.png: as a mask it hides 96.7 % of the pixels" in library.notes


def test_an_embedded_photograph_has_a_mask_of_its_size() -> None:
    save("mask.png", TWO_VALUED["8-bit.png"])
    with pytest.raises(InputError, match=r"fit: mask: mask.png is 96x64 pixels and image astronaut is 512x512; give"):
        fit(image="astronaut", size=64, mask="mask.png")
    with pytest.raises(InputError, match=r"fit: mask: camera is a photograph; give the file of a mask, or text"):
        fit(image="astronaut", size=64, mask="camera")


def test_text_is_drawn_at_the_size_of_the_photograph_and_may_be_inverted() -> None:
    text, inverted = (fit(mask="text", invert=invert) for invert in (False, True))
    pixels = [library.inputs[made.task.pictures[0].content_hash] for made, library in (text, inverted)]
    assert pixels[0].shape == (64, 96, 1)
    np.testing.assert_array_equal(pixels[0], 255 - pixels[1])


def test_without_a_mask_there_is_nothing_to_invert() -> None:
    with pytest.raises(InputError, match=r"^fit: invert: there is no mask to invert; give one, or remove it$"):
        fit(invert=True)
