"""The networks behind the priors: plain modules, written so that `modules()` walks them in the paper's layer order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

if TYPE_CHECKING:
    from lip.masks import Covers


class ReflectConv(nn.Conv2d):
    """Convolve with reflection padding."""

    def forward(self, x: Tensor) -> Tensor:
        pad = self.kernel_size[0] // 2
        return super().forward(_Reflect.apply(x, pad) if pad else x)


class _Reflect(Function):
    """Pad by reflection; unlike PyTorch's on CUDA, the gradient adds in a fixed order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pad: int) -> Tensor:
        ctx.pad = pad
        return F.pad(x, [pad] * 4, mode="reflect")

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        pad = ctx.pad
        for axis in (3, 2):
            size = grad.shape[axis] - 2 * pad
            inner = grad.narrow(axis, pad, size).clone()
            for k in range(1, pad + 1):
                inner.select(axis, size - 1 - k).add_(grad.select(axis, pad + size - 1 + k))
            for k in range(1, pad + 1):
                inner.select(axis, k).add_(grad.select(axis, pad - k))
            grad = inner
        return grad, None


def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Build a convolution, batch normalisation and leaky ReLU."""
    return nn.Sequential(
        ReflectConv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)
    )


def upsample2x() -> nn.Upsample:
    """Interpolate bilinearly to twice the height and width."""
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)


class Down(nn.Module):
    """One scale on the way down; returns the map for the skip connection, and the halved map."""

    def __init__(self, inputs: int, width: int, skip: int) -> None:
        super().__init__()
        self.skip = block(inputs, skip, 1) if skip else None
        self.stride = block(inputs, width, 3, stride=2)
        self.conv = block(width, width, 3)

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        return (self.skip(x) if self.skip else None), self.conv(self.stride(x))


class Up(nn.Module):
    """One scale on the way up: upsample, join with the skip connection, convolve twice."""

    def __init__(self, width: int, skip: int) -> None:
        super().__init__()
        self.enlarge = upsample2x()
        self.norm = nn.BatchNorm2d(skip + width)
        self.up = block(skip + width, width, 3)
        self.mix = block(width, width, 1)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.enlarge(x)
        joined = x if skip is None else torch.cat([skip, centre(x, skip)], dim=1)
        return self.mix(self.up(self.norm(joined)))


def centre(x: Tensor, like: Tensor) -> Tensor:
    """Crop the middle of a map to the size of another, which is one less where an odd size was halved."""
    height, width = like.shape[2:]
    if x.shape[2:] == (height, width):
        return x
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


class Network(nn.Module, ABC):
    """A network that ends in a sigmoid and lists the weights that a mask covers."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(z))

    @abstractmethod
    def logits(self, z: Tensor) -> Tensor:
        """Return the output before the sigmoid."""

    @abstractmethod
    def prunable_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names (of the paper's layer axis) and weights of the convolutions, in module order."""

    def covered(self, covers: Covers) -> Iterator[tuple[str, Tensor]]:
        """Yield names and tensors that a mask covers, in module order."""
        if covers == "weights":
            yield from self.prunable_parameters()
        else:
            names = {id(weight): name for name, weight in self.prunable_parameters()}
            for name, parameter in self.named_parameters():
                yield names.get(id(parameter), name), parameter

    def covered_names(self, covers: Covers) -> list[str]:
        """Return the names, in the state dict, of the tensors that a mask covers, in module order."""
        names = {id(parameter): name for name, parameter in self.named_parameters()}
        return [names[id(parameter)] for _, parameter in self.covered(covers)]


class Scaled(Network):
    """A network with a list of scales on the way `down` and one on the way `up`."""

    down: nn.ModuleList
    up: nn.ModuleList

    def prunable_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all convolution weights; scale 0 is the full resolution."""
        scales = len(self.down)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                way, *parts = name.split(".")
                if parts:
                    scale = int(parts[0]) if way == "down" else scales - 1 - int(parts[0])
                    name = f"s{scale} {parts[1]}"
                yield name, module.weight


class HourglassNet(Scaled):
    """Down the scales, up again with skip connections, then a 1x1 convolution."""

    def __init__(self, depth: int, channels: int, width: int, scales: int, skip: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Down(width if s else depth, width, skip) for s in range(scales))
        self.up = nn.ModuleList(Up(width, skip) for _ in range(scales))
        self.out: nn.Module = nn.Conv2d(width, channels, 1)

    def logits(self, z: Tensor) -> Tensor:
        skips = []
        for down in self.down:
            skip, z = down(z)
            skips.append(skip)
        for up in self.up:
            z = up(z, skips.pop())
        return self.out(z)


class DecoderNet(Network):
    """1x1 convolutions without bias, all but the last two followed by upsampling; ReLU, then normalisation."""

    def __init__(self, channels: int, width: int, scales: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for _ in range(scales + 1))
        self.enlarge = upsample2x()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(scales + 1))
        self.out = nn.Conv2d(width, channels, 1, bias=False)

    def logits(self, z: Tensor) -> Tensor:
        for k, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            z = conv(z)
            if k < len(self.convs) - 1:
                z = self.enlarge(z)
            z = norm(z.relu())
        return self.out(z)

    def prunable_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all convolution weights, from the code to the image."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                yield name.replace("convs.", "c"), module.weight


class UNet(Scaled):
    """Down by 5x5 convolutions and mean pooling, up by nearest neighbours and 3x3 convolutions; no skip connections."""

    def __init__(self, depth: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()

        def down(inputs: int, width: int) -> nn.Sequential:
            pooled = nn.Sequential(
                ReflectConv(inputs, width, 5), nn.AvgPool2d(2), nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True)
            )
            return nn.Sequential(OrderedDict(down=pooled, conv=block(width, width, 5)))

        def up(inputs: int, width: int) -> nn.Sequential:
            upsampled = nn.Sequential(nn.Upsample(scale_factor=2), nn.BatchNorm2d(inputs))
            return nn.Sequential(OrderedDict(enlarge=upsampled, up=block(inputs, width, 3)))

        self.down = nn.ModuleList(down(*pair) for pair in zip((depth, *widths), widths, strict=False))
        self.up = nn.ModuleList(
            up(*pair) for pair in reversed(list(zip((*widths[1:], widths[-1]), widths, strict=True)))
        )
        self.out = nn.Conv2d(widths[0], channels, 1)

    def logits(self, z: Tensor) -> Tensor:
        for scale in (*self.down, *self.up):
            z = scale(z)
        return self.out(z)
