"""Super-resolution (paper, section 4), with the images and the operator of deep image prior."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch import dtype as Dtype

    from lip.priors import Prior

SHAVE_BEFORE, SHAVE_AFTER = 4, 5
"""Border in pixels that the published PSNRs exclude, at the top and left, and at the bottom and right."""


class SuperResolution(Degradation):
    """Enlarge an image `factor` times.

    The observation is made as in deep image prior, by Pillow's Lanczos-3 filter on 8-bit values; the loss uses a
    Lanczos-2 operator, which deliberately does not equal it. PSNR is that of the luma without its border.
    """

    kind = "superres"
    shared_init = True
    half_pixel = "even"

    factor: Literal[2, 4, 8] = 4
    """Ratio of the image's height and width to those of the observation."""

    def schedules(self) -> dict[str, Schedule]:
        released = Schedule(steps=2000, lr=0.01, jitter=0.03, backtrack=None)
        return {"paper": released.replace(steps=4000, jitter=0.05) if self.factor == 8 else released, "lip": released}

    def check(self, height: int, width: int, prior: Prior) -> str | None:
        if height % self.factor or width % self.factor:
            return f"factor: {width}x{height} pixels are not a multiple of {self.factor}; use another size"
        if min(height, width) <= SHAVE_BEFORE + SHAVE_AFTER:
            return f"task: {width}x{height} pixels are nothing but the excluded border; use a larger size"
        return None

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        import numpy as np
        import torch
        from PIL import Image

        pixels = (clean[0] * 255).round().byte().permute(1, 2, 0).numpy()
        small = Image.fromarray(pixels.squeeze()).resize(
            (pixels.shape[1] // self.factor, pixels.shape[0] // self.factor), Image.Resampling.LANCZOS
        )
        values = torch.from_numpy(np.array(small, dtype=np.float32) / 255)
        return values.reshape(*values.shape[:2], -1).permute(2, 0, 1)[None].contiguous()

    def project(self, output: Tensor) -> Tensor:
        return downsample(output, self.factor)

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        return (self.project(output) - observation).square().mean()

    def error(self, output: Tensor, clean: Tensor) -> Tensor:
        inner = slice(SHAVE_BEFORE, -SHAVE_AFTER)
        return luma(output - clean)[..., inner, inner].square().mean()


def luma(difference: Tensor) -> Tensor:
    """Return the BT.601 luma (16 to 235 of 255) of a difference of images in [0, 1]; grey is unchanged."""
    if difference.shape[1] == 1:
        return difference
    red, green, blue = difference.split(1, dim=1)  # a tensor of weights would be copied to the device at every step
    return (0.299 * red + 0.587 * green + 0.114 * blue) * (219 / 255)


def downsample(image: Tensor, factor: int) -> Tensor:
    """Filter with Lanczos-2 and take every `factor`-th pixel.

    The filter is centred between pixels; borders are repeated.
    """
    import torch.nn.functional as F

    channels = image.shape[1]
    kernel = _kernel(factor, str(image.device), image.dtype)
    padding = 3 * factor // 2
    padded = F.pad(image, (padding,) * 4, mode="replicate")
    weight = (kernel[:, None] * kernel).expand(channels, 1, -1, -1)
    return F.conv2d(padded, weight, stride=factor, groups=channels)


@cache
def _kernel(factor: int, device: str, dtype: Dtype) -> Tensor:
    return lanczos2(factor).to(device, dtype)


def lanczos2(factor: int) -> Tensor:
    """Return the 4 * factor weights of the Lanczos-2 filter along one axis, which sum to 1."""
    import torch

    distance = (torch.arange(4 * factor, dtype=torch.float64) + 0.5) / factor - 2
    weights = torch.sinc(distance) * torch.sinc(distance / 2)
    return weights / weights.sum()
