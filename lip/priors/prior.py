"""The base class of image priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from lip.specs.schedule import Schedule
from lip.specs.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from lip.networks.encoder_decoder import Network
    from lip.specs.released import ReleasedFlag


Channels = Annotated[int, Field(ge=1, le=8192)]
"""Channels of a layer or a code; a convolution of more has a billion weights."""


class Prior(Spec):
    """Describe an untrained network f(z; theta) that maps a fixed random code z to an image."""

    released_flags: ClassVar[tuple[ReleasedFlag, ...]] = ()
    """Differences between the released code for this prior and the paper, instead of the task's."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Return the number of which image height and width must be multiples."""

    @property
    @abstractmethod
    def smallest(self) -> int:
        """Return the least image height and width, in pixels."""

    def padded(self, side: int) -> int:
        """Return the least height or width that the network can output and that is not less than a number of pixels."""
        return max(self.smallest, ceil(side / self.multiple) * self.multiple)

    def outputs(self, height: int, width: int) -> bool:
        """Tell whether the network can output an image of that size."""
        return height % self.multiple == width % self.multiple == 0

    @abstractmethod
    def build(self, channels: int) -> Network:
        """Build the network with PyTorch's default initialisation, drawn from the global generator."""

    @abstractmethod
    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return channels, height and width of the input code for an output of that size."""

    def code(self, height: int, width: int) -> Tensor:
        """Draw the input code z for an output of that size, uniform in [0, 0.1], from the global generator."""
        import torch

        return torch.rand(1, *self.code_shape(height, width)) * 0.1

    def schedule(self, usual: Schedule) -> Schedule:
        """Return this prior's schedule, given the task's schedule for an hourglass."""
        return usual

    def published(self, task: str) -> Mapping[str, Schedule]:
        """Return the schedules published for this prior and a kind of task, by name."""
        return {}

    @property
    def trains_weights(self) -> bool:
        """Tell whether restoring an image trains the weights, not only the code."""
        return True

    @property
    def passes(self) -> int:
        """Count the forward passes that a training step costs; the backward pass counts two."""
        return 3
