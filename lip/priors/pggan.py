"""Progressive GAN, which the paper prunes: CelebA-HQ at 256 pixels (arXiv 1710.10196, PyTorch GAN zoo)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lip.priors.generator import Pretrained

if TYPE_CHECKING:
    from torch import Generator as Stream
    from torch import Tensor

    from lip.networks.generators import ProgressiveCritic, ProgressiveGenerator

WIDTHS = (512, 512, 512, 512, 256, 128, 64, 32, 16)
"""Channels at 4, 8, 16, ... pixels."""


class Pggan(Pretrained):
    """23,051,989 parameters at the defaults and three channels, 18,844,992 of them prunable in 20 convolutions."""

    kind = "pggan"
    revision = 2

    size: Literal[8, 16, 32, 64, 128, 256, 512, 1024] = 256
    """Height and width of its images, in pixels."""
    width: Annotated[int, Field(ge=1, le=512)] = 512
    """Numbers in a code, and channels where the published network has as many or more."""
    interleaved_groups: bool = False
    """Let the critic measure the deviation within a batch as the zoo did before July 2019, over other groups."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every scale."""
        return tuple(min(width, self.width) for width in WIDTHS[: self.size.bit_length() - 2])

    @property
    def latent(self) -> int:
        return self.width

    def build(self, channels: int) -> ProgressiveGenerator:
        from lip.networks.generators import ProgressiveGenerator

        return ProgressiveGenerator(self.latent, self.widths, channels)

    def critic(self, channels: int) -> ProgressiveCritic:
        from lip.networks.generators import ProgressiveCritic

        return ProgressiveCritic(self.widths, channels, self.interleaved_groups)

    def codes(self, count: int, stream: Stream | None = None) -> Tensor:
        import torch

        return torch.randn(count, self.latent, generator=stream)
