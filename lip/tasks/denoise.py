"""Gaussian denoising (paper, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Denoise(Degradation):
    """Remove white Gaussian noise of standard deviation `sigma` (in 8-bit grey levels), clipped to the image range."""

    kind = "denoise"
    reports_average = True

    sigma: Annotated[float, Field(gt=0, le=255)] = 25.0
    """Standard deviation of the noise, in 8-bit grey levels."""

    def schedules(self) -> dict[str, Schedule]:
        both = Schedule(steps=3000, lr=0.01, jitter=1 / 30, backtrack=5.0)
        return {"paper": both, "lip": both}

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        return (clean + clean.clone().normal_(0, self.sigma / 255, generator=noise)).clamp(0, 1)

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        return (output - observation).square().mean()
