"""The base class of image priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from lip.specs.schedule import Schedule
from lip.specs.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from lip.networks.encoder_decoder import Network
    from lip.specs.released import Defect


Channels = Annotated[int, Field(ge=1, le=8192)]
"""Of a layer or a code; a convolution of more has a billion weights."""


class Prior(Spec):
    """An untrained network f(z; theta) that maps a fixed random code z to an image."""

    defects: ClassVar[tuple[Defect, ...]] = ()
    """What the released code for this prior does otherwise than the paper says, in place of the task's."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Image height and width must be multiples of this."""

    @property
    @abstractmethod
    def smallest(self) -> int:
        """The least image height and width, in pixels."""

    def outputs(self, height: int, width: int) -> bool:
        """Tell whether the network can output an image of that size, which need not be one to crop to."""
        return height % self.multiple == width % self.multiple == 0

    @abstractmethod
    def build(self, channels: int) -> Network:
        """The network with PyTorch's default initialisation, drawn from the global generator."""

    @abstractmethod
    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Channels, height and width of the input code for an output of that size."""

    def code(self, height: int, width: int) -> Tensor:
        """The input code z for an output of that size, uniform in [0, 0.1], drawn from the global generator."""
        import torch

        return torch.rand(1, *self.code_shape(height, width)) * 0.1

    def schedule(self, usual: Schedule) -> Schedule:
        """Return this prior's schedule, given the one that a task has for an hourglass."""
        return usual

    def published(self, task: str) -> Mapping[str, Schedule]:
        """Return the schedules that others have published for this prior and a kind of task, by name."""
        return {}

    @property
    def trains(self) -> bool:
        """Tell whether restoring an image trains the weights, and not the code alone."""
        return True

    @property
    def passes(self) -> int:
        """Count the forward passes that a training step is worth: the backward pass costs two."""
        return 3
