"""Paths are expanded as a shell would, and URLs never give their secrets away."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from lip.data import datasets, faces, images
from lip.data.checkpoints import read
from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.paths import data_folder, expand, is_url, local, without_secrets

URL = "s3://AKIAKEY:SEK/RET+@bucket/lip"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home beside the current folder, and a variable WORK for it."""
    place = tmp_path / "home"
    (tmp_path / "here").mkdir()
    place.mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("WORK", str(place))
    monkeypatch.delenv("LIP_DATA", raising=False)
    return place


@pytest.mark.parametrize("written", ["~/cat.png", "$WORK/cat.png", "${WORK}/cat.png"])
def test_tilde_and_variables_are_expanded(written: str, home: Path) -> None:
    assert expand(written) == str(home / "cat.png")
    assert expand(Path(written)) == str(home / "cat.png")


def test_a_variable_may_stand_in_the_middle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "me")
    assert expand("/scratch/$USER/lip") == expand("/scratch/${USER}/lip") == "/scratch/me/lip"
    assert expand("~/$USER") == str(home / "me")


@pytest.mark.parametrize(
    "written",
    ["cat.png", "a~b", "$NOTSET/cat.png", "/tmp/$HOME;#/a", "$HOMES", "price$WORK", URL, "gs://bucket/~/$WORK"],
)
def test_other_names_stay(written: str) -> None:
    assert expand(written) == written


def test_a_file_whose_name_has_a_dollar_comes_first() -> None:
    Path("$WORK").touch()
    assert expand("$WORK") == "$WORK"


@pytest.mark.parametrize("written", ["~/{}", "$WORK/{}"])
def test_every_kind_of_input_is_found_at_home(written: str, home: Path) -> None:
    from tests.lip.test_decoding import save

    save(str(home / "cat.png"))
    for part in ("a/b/1.png", "a/b/2.png", "a/c/1.png", "a/c/2.png"):
        (home / part).parent.mkdir(parents=True, exist_ok=True)
    assert images.names(written.format("*.png")) == [str(home / "cat.png")]
    assert images.load(written.format("cat.png"), multiple=1).pixels.shape == (40, 52, 3)
    with pytest.raises(InputError, match="class b has 0 different"):
        datasets.load(written.format("a"), 8)
    with pytest.raises(InputError, match="a holds no JPEG or PNG image"):
        faces.load(written.format("a"), 8, 0.5)
    (home / "gan.pth").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"home/gan.pth is not a complete checkpoint"):
        read(written.format("gan.pth"))


def test_data_and_ledgers_are_found_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Ledger("~/results").root == home / "results"
    assert Ledger(Path("$WORK/results")).root == home / "results"
    assert data_folder("~/sets") == home / "sets"
    assert data_folder(None) is None
    monkeypatch.setenv("LIP_DATA", "~/sets")
    assert data_folder(None) == home / "sets"


@pytest.mark.parametrize("place", [URL, Path(URL), "gs://b", "file:///tmp", "s3:/b"])
def test_urls_are_known_also_as_paths(place: str | Path) -> None:
    assert is_url(place)


@pytest.mark.parametrize("place", ["results", "./s3:/b", "C:/results", "C:\\results", "a b:/c", "/tmp/s3://b", "~/x"])
def test_folders_are_no_urls(place: str) -> None:
    assert not is_url(place)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"storage {URL} is", "storage s3://bucket/lip is"),
        (f"there is no {Path(URL)}", "there is no s3:/bucket/lip"),
        (f"'{URL}'; and {URL}", "'s3://bucket/lip'; and s3://bucket/lip"),
        ("s3://bucket/lip?access_key=A&secret_key=B; x", "s3://bucket/lip; x"),
        ("mail a@b.c, 3:/4@5", "mail a@b.c, 3:/4@5"),
    ],
)
def test_secrets_are_cut_out_of_texts(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_a_url_is_no_folder() -> None:
    for given in (URL, Path(URL)):
        with pytest.raises(InputError, match=r"^--out is a path on this machine, not s3:/+bucket/lip; give a path$"):
            local(given, "--out")
    with pytest.raises(InputError, match=r"^storage s3:/bucket/lip is neither a folder nor a URL; a URL has two slash"):
        Ledger(Path(URL))
    with pytest.raises(InputError, match=r"^--data is a path on this machine, not s3:/bucket/lip; give a path$"):
        data_folder(Path(URL))


@pytest.mark.parametrize(
    "command",
    [
        ("lip", "fit", "astronaut", "--size", "32", "--width", "8", "--steps", "2", "--set", "scales=2", "--out", URL),
        ("lip", "fit", "set5/baby", "--data", URL),
        ("lip", "fit", URL),
        ("lip", "fit", "astronaut", "--set", f"mask={URL}", "--set", "task=inpaint"),
        ("lip", "search", "astronaut", "--out", URL),
        ("lip", "bench", "--storage", URL),
        ("sweeps", "plan", "smoke", "--data", URL, "--only", "image=set5/baby"),
        ("sweeps", "compact", "--storage", "s9" + URL),
        ("sweeps", "plan", URL),
        ("analysis", "report", "smoke", "--storage", URL),
    ],
)
def test_no_command_shows_a_secret_or_makes_a_folder_of_it(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", list(command))
    with pytest.raises(SystemExit) as ended:
        import_module(f"{command[0]}.cli").main()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert not re.search("SEK|AKIAKEY", printed.out + printed.err)
    assert list(Path().iterdir()) == []
