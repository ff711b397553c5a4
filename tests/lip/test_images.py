"""Which pixels a name stands for, exactly, and that every unusable name or file ends in one sentence.

All files are made here; the standard sets are played by a made-up table, a folder and a server on the loopback device.
"""

import http.server
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pooch
import pytest

from lip.data import images
from lip.errors import InputError

NOISE = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
GREY = NOISE[..., 0]


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user in an empty folder with an empty cache, no data folder and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIP_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(images, "_GITHUB", "http://127.0.0.1:1")


def save(path: str, pixels: np.ndarray, mode: str | None = None, **options: Any) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image = PIL.Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def save_png16(path: str, samples: np.ndarray) -> str:
    """A 16-bit PNG of (height, width, channels) samples, which Pillow itself can only write for grey."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def load_whole(name: str) -> images.Image:
    return images.load(name, multiple=1)


# --- identity


def test_id_is_golden() -> None:
    """Run folders and ledgers carry this id: a change of the literal orphans every result anyone has."""
    pixels = np.arange(2 * 3 * 1, dtype=np.uint8).reshape(2, 3, 1)
    assert images.Image("x", pixels, ()).id == "4dd00668da1ab58e"


def test_id_follows_the_pixels_and_their_shape_only() -> None:
    wide, tall = np.zeros((2, 3, 1), np.uint8), np.zeros((3, 2, 1), np.uint8)
    assert images.Image("a", wide, ()).id == images.Image("b", wide.copy(), ("noted",)).id
    assert images.Image("a", wide, ()).id != images.Image("a", tall, ()).id


def test_pixels_are_read_only() -> None:
    save("cat.png", NOISE)
    for image in (images.load("cat.png"), images.load("cat.png", size=32), images.load("camera", size=32)):
        with pytest.raises(ValueError, match="read-only"):
            image.pixels[0, 0, 0] = 0


# --- embedded photographs


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("astronaut", (512, 512, 3)),
        ("camera", (512, 512, 1)),
        ("chelsea", (300, 451, 3)),
        ("coffee", (400, 600, 3)),
        ("coins", (303, 384, 1)),
        ("moon", (512, 512, 1)),
        ("retina", (1411, 1411, 3)),
        ("rocket", (427, 640, 3)),
    ],
)
def test_embedded(name: str, shape: tuple[int, ...]) -> None:
    image = load_whole(name)
    assert (image.name, image.pixels.shape, image.pixels.dtype, image.notes) == (name, shape, np.uint8, ())
    assert name in images.EMBEDDED
    assert images.names(name) == [name]


def test_embedded_need_neither_network_nor_cache(tmp_path: Path) -> None:
    script = (
        "import socket\n"
        "def refuse(*address): raise AssertionError(f'network: {address}')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from lip.data import images\n"
        "for name in images.EMBEDDED: images.load(name)\n"
    )
    caches = {variable: str(tmp_path) for variable in ("HOME", "XDG_CACHE_HOME", "SKIMAGE_DATADIR")}
    root = Path(images.__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, env={**os.environ, **caches}, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_import_is_cheap() -> None:
    script = (
        "import sys, lip.data.images; print(*{'torch', 'ray', 'pandas', 'skimage', 'PIL', 'pooch'} & set(sys.modules))"
    )
    root = Path(images.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=root).stdout == b"\n"


# --- decoding


@pytest.mark.parametrize("path", ["rgb.png", "rgb.bmp", "rgb.ppm", "rgb.tif", "of any name.dat"])
def test_rgb_is_kept(path: str) -> None:
    save("rgb.png", NOISE)
    if path.endswith("dat"):
        Path(path).write_bytes(Path("rgb.png").read_bytes())
    else:
        save(path, NOISE)
    image = load_whole(path)
    np.testing.assert_array_equal(image.pixels, NOISE)
    assert (image.name, image.notes) == (path, ())


def test_grey_has_one_channel_and_grey_looking_rgb_three() -> None:
    np.testing.assert_array_equal(load_whole(save("grey.png", GREY)).pixels, GREY[..., None])
    np.testing.assert_array_equal(load_whole(save("rgb.png", np.dstack([GREY] * 3))).pixels, np.dstack([GREY] * 3))


def test_one_bit_is_black_and_white() -> None:
    image = load_whole(save("one.png", GREY > 99))
    np.testing.assert_array_equal(image.pixels[..., 0], np.where(GREY > 99, 255, 0))
    assert image.notes == ()


@pytest.mark.parametrize("path", ["grey.png", "colour.png", "colour.tif"])
def test_alpha_is_dropped_without_blending(path: str) -> None:
    opaque = GREY[..., None] if path == "grey.png" else NOISE
    image = load_whole(save(path, np.concatenate([opaque, NOISE[..., 2:]], axis=2)))
    np.testing.assert_array_equal(image.pixels, opaque)
    assert image.notes == ("alpha channel dropped",)


def test_palette_becomes_its_colours() -> None:
    indices = PIL.Image.frombytes("P", GREY.shape[::-1], (GREY % 4).tobytes())
    colours = np.array([(255, 0, 0), (0, 255, 0), (1, 2, 3), (7, 7, 7)], np.uint8)
    indices.putpalette(colours.tobytes())
    indices.save("plain.png")
    indices.save("clear.png", transparency=bytes([0, 128, 255, 255]))
    for path, notes in (("plain.png", ()), ("clear.png", ("alpha channel dropped",))):
        image = load_whole(path)
        np.testing.assert_array_equal(image.pixels, colours[GREY % 4])
        assert image.notes == notes


SAMPLES = np.array([[0, 1, 128, 129], [257, 385, 386, 65535]], np.uint16)[..., None]


def test_16_bit_grey_is_rounded() -> None:
    save("grey.tif", SAMPLES[..., 0])
    Path("grey.pgm").write_bytes(b"P5 4 2 65535\n" + SAMPLES.astype(">u2").tobytes())
    for path in (save_png16("grey.png", SAMPLES), "grey.tif", "grey.pgm"):
        image = load_whole(path)
        assert image.pixels[..., 0].tolist() == [[0, 0, 0, 1], [1, 1, 2, 255]]
        assert image.notes == ("16-bit reduced to 8-bit",)


def test_white_of_a_10_bit_pgm_is_the_one_it_names() -> None:
    Path("grey.pgm").write_bytes(b"P5 3 1 1023\n" + np.array([0, 512, 1023], ">u2").tobytes())
    image = load_whole("grey.pgm")
    assert image.pixels[..., 0].tolist() == [[0, 128, 255]]
    assert image.notes == ("16-bit reduced to 8-bit",)


@pytest.mark.parametrize(("channels", "kept"), [(2, 1), (3, 3), (4, 3)])
def test_16_bit_with_more_channels_keeps_the_high_byte(channels: int, kept: int) -> None:
    image = load_whole(save_png16("deep.png", np.repeat(SAMPLES, channels, axis=2)))
    np.testing.assert_array_equal(image.pixels, np.repeat(SAMPLES >> 8, kept, axis=2))
    assert image.notes[-1] == "16-bit reduced to 8-bit (high byte)"
    assert ("alpha channel dropped" in image.notes) == (channels != kept)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_values_are_refused(mode: str) -> None:
    with pytest.raises(InputError, match=rf"^deep.tif holds {mode} values whose white is not known; save it as 8-bit"):
        load_whole(save("deep.tif", GREY, mode))


def test_cmyk_becomes_rgb() -> None:
    image = load_whole(save("print.tif", NOISE, "CMYK"))
    np.testing.assert_array_equal(image.pixels, NOISE)
    assert image.notes == ("CMYK converted to RGB",)


@pytest.mark.parametrize("path", ["turned.png", "turned.tif"])
@pytest.mark.parametrize(("orientation", "upright"), [(1, NOISE), (3, np.rot90(NOISE, 2)), (6, np.rot90(NOISE, -1))])
def test_exif_orientation(path: str, orientation: int, upright: np.ndarray) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    image = load_whole(save(path, NOISE, exif=exif))
    np.testing.assert_array_equal(image.pixels, upright)
    assert image.notes == (("turned upright (EXIF orientation)",) if orientation != 1 else ())


def test_16_bit_survives_turning() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = load_whole(save("turned.png", SAMPLES[..., 0], exif=exif))
    assert image.pixels[..., 0].tolist() == [[1, 0], [1, 0], [2, 0], [255, 1]]
    assert image.notes == ("turned upright (EXIF orientation)", "16-bit reduced to 8-bit")


@pytest.mark.parametrize("path", ["moving.png", "pages.tif"])
def test_first_of_several_frames(path: str) -> None:
    others = [PIL.Image.fromarray(255 - NOISE), PIL.Image.fromarray(NOISE // 2)]
    image = load_whole(save(path, NOISE, save_all=True, append_images=others))
    np.testing.assert_array_equal(image.pixels, NOISE)
    assert image.notes == ("first of 3 frames",)


# --- size and multiple


@pytest.mark.parametrize(
    ("shape", "multiple", "top", "left", "new"),
    [
        ((40, 52), 32, 4, 10, (32, 32)),
        ((35, 52), 8, 1, 2, (32, 48)),  # 3 rows too many: 1 above, 2 below
        ((40, 33), 32, 4, 0, (32, 32)),
    ],
)
def test_centre_crop(shape: tuple[int, int], multiple: int, top: int, left: int, new: tuple[int, int]) -> None:
    pixels = NOISE[: shape[0], : shape[1]]
    image = images.load(save("cat.png", pixels), multiple=multiple)
    np.testing.assert_array_equal(image.pixels, pixels[top : top + new[0], left : left + new[1]])
    assert image.notes == (f"cropped {shape[1]}x{shape[0]} to {new[1]}x{new[0]}",)


def test_fitting_image_is_left_alone() -> None:
    save("cat.png", NOISE[:32, :32])
    for image in (images.load("cat.png"), images.load("cat.png", size=32)):
        np.testing.assert_array_equal(image.pixels, NOISE[:32, :32])
        assert image.notes == ()


def test_size_takes_the_centre_square() -> None:
    """White left and right of a grey square: only the filter's reach lets white in, as much from either side."""
    pixels = np.full((64, 128, 1), 255, np.uint8)
    pixels[:, 32:96] = 77
    for size in (32, 96):
        image = images.load(save("wide.png", pixels[..., 0]), size=size)
        np.testing.assert_array_equal(image.pixels[:, 5:-5], np.full((size, size - 10, 1), 77))
        np.testing.assert_array_equal(image.pixels, image.pixels[:, ::-1])
        assert image.notes == (f"resized 128x64 to {size}x{size}",)


def test_size_resizes_by_lanczos() -> None:
    image = images.load(save("cat.png", NOISE[:40, :40]), size=32)
    lanczos = PIL.Image.fromarray(NOISE[:40, :40]).resize((32, 32), PIL.Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(image.pixels, np.asarray(lanczos))


@pytest.mark.parametrize("size", [100, 16, 0, -32])
def test_size_must_be_a_multiple(size: int) -> None:
    with pytest.raises(InputError, match=f"^size {size} is not a multiple of 32"):
        images.load("camera", size=size)


def test_too_small() -> None:
    save("dot.png", NOISE[:20, :40])
    with pytest.raises(InputError, match=r"^image dot.png is 40x20; the network needs at least 32x32: give a larger"):
        images.load("dot.png")
    assert images.load("dot.png", size=32).pixels.shape == (32, 32, 3)


# --- names of the user's own files


def test_globs_are_sorted_files_that_load() -> None:
    folder = "my photos [2024]"
    for file in ("b.png", "a.png", "it's.png", "line\nbreak.png"):
        save(f"{folder}/{file}", NOISE)
    Path(folder, "folder.png").mkdir()
    expected = [f"{folder}/{file}" for file in ("a.png", "b.png", "it's.png", "line\nbreak.png")]
    assert images.names("my photos*/*.png") == expected
    for name in expected:
        assert images.names(name) == [name]
        assert images.load(name).name == name


def test_a_file_comes_before_the_glob_of_the_same_text() -> None:
    save("cat[12].png", NOISE)
    save("cat1.png", NOISE)
    assert images.names("cat[12].png") == ["cat[12].png"]


def test_own_folder_of_a_sets_name_is_reached_from_here() -> None:
    save("set5/cat.png", NOISE)
    assert images.names("./set5/*.png") == ["./set5/cat.png"]
    assert load_whole("./set5/cat.png").name == "./set5/cat.png"
    with pytest.raises(InputError, match=re.escape("(a file of your own is ./set5/cat.png)")):
        load_whole("set5/cat.png")


@pytest.mark.parametrize("use", [images.names, images.load])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("astronat", "no image is called 'astronat'; did you mean 'astronaut'?"),
        ("set4", "no image is called 'set4'; did you mean 'set"),
        ("", "no image is called ''; known: astronaut, camera,"),
        ("photos/cat.png", "no file matches 'photos/cat.png', seen from "),
        ("cat.png", "no file matches 'cat.png', seen from "),
        ("photos/*.png", "no file matches 'photos/*.png', seen from "),
        ("a\0b.png", "no file matches 'a\\x00b.png', seen from "),
        ("folder", "folder is a folder; name its files, such as 'folder/*.png'"),
        ("set5/babe", "set set5 has no image 'set5/babe'; did you mean 'set5/baby'?"),
        ("set5/../secret.png", "set set5 has no image 'set5/../secret.png'; "),
        ("set5/", "set set5 has no image 'set5/'; "),
    ],
)
def test_unknown_names(use: Callable[[str], object], name: str, sentence: str) -> None:
    Path("folder").mkdir()
    save("secret.png", NOISE)
    with pytest.raises(InputError, match="^" + re.escape(sentence)):
        use(name)


def test_a_set_is_not_one_image() -> None:
    with pytest.raises(InputError, match=r"^'set5' is a set, not one image; name a member, such as 'set5/baby'$"):
        images.load("set5")


# --- the standard sets


def test_sets() -> None:
    assert images.SETS == ("set5", "set14", "set12", "cbm3d", "bm3d", "dip")
    assert images.names("set5") == ["set5/baby", "set5/bird", "set5/butterfly", "set5/head", "set5/woman"]
    assert [len(images.names(name)) for name in images.SETS] == [5, 14, 12, 9, 11, 6]


def test_dip_stands_for_its_photographs() -> None:
    truths = ["dip/F16_GT", "dip/barbara", "dip/kate", "dip/library", "dip/vase", "dip/zebra_GT"]
    assert images.names("dip") == truths
    assert images.names("dip/kate_mask") == ["dip/kate_mask"]


def test_table_is_well_formed() -> None:
    for key, member in images._MEMBERS.items():
        assert key == f"{member.set}/{member.name}"
        assert re.fullmatch(r"[\w-]+/[\w-]+", member.repo)
        assert re.fullmatch(r"[0-9a-f]{40}", member.commit)
        assert re.fullmatch(r"[\w/-]+\.(png|bmp|jpg)", member.path), "goes into a URL as it is"
        assert re.fullmatch(r"[0-9a-f]{64}", member.pixels_sha256)
        assert member.role in {"truth", "mask", "duplicate", "damaged"}


@pytest.mark.parametrize("file", ["set5/baby.png", "set5/baby.bmp"])
def test_member_from_a_data_folder(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save(f"my data/{file}", NOISE)
    by_argument = images.load("set5/baby", data=Path("my data"), multiple=1)
    monkeypatch.setenv("LIP_DATA", "my data")
    for image in (by_argument, load_whole("set5/baby"), load_whole("set5/baby.png")):
        np.testing.assert_array_equal(image.pixels, NOISE)
        assert image.name == "set5/baby"
    assert images.names("set5/baby.png") == ["set5/baby"]


def test_data_argument_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    save("mine/set5/baby.png", NOISE)
    monkeypatch.setenv("LIP_DATA", "elsewhere")
    assert images.load("set5/baby", data=Path("mine")).name == "set5/baby"


def test_data_folder_lacking_a_file_never_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    save("mine/set5/baby.png", NOISE)
    sentence = "^data folder mine has no set5/bird.png or set5/bird.bmp; put it there, give another folder with --data"
    for use in (images.names, images.load):
        with pytest.raises(InputError, match=sentence):
            use("set5/bird", data=Path("mine"))
    with pytest.raises(InputError, match=sentence):
        images.names("set5", data=Path("mine"))


class Source(http.server.ThreadingHTTPServer):
    """GitHub as far as this module knows it: answers every path with `content` and remembers the path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.asked: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200 if self.server.content else 404)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """The source of set5/baby, whose table row says that its pixels are NOISE."""
    with Source() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        monkeypatch.setattr(images, "_GITHUB", f"http://127.0.0.1:{server.server_port}")
        row = images._MEMBERS["set5/baby"]._replace(
            repo="owner/repo", commit="c0ffee", path="Set5/baby_GT.bmp", pixels_sha256=images._digest(NOISE)
        )
        monkeypatch.setitem(images._MEMBERS, "set5/baby", row)
        yield server
        server.shutdown()


def cached() -> list[str]:
    return [str(path.relative_to("cache")) for path in Path("cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("encoding", ["bmp", "png"])
def test_download_once_and_check_pixels_not_bytes(source: Source, encoding: str) -> None:
    source.content = Path(save(f"served.{encoding}", NOISE)).read_bytes()
    first, second = load_whole("set5/baby"), load_whole("set5/baby")
    np.testing.assert_array_equal(first.pixels, NOISE)
    assert (first.name, first.notes, first.id) == ("set5/baby", (), second.id)
    assert source.asked == ["/owner/repo/c0ffee/Set5/baby_GT.bmp"]
    assert cached() == ["lottery-image-priors/set5/baby.bmp"]


def test_naming_a_set_downloads_nothing(source: Source) -> None:
    assert "set5/baby" in images.names("set5")
    assert source.asked == []


@pytest.mark.parametrize("wrong", ["other pixels", "sign-in page"])
def test_wrong_download_is_refused_and_removed(source: Source, wrong: str) -> None:
    source.content = Path(save("served.bmp", 255 - NOISE)).read_bytes() if wrong == "other pixels" else b"<html>"
    with pytest.raises(InputError, match=r"^http\S+baby_GT.bmp gave something other than set5/baby, which was removed"):
        images.load("set5/baby")
    assert cached() == []
    source.content = Path(save("served.bmp", NOISE)).read_bytes()
    np.testing.assert_array_equal(load_whole("set5/baby").pixels, NOISE)


REMEDY = (
    "give --data DIR or set LIP_DATA to a folder with set5/baby.png, or use an embedded image "
    "(astronaut, camera, chelsea, coffee, coins, moon, retina, rocket)"
)


def test_missing_at_the_source(source: Source) -> None:
    with pytest.raises(InputError, match=r"^could not download http\S+baby_GT.bmp \(404 .+; " + re.escape(REMEDY)):
        images.load("set5/baby")
    assert cached() == []


def test_offline() -> None:
    url = "http://127.0.0.1:1/cszn/DnCNN/e93b27812d3ff523a3a79d19e5e50d233d7a8d0a/testsets/Set5/baby_GT.bmp"
    with pytest.raises(InputError, match=f"^could not download {url} .*; {re.escape(REMEDY)}$"):
        images.load("set5/baby")
    assert cached() == []
