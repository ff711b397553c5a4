"""The network of Optimal Eye Surgeon (arXiv 2406.05288), without skip connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.priors.prior import Channels, Prior
from lip.specs.schedule import EYE_SURGEON, Schedule

if TYPE_CHECKING:
    from lip.networks.encoder_decoder import UNet

WIDTHS = (16, 32, 64, 128, 128, 128)


class Unet(Prior):
    """3,008,867 parameters at six scales and three output channels, 3,003,184 of them in convolutions."""

    kind = "unet"

    scales: Annotated[int, Field(ge=1, le=len(WIDTHS))] = 6
    """How often the image is halved; the widths are 16, 32, 64 and then 128."""
    depth: Channels = 32
    """Channels of the input code."""

    @property
    def multiple(self) -> int:
        return 2**self.scales

    @property
    def smallest(self) -> int:
        return 3 * self.multiple  # reflection padding by two needs three pixels at the deepest scale

    def build(self, channels: int) -> UNet:
        from lip.networks.encoder_decoder import UNet

        return UNet(self.depth, channels, WIDTHS[: self.scales])

    def published(self, task: str) -> dict[str, Schedule]:
        """Return the schedule of Optimal Eye Surgeon, which only denoises."""
        return {"oes": EYE_SURGEON} if task == "denoise" else {}

    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.depth, height, width
