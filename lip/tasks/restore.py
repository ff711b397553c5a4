"""Restoring an image that is itself degraded, such as by JPEG artefacts (Fig. 12, snail). There is no clean image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Restore(Degradation):
    """Fit the image as it is: the prior fits the restoration first and the damage late."""

    kind = "restore"
    has_clean_image: ClassVar[bool] = False

    def schedules(self) -> dict[str, Schedule]:
        both = Schedule(steps=2400, lr=0.01, jitter=1 / 30, backtrack=5.0)
        return {"paper": both, "lip": both}

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        return clean.clone()

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        return (output - observation).square().mean()
