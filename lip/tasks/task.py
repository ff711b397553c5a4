"""What a restoration task is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from lip.schedule import Schedule
from lip.spec import Spec

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Task(Spec):
    """A way to degrade an image, and the loss that ties a restoration to the degraded observation.

    Images are (1, channels, height, width) tensors in [0, 1].
    """

    schedule: ClassVar[Schedule]
    """How the paper trains on this task."""

    @abstractmethod
    def observe(self, clean: Tensor, noise: Generator) -> Tensor:
        """The degraded observation of a clean image."""

    @abstractmethod
    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        """The scalar that training minimises; it sees the observation, never the clean image."""
