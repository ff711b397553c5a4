"""Networks, photographs and fits so small that one takes milliseconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lip.data.images import Image
from lip.ledger.ledger import Ledger
from lip.priors import Hourglass
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.specs.trajectory import MaskSource, Trajectory
from lip.tasks.denoise import Denoise
from lip.training.restore import Restoration
from lip.training.run import run_fit


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """PyTorch refuses every operation that is not reproducible."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def _photo(size: int = 32) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    smooth = np.stack([x, y, 0.5 + 0.4 * np.sin(5 * x * y)], axis=2)
    smooth[(x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.06] = (0.9, 0.1, 0.2)
    return np.rint(255 * smooth).astype(np.uint8)


class Tiny:
    """Builds specs on two small photographs. Keywords are fields of the spec, of its schedule or of its prior."""

    def __init__(self) -> None:
        pixels = {"photo": _photo(), "other": _photo().transpose(1, 0, 2)[::-1].copy()}
        self.pictures = {name: self.picture(name, array) for name, array in pixels.items()}
        self.images = {self.pictures[name].content_hash: array for name, array in pixels.items()}

    @staticmethod
    def picture(name: str, pixels: np.ndarray) -> Picture:
        height, width, channels = pixels.shape
        return Picture(
            name=name, content_hash=Image(name, pixels, ()).id, height=height, width=width, channels=channels
        )

    def _fields(self, changes: dict[str, Any], **defaults: Any) -> dict[str, Any]:
        def own(owner: type[Any], **small: Any) -> Any:
            return owner(**small | {key: changes.pop(key) for key in owner.model_fields.keys() & changes.keys()})

        return {
            "picture": self.pictures["photo"],
            "task": Denoise(),
            "schedule": own(Schedule, steps=5),
            "prior": own(Hourglass, width=8, scales=2),
            **defaults,
            **changes,
        }

    def fit(self, **changes: Any) -> Fit:
        return Fit(**self._fields(changes))

    def trajectory(self, source: Picture | None = None, **changes: Any) -> Trajectory:
        fields = self._fields(changes, pruner="imp", rounds=2)
        if source:
            fields["mask_source"] = MaskSource(pictures=(source,), task=fields["task"], schedule=fields["schedule"])
        return Trajectory(**fields)

    def model(self, fit: Fit | None = None, **changes: Any) -> Restoration:
        fit = fit or self.fit(**changes)
        return Restoration(fit, self.images)

    def run_fit(self, fit: Fit, ledger: Ledger, **options: Any) -> bool:
        return run_fit(fit, self.images, ledger, **options)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny()


@pytest.fixture
def photo(tiny: Tiny) -> np.ndarray:
    """uint8 (32, 32, 3): two ramps, a wave, and a disc with a sharp edge."""
    return tiny.images[tiny.pictures["photo"].content_hash]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")
