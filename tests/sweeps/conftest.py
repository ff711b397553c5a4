from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a sweep file named tiny.yaml with blocks replaced, and gives its path."""

    def make(**blocks: object) -> str:
        content: dict[str, object] = {
            "name": "tiny",
            "profile": "smoke",
            "fixed": {"image": "astronaut", "rounds": 2},
            "grid": {"pruner": ["imp", "random"], "seed": [0]},
        }
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in (content | blocks).items() if value is not None}))
        return str(path)

    return make
