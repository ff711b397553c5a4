"""The base class of restoration tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from lip.specs.picture import HalfPixel
from lip.specs.schedule import Schedule
from lip.tasks.task import Task

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lip.priors import Prior


class Degradation(Task):
    """Degrade an image, and measure how well a restoration explains the observation.

    Images are (1, channels, height, width) tensors in [0, 1].
    """

    trainer = "restoration"
    training = Schedule
    released_flags = (
        "schedule",
        "imp_target",
        "z",
        "noise",
        "shared_init",
        "random_double",
        "unmasked_first",
        "backtrack",
        "per_channel",
        "pad",
        "rewind_target",
        "stale_ranking",
    )
    has_clean_image: ClassVar[bool] = True
    """Whether the image is clean. If not, it is the observation itself, and no score compares with it."""
    half_pixel: ClassVar[HalfPixel] = "down"
    """How the offset of a centred crop is rounded, as in deep image prior's code for this task."""

    @abstractmethod
    def schedules(self) -> Mapping[str, Schedule]: ...

    def released_backtracking(self, schedule: Schedule) -> Schedule:
        """Undo steps as the released code of this task does."""
        return schedule.replace(backtrack_rule="released") if schedule.backtrack else schedule

    def trains_weights(self, prior: Prior) -> bool:
        return prior.trains_weights

    def frame(self, image: Tensor) -> Tensor:
        """Return an image as the task uses it, such as padded."""
        return image

    @abstractmethod
    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        """Return the degraded observation of a clean image; NaN where pixels are unknown."""

    def project(self, output: Tensor) -> Tensor:
        """Return a restoration at the size of the observation."""
        return output

    def backtracking_image(self, clean: Tensor, noise: Generator) -> Tensor | None:
        """Return the image whose PSNR decides about undoing a step; None to use the loss."""
        return None

    @abstractmethod
    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        """Return the scalar that training minimises, from the observation, never from the clean image."""

    def error(self, output: Tensor, clean: Tensor) -> Tensor:
        """Return the mean squared error that PSNR reports."""
        return (output - clean).square().mean()
