"""The deep decoder: the paper's under-parameterised rival (arXiv 1810.03982)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.priors.prior import Channels, Prior
from lip.specs.schedule import Schedule

if TYPE_CHECKING:
    from lip.networks.encoder_decoder import DecoderNet


class Decoder(Prior):
    """1x1 convolutions and upsampling only: 100,224 parameters at width 128, 619,200 at 320, for three channels."""

    kind = "decoder"

    width: Channels = 128
    """Channels of every layer and of the input code."""
    scales: Annotated[int, Field(ge=1, le=8)] = 5
    """How often the code is upsampled by two."""

    def schedule(self, usual: Schedule) -> Schedule:
        """Remove the jitter, as published: on so small a code it costs several dB."""
        return usual.replace(jitter=0.0)

    def published(self, task: str) -> dict[str, Schedule]:
        """Return the deep decoder's own schedule.

        Published at width 128 for denoising and 256 for inpainting; the output of lowest loss is reported.
        """
        denoise = Schedule(steps=1900, lr=0.01, jitter=0.0, backtrack=None)
        inpaint = denoise.replace(steps=40_000, lr=0.0025, jitter=0.005, jitter_decay=0.7)
        known = {"denoise": denoise, "inpaint": inpaint}
        return {"decoder": known[task]} if task in known else {}

    @property
    def multiple(self) -> int:
        return 2**self.scales

    @property
    def smallest(self) -> int:
        return self.multiple

    def build(self, channels: int) -> DecoderNet:
        from lip.networks.encoder_decoder import DecoderNet

        return DecoderNet(channels, self.width, self.scales)

    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.width, height // self.multiple, width // self.multiple
