from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from PIL import Image

from lip.data import datasets, images
from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from sweeps.cli import main
from sweeps.plan import Plan
from sweeps.spec import Sweep, read
from tests.sweeps.helpers import publish


@pytest.fixture(scope="session")
def standard_sets(tmp_path_factory: pytest.TempPathFactory, cifar_archive: Callable[..., Path]) -> Iterator[Path]:
    """A data folder with a small stand-in for every standard set and its members: no test needs the network."""
    folder = tmp_path_factory.mktemp("data")
    for number, member in enumerate(images._MEMBERS.values()):
        path = folder / member.files[0]
        path.parent.mkdir(exist_ok=True)
        grey = Image.effect_noise((64, 64), 20 + number)
        (grey if member.set in ("set12", "bm3d") or member.role == "mask" else grey.convert("RGB")).save(path)
    archive = cifar_archive(folder / datasets.CIFAR_ARCHIVE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(datasets, "CIFAR_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
        yield folder


@pytest.fixture(scope="session")
def shipped(standard_sets: Path) -> Callable[..., Sweep]:
    """Reads a shipped sweep in a profile, each once in a session."""
    return cache(lambda name, profile: read(name, profile, standard_sets))


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process; gives its exit status and output."""

    def run(*arguments: str, columns: int = 200) -> tuple[int, str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["sweeps", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a sweep file tiny.yaml with blocks replaced, and gives its path; a block that has a name is a file too."""

    def make(**blocks: object) -> str:
        content: dict[str, object] = {
            "name": "tiny",
            "profile": "smoke",
            "fixed": {"image": "astronaut", "rounds": 2},
            "grid": {"pruner": ["imp", "random"], "seed": [0]},
        }
        for name in [name for name, block in blocks.items() if isinstance(block, dict) and "name" in block]:
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(blocks.pop(name)))
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in (content | blocks).items() if value is not None}))
        return str(path)

    return make


@pytest.fixture
def spec(write: Callable[..., str]) -> str:
    """A sweep file of one trajectory with three fits."""
    return write(grid={"pruner": ["random"]}, profiles={"smoke": {"rounds": 2}})


@pytest.fixture
def fits(spec: str) -> list[Fit]:
    """The fits of that sweep."""
    return list(Plan(read(spec)).fits.values())


@pytest.fixture
def published(tmp_path: Path, fits: list[Fit]) -> Ledger:
    """A ledger with all fits of that sweep, by invented rows."""
    ledger = Ledger(tmp_path / "results")
    for number, fit in enumerate(fits):
        publish(ledger, fit, psnr_last_ema=float(number))
    return ledger
