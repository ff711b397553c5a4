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
    """A way to degrade an image, and the loss that ties a restoration to the degraded observation.

    Images are (1, channels, height, width) tensors in [0, 1].
    """

    trainer = "restoration"
    training = Schedule
    defects = (
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
    has_reference: ClassVar[bool] = True
    """Whether the image is the clean one. If not, it is itself the observation, and nothing is scored against it."""
    half_pixel: ClassVar[HalfPixel] = "down"
    """How images are cropped that cannot be centred, as deep image prior crops them for this task."""

    @abstractmethod
    def schedules(self) -> Mapping[str, Schedule]: ...

    def released_backtracking(self, schedule: Schedule) -> Schedule:
        """Undo steps as the released code of this task does."""
        return schedule.replace(undo="official") if schedule.backtrack else schedule

    def trains(self, prior: Prior) -> bool:
        return prior.trains

    def frame(self, image: Tensor) -> Tensor:
        """An image as the task works on it."""
        return image

    @abstractmethod
    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        """The degraded observation of a clean image; nan where nothing is known."""

    def project(self, output: Tensor) -> Tensor:
        """A restoration at the size of the observation."""
        return output

    def compared(self, clean: Tensor, noise: Generator) -> Tensor | None:
        """Return the image whose PSNR decides about undoing a step; None: the loss does."""
        return None

    @abstractmethod
    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        """The scalar that training minimises; it sees the observation, never the clean image."""

    def error(self, output: Tensor, clean: Tensor) -> Tensor:
        """The mean squared error that PSNR reports."""
        return (output - clean).square().mean()
