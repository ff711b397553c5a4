"""Inputs and what the public code of each method makes of them, as arrays (README.md beside this file)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from lip.priors import Hourglass
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.tasks.denoise import Denoise
from lip.training.restore import Restoration


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Golden:
    """The arrays of one file by name."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.arrays = dict(file)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def json(self, key: str) -> Any:
        return json.loads(str(self.arrays[key]))

    def double(self, key: str) -> Tensor:
        """An array as a float64 tensor."""
        return torch.from_numpy(self.arrays[key].astype(np.float64))

    def float(self, key: str) -> Tensor:
        """An array as a float32 tensor."""
        return torch.from_numpy(self.arrays[key].astype(np.float32))

    def mask(self, key: str) -> np.ndarray:
        """A packed mask of all prunable weights, as booleans."""
        return np.unpackbits(self.arrays[key], count=int(self.arrays["total"])).astype(bool)

    def load(self, net: nn.Module, theta: str = "theta", layout: str = "layout") -> None:
        """Copy all parameters into a network, in place. Their shapes must be those of the layout."""
        parameters = list(net.parameters())
        shapes = [shape for _, shape in self.json(layout)]
        assert [list(p.shape) for p in parameters] == shapes
        for parameter, part in zip(parameters, self.double(theta).split([p.numel() for p in parameters]), strict=True):
            parameter.data.copy_(part.view_as(parameter))

    def state(self, net: str) -> dict[str, Tensor]:
        """A network's state as float64, by the names in the product."""
        layout = self.json(f"{net}_layout")
        parts = self.double(net).split([torch.Size(shape).numel() for _, shape in layout])
        return {name: part.view(shape) for (name, shape), part in zip(layout, parts, strict=True)}

    def model(self, height: int, width: int, **changes: Any) -> Restoration:
        """Denoising with the file's network; the code and the observation are the file's where it has any."""
        config = self.json("config")
        picture = Picture(
            name="golden", content_hash="0" * 16, height=height, width=width, channels=config.pop("channels")
        )
        fit = Fit(
            picture=picture,
            task=Denoise(),
            schedule=Schedule(steps=1, jitter=0.0),
            prior=Hourglass(**config),
            **changes,
        )
        pixels = np.zeros((height, width, picture.channels), np.uint8)
        model = Restoration(fit, {picture.content_hash: pixels})
        self.load(model.net)
        if "z" in self.arrays:
            model.code, model.observation = self.float("z"), self.float("target")
        return model


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Reads a file of arrays by its name, such as `snip`."""
    return lambda name: Golden(Path(__file__).with_name(f"{name}.npz"))


@pytest.fixture
def steps_of_adam() -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Per step of any optimiser, filled while it runs: gradients and values of its parameters (parameters, size)."""
    steps: list[tuple[np.ndarray, np.ndarray]] = []

    def record(optimiser: Optimizer, *_: object) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        steps.append(tuple(np.stack([t.detach().flatten().numpy() for t in ts]) for ts in (gradients, parameters)))

    hook = register_optimizer_step_post_hook(record)
    yield steps
    hook.remove()
