"""What a restoration task is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from lip.picture import Picture
from lip.schedule import Schedule
from lip.spec import Spec

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Task(Spec):
    """A way to degrade an image, and the loss that ties a restoration to the degraded observation.

    Images are (1, channels, height, width) tensors in [0, 1].
    """

    has_reference: ClassVar[bool] = True
    """Whether the image is the clean one. If not, it is itself the observation, and nothing is scored against it."""

    @abstractmethod
    def schedules(self) -> dict[str, Schedule]:
        """How to train: as the `paper` says (where it is silent, as deep image prior does), and as its code (`lip`)."""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Images besides the clean one that `observe` needs."""
        return ()

    def check(self, height: int, width: int) -> str | None:
        """What speaks against an image of that size, as the end of a sentence; None if nothing does."""
        return None

    def frame(self, image: Tensor) -> Tensor:
        """An image as the task works on it."""
        return image

    @abstractmethod
    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        """The degraded observation of a clean image; nan where nothing is known."""

    def project(self, output: Tensor) -> Tensor:
        """A restoration at the size of the observation."""
        return output

    @abstractmethod
    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        """The scalar that training minimises; it sees the observation, never the clean image."""

    def error(self, output: Tensor, clean: Tensor) -> Tensor:
        """The mean squared error that PSNR reports."""
        return (output - clean).square().mean()
