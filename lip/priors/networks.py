"""The networks behind the priors: plain modules, written so that `modules()` walks them in the paper's layer order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReflectConv(nn.Conv2d):
    """Convolution with reflection padding, built from slices because CUDA's own has no deterministic gradient."""

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size[0] > 1:
            x = torch.cat([x[:, :, 1:2], x, x[:, :, -2:-1]], dim=2)
            x = torch.cat([x[..., 1:2], x, x[..., -2:-1]], dim=3)
        return super().forward(x)


def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, leaky ReLU."""
    return nn.Sequential(
        ReflectConv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)
    )


class Down(nn.Module):
    """One scale on the way down: what it passes across the skip connection, and the halved map."""

    def __init__(self, inputs: int, width: int, skip: int) -> None:
        super().__init__()
        self.skip = block(inputs, skip, 1) if skip else None
        self.stride = block(inputs, width, 3, stride=2)
        self.conv = block(width, width, 3)

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        return (self.skip(x) if self.skip else None), self.conv(self.stride(x))


class Up(nn.Module):
    """One scale on the way up: doubled, joined with the skip connection, convolved twice."""

    def __init__(self, width: int, skip: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(skip + width)
        self.up = block(skip + width, width, 3)
        self.mix = block(width, width, 1)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        joined = x if skip is None else torch.cat([skip, x], dim=1)
        return self.mix(self.up(self.norm(joined)))


class Network(nn.Module, ABC):
    """A network that ends in a sigmoid, and knows which of its weights a mask covers."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(z))

    @abstractmethod
    def logits(self, z: Tensor) -> Tensor:
        """The output before the sigmoid."""

    @abstractmethod
    def prunable(self) -> Iterator[tuple[str, Tensor]]:
        """Names and weight tensors in module order, the names those of the paper's layer axis."""


class HourglassNet(Network):
    """Down the scales, up again with skip connections, then a 1x1 convolution."""

    def __init__(self, depth: int, channels: int, width: int, scales: int, skip: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Down(width if s else depth, width, skip) for s in range(scales))
        self.up = nn.ModuleList(Up(width, skip) for _ in range(scales))
        self.out = nn.Conv2d(width, channels, 1)

    def logits(self, z: Tensor) -> Tensor:
        skips = []
        for down in self.down:
            skip, z = down(z)
            skips.append(skip)
        for up in self.up:
            z = up(z, skips.pop())
        return self.out(z)

    def prunable(self) -> Iterator[tuple[str, Tensor]]:
        """All convolution weights; scale 0 is the full resolution."""
        scales = len(self.down)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                way, *place = name.split(".")
                if place:
                    scale = int(place[0]) if way == "down" else scales - 1 - int(place[0])
                    name = f"s{scale} {place[1]}"
                yield name, module.weight


class DecoderNet(Network):
    """1x1 convolutions without bias, each but the last two followed by doubling; ReLU, then normalisation."""

    def __init__(self, channels: int, width: int, scales: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for _ in range(scales + 1))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(scales + 1))
        self.out = nn.Conv2d(width, channels, 1, bias=False)

    def logits(self, z: Tensor) -> Tensor:
        for k, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            z = conv(z)
            if k < len(self.convs) - 1:
                z = F.interpolate(z, scale_factor=2, mode="bilinear", align_corners=False)
            z = norm(z.relu())
        return self.out(z)

    def prunable(self) -> Iterator[tuple[str, Tensor]]:
        """All convolution weights, from the code to the image."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                yield name.replace("convs.", "c"), module.weight
