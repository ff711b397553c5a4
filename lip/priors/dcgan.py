"""DCGAN (arXiv 1511.06434): a generator small enough to be trained on one CPU core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lip.priors.generator import Pretrained

if TYPE_CHECKING:
    from torch import Generator as Stream
    from torch import Tensor

    from lip.networks.generators import DeepCritic, DeepGenerator


class Dcgan(Pretrained):
    """870,851 parameters at 32 pixels and three channels, 869,888 of them prunable in 5 convolutions."""

    kind = "dcgan"

    size: Literal[16, 32, 64, 128] = 32
    """Height and width of its images, in pixels."""
    width: Annotated[int, Field(ge=1)] = 32
    """Channels before the image; they double with every halving."""

    @property
    def latent(self) -> int:
        return 100

    def build(self, channels: int) -> DeepGenerator:
        from lip.networks.generators import DeepGenerator

        return DeepGenerator(self.latent, self.width, self.size, channels)

    def critic(self, channels: int) -> DeepCritic:
        from lip.networks.generators import DeepCritic

        return DeepCritic(self.width, self.size, channels)

    def codes(self, count: int, stream: Stream | None = None) -> Tensor:
        import torch

        return torch.empty(count, self.latent).uniform_(-1, 1, generator=stream)
