"""Compressive sensing by few random measurements, some of them corrupted (paper, section 4.5; arXiv 2006.09461)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lip.priors import Prior

CORRUPT = 10_000.0
"""The value of a corrupted measurement."""


class Sense(Degradation):
    """Recover an image x in [-1, 1] from y = A x + noise.

    A and the noise are Gaussian, A scaled by 1 / sqrt(uncorrupted measurements). A corrupted measurement has a row of
    ones and the value CORRUPT, whatever the image. The observation is the system
    (y | A), (measurements, 1 + values of the image) in float32: 786 MB for 1,000 measurements of 256x256 RGB pixels,
    of which no copy is made.
    """

    kind = "sense"
    revision = 2

    measurements: Annotated[int, Field(ge=1)] = 1000
    """Random measurements of the image, corrupted ones included."""
    corrupted: Annotated[int, Field(ge=0)] = 20
    """Measurements that are corrupted."""
    measurement_noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Standard deviation."""
    estimator: Literal["median_of_means", "least_squares"] = "median_of_means"
    """Find a generator's code by a tournament of two codes that take turns, or by the mean squared residual."""
    rows: Annotated[int, Field(ge=1)] = 20
    """Measurements per block of the median of means."""

    def schedules(self) -> dict[str, Schedule]:
        both = Schedule(steps=1500, lr=0.01, jitter=0.0, backtrack=None)
        return {"paper": both, "lip": both}

    @property
    def sound(self) -> int:
        """Count the measurements that are not corrupted."""
        return self.measurements - self.corrupted

    def check(self, height: int, width: int, prior: Prior) -> str | None:
        if self.corrupted >= self.sound:
            most = (self.measurements - 1) // 2
            return (
                f"corrupted: {self.corrupted} of {self.measurements} measurements leave {max(0, self.sound)} usable"
                f" ones, not more than are corrupted; use at most {most}, or more measurements"
            )
        if self.rows > self.measurements:
            return f"rows: a block of {self.rows} needs as many measurements, not {self.measurements}; use fewer"
        return None

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        system = clean.new_empty(self.measurements, 1 + clean.numel())
        sound = system[: self.sound]
        sound[:, 1:].normal_(0, self.sound**-0.5, generator=noise)
        sound[:, 0] = sound[:, 1:] @ signal(clean)[0]
        sound[:, 0] += clean.new_empty(self.sound).normal_(0, self.measurement_noise, generator=noise)
        system[self.sound :, 1:] = 1.0
        system[self.sound :, 0] = CORRUPT
        return system

    def residuals(self, outputs: Tensor, system: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return A x - y for each of n outputs, (measurements, n), or for some measurements only."""
        if rows is not None:
            system = system[rows]
        return system[:, 1:] @ signal(outputs).T - system[:, :1]

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        return self.residuals(output, observation).square().mean()


def signal(images: Tensor) -> Tensor:
    """Flatten images in [0, 1] to vectors (n, values) in [-1, 1]."""
    return 2 * images.flatten(1) - 1
