"""Image files decode to the pixels that are meant, or are refused in a sentence whose remedy is true."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

import lip
from lip.data import decoding
from lip.data.decoding import decode
from lip.errors import InputError

ROWS, COLUMNS = np.mgrid[:40, :52]
COLOUR = np.stack([COLUMNS * 4, ROWS * 5, ROWS + COLUMNS, ROWS * COLUMNS % 256], axis=2).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(path: str) -> str:
    with pytest.raises(InputError) as refused:
        decode(Path(path))
    return str(refused.value)


def save(path: str, pixels: np.ndarray = COLOUR[..., :3], mode: str | None = None, **options: Any) -> str:
    image = PIL.Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# --- layouts of TIFF

KINDS = {
    "grey": (COLOUR[..., 0], {"photometric": "minisblack"}),
    "white is 0": (COLOUR[..., 0], {"photometric": "miniswhite"}),
    "colour": (COLOUR[..., :3], {"photometric": "rgb", "planarconfig": "contig"}),
    "planes": (np.moveaxis(COLOUR[..., :3], 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "alpha": (COLOUR, {"photometric": "rgb", "planarconfig": "contig", "extrasamples": ["unassalpha"]}),
    "alpha planes": (
        np.moveaxis(COLOUR, 2, 0),
        {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]},
    ),
    "grey alpha": (COLOUR[..., :2], {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i1", "i2", "u4", "f2", "f4", "f8"])
def test_a_tiff_decodes_to_what_was_written_or_is_refused(kind: str, dtype: str) -> None:
    """In either byte order, compressed or not, in strips or tiles."""
    pixels, options = KINDS[kind]
    expected = np.atleast_3d(np.moveaxis(pixels, 0, 2) if "planes" in kind else pixels)
    expected = expected[..., : 3 if expected.shape[2] > 2 else 1].astype(int)
    if kind == "white is 0":
        expected = 255 - expected
    stored = pixels.astype("u2") * 257 if dtype == "u2" else pixels.astype(dtype)
    read = 0
    for order, compression, layout in product("<>", (None, "zlib"), ({}, {"rowsperstrip": 7}, {"tile": (16, 16)})):
        try:
            tifffile.imwrite("scan.tif", stored, byteorder=order, compression=compression, **layout, **options)
        except ValueError:  # which tifffile does not write
            continue
        try:
            decoded, notes = decode(Path("scan.tif"))
        except InputError:
            continue
        read += 1
        assert decoded.shape == expected.shape
        assert np.abs(decoded.astype(int) - expected).max() <= 1
        assert any("16-bit reduced" in note for note in notes) == (dtype == "u2")
    assert (read > 0) == (dtype == "u1" or (dtype == "u2" and kind not in ("white is 0", "grey alpha")))


@pytest.mark.parametrize(
    ("pixels", "options", "objection"),
    [
        (KINDS["planes"][0].astype("u2"), KINDS["planes"][1], "16-bit planes"),
        (COLOUR[..., 0].view("i1"), KINDS["grey"][1], "signed values"),
        (COLOUR[..., 0].astype("u2"), KINDS["white is 0"][1], "16-bit values whose 0 is white"),
        (
            COLOUR[..., 0],
            {"photometric": "palette", "colormap": np.tile(np.arange(256, dtype="u2"), (3, 1))},
            "an 8-bit palette",
        ),
        (COLOUR[..., :3], {"photometric": "rgb", "subfiletype": 1}, "a thumbnail as its first image"),
    ],
)
def test_a_layout_that_would_be_misread_is_named(pixels: np.ndarray, options: dict[str, Any], objection: str) -> None:
    tifffile.imwrite("scan.tif", pixels, **options)
    assert refusal("scan.tif") == f"scan.tif is a TIFF with {objection}, which is not read; save it as PNG"


def test_uncompressed_ycbcr_is_refused_and_compressed_is_read() -> None:
    save("scan.tif", mode="YCbCr")
    assert "with uncompressed YCbCr values" in refusal("scan.tif")
    save("scan.tif", mode="YCbCr", compression="tiff_lzw")
    assert np.abs(decode(Path("scan.tif"))[0].astype(int) - COLOUR[..., :3]).max() <= 4


def test_a_palette_of_16_bits_becomes_its_colours() -> None:
    colours = np.random.default_rng(0).integers(256, size=(3, 256)).astype("u2")
    tifffile.imwrite("scan.tif", COLOUR[..., 0], photometric="palette", colormap=colours * 257)
    np.testing.assert_array_equal(decode(Path("scan.tif"))[0], np.moveaxis(colours[:, COLOUR[..., 0]], 0, 2))


# --- bits


@pytest.mark.parametrize(("bits", "times"), [(8, 256), (10, 64), (12, 16), (14, 4)])
@pytest.mark.parametrize("path", ["camera.png", "camera.tif"])
def test_fewer_than_16_bits_are_noted(path: str, bits: int, times: int) -> None:
    values = np.linspace(0, 2**bits - 1, 2080).round().astype(np.uint16).reshape(40, 52)
    pixels, notes = decode(Path(save(path, values)))
    assert pixels.max() == round((2**bits - 1) / 257)
    assert notes == [
        "16-bit reduced to 8-bit",
        f"only 0 to {2**bits - 1} of 65535 are used, so that it is dark: if it is {bits}-bit, multiply it by {times}",
    ]


def test_fewer_than_16_bits_of_a_colour_are_noted() -> None:
    tifffile.imwrite("camera.tif", COLOUR[..., :3].astype(np.uint16) * 16, photometric="rgb")
    assert "if it is 12-bit, multiply it by 16" in decode(Path("camera.tif"))[1][-1]


@pytest.mark.parametrize("white", [1023, 65535])
def test_a_ppm_names_its_white(white: int) -> None:
    values = np.array([0, white, white // 2, 0, 0, white], ">u2")
    Path("photo.ppm").write_bytes(b"P6 2 1 %d\n" % white + values.tobytes())
    pixels, said = decode(Path("photo.ppm"))
    assert np.abs(pixels.astype(int) - [[[0, 255, 127], [0, 0, 255]]]).max() <= 1
    assert said == ["16-bit reduced to 8-bit"]


def test_a_photograph_of_all_16_bits_and_a_black_one_are_not_noted() -> None:
    for brightest in (0, 20000, 65535):
        values = np.linspace(0, brightest, 2080).astype(np.uint16).reshape(40, 52)
        assert decode(Path(save("camera.png", values)))[1] == ["16-bit reduced to 8-bit"]


# --- files that cannot be read


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "ppm", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_called_damaged(suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(256, size=(40, 52, 3), dtype=np.uint8)
    whole = Path(save(f"whole.{suffix}", noise)).read_bytes()
    Path(f"half.{suffix}").write_bytes(whole[: int(share * len(whole))])
    said = refusal(f"half.{suffix}")
    assert said.startswith(f"half.{suffix} is damaged (")
    assert said.endswith("); give a whole copy of it")


def test_an_empty_file_is_called_empty() -> None:
    Path("empty.png").touch()
    assert refusal("empty.png") == "empty.png is empty; give a whole copy of it"


@pytest.mark.parametrize(
    "suffix", ["ico", "tga", "pcx", "sgi", "jp2", "eps", "pdf", "dds", "icns", "txt", "heic", "svg"]
)
def test_another_format_is_called_so_whatever_its_name(suffix: str) -> None:
    other = {"txt": b"no image", "heic": b"\0\0\0\x18ftypheic" + bytes(40), "svg": b"<svg/>"}
    if suffix in other:
        Path(f"other.{suffix}").write_bytes(other[suffix])
    else:
        save(f"other.{suffix}", np.zeros((32, 32, 3), np.uint8))
    Path("other.png").write_bytes(Path(f"other.{suffix}").read_bytes())
    for path in (f"other.{suffix}", "other.png"):
        assert refusal(path) == (
            f"{path} is in a format that is not read; save it as PNG, JPEG, TIFF, BMP, GIF, PPM or WebP"
        )


def test_what_cannot_be_opened_is_not_called_damaged() -> None:
    Path("folder.png").mkdir()
    assert refusal("folder.png") == ("folder.png cannot be read (Is a directory); correct that, or give another file")


def test_large_metadata_are_not_called_damage() -> None:
    info = PngInfo()
    info.add_text("workflow", "a" * 3_000_000, zip=True)
    save("text.png", pnginfo=info)
    assert refusal("text.png").startswith("text.png has metadata that are too large (")
    assert refusal("text.png").endswith("; save it without them")


def test_an_image_above_pillows_limit_is_read_and_above_ours_said_to_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    save("large.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(decode(Path("large.png"))[0], COLOUR[..., :3])
    assert PIL.Image.MAX_IMAGE_PIXELS == 100, "the limit of others stays"
    monkeypatch.setattr(decoding, "MAX_MEGAPIXELS", 0.002)
    assert refusal("large.png") == "large.png has 0 megapixels, and at most 0.002 are read; save it smaller"


def test_a_header_of_billions_of_pixels_is_refused_before_they_are_there() -> None:
    Path("huge.ppm").write_bytes(b"P6 60000 60000 255\n")
    assert refusal("huge.ppm") == "huge.ppm has 3600 megapixels, and at most 300 are read; save it smaller"


def test_no_image_starts_ghostscript(tmp_path: Path) -> None:
    save("drawing.eps")
    Path("drawing.eps").rename("drawing.png")
    Path("bin").mkdir()
    Path("bin/gs").write_text('#!/bin/sh\necho "$@" >> ran.txt\nexit 1\n')
    Path("bin/gs").chmod(0o755)
    script = "from lip.data import images\nimages.load('drawing.png', size=32)"
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(Path(lip.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert "in a format that is not read" in done.stderr
    assert not Path("ran.txt").exists()


# --- colour profiles


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_a_profile_other_than_srgb_is_noted(suffix: str) -> None:
    profiles = {name: ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes() for name in ("sRGB", "XYZ")}
    for icc, notes in (
        (profiles["sRGB"], []),
        (profiles["XYZ"], ["colour profile XYZ identity built-in ignored"]),
        (b"nonsense", ["colour profile (unknown) ignored"]),
    ):
        assert decode(Path(save(f"photo.{suffix}", icc_profile=icc)))[1] == notes
