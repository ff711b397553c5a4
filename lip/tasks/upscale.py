"""Enlarging an image that is itself small. There is no clean image, as for `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lip.tasks.degradation import Degradation
from lip.tasks.superres import SuperResolution

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Upscale(SuperResolution):
    """Fit a larger image whose reduction is the image as it is.

    Super-resolution, but the image is the observation. It is no task of sweeps: nothing tells how well it was done.
    """

    kind = "upscale"
    has_clean_image: ClassVar[bool] = False

    def frame(self, image: Tensor) -> Tensor:
        return image.repeat_interleave(self.factor, dim=2).repeat_interleave(self.factor, dim=3)

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        return clean[..., :: self.factor, :: self.factor].contiguous()

    def error(self, output: Tensor, clean: Tensor) -> Tensor:
        return Degradation.error(self, output, clean)
