from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image

from lip.data import datasets, images


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
