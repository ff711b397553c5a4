"""The hourglass with skip connections of deep image prior (arXiv 1711.10925), which the paper prunes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.priors.prior import Channels, Prior
from lip.specs.schedule import EYE_SURGEON, Schedule

if TYPE_CHECKING:
    from lip.networks.encoder_decoder import HourglassNet


class Hourglass(Prior):
    """2,217,831 parameters at the defaults and three output channels, 2,208,768 of them prunable in 26 convolutions."""

    kind = "hourglass"

    width: Channels = 128
    """Channels of every layer on the way down and up."""
    scales: Annotated[int, Field(ge=1, le=8)] = 5
    """How often the image is halved."""
    skip: Annotated[int, Field(ge=0, le=8192)] = 4
    """Channels of each skip connection; 0 for none."""
    depth: Channels = 32
    """Channels of the input code."""

    @property
    def multiple(self) -> int:
        return 2**self.scales

    @property
    def smallest(self) -> int:
        return 2 * self.multiple  # reflection padding by one needs two pixels at the deepest scale

    def outputs(self, height: int, width: int) -> bool:
        return bool(self.skip) or super().outputs(height, width)  # what is doubled is cropped to the skip connection

    def build(self, channels: int) -> HourglassNet:
        from lip.networks.encoder_decoder import HourglassNet

        return HourglassNet(self.depth, channels, self.width, self.scales, self.skip)

    def published(self, task: str) -> dict[str, Schedule]:
        """Return the schedule of Optimal Eye Surgeon, which only denoises."""
        return {"oes": EYE_SURGEON} if task == "denoise" else {}

    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.depth, height, width
