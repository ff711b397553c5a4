"""Generators and critics as plain modules: progressive GAN (arXiv 1710.10196) and DCGAN (arXiv 1511.06434)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lip.networks.encoder_decoder import Network

SMALLEST = 4
"""Height and width, in pixels, of the first feature map of every generator."""


class Generator(Network):
    """Map latent codes (n, latent) to images (n, channels, size, size) in [0, 1]; the paper's are in [-1, 1]."""

    def forward(self, z: Tensor) -> Tensor:
        return (self.image(z) + 1) / 2

    @abstractmethod
    def image(self, z: Tensor) -> Tensor:
        """Return images in [-1, 1], as the critic sees them."""

    def prunable_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the weights of convolutions, transposed ones too, from the code to the image."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                yield name, module.weight


def equalised(module: nn.Conv2d | nn.Linear) -> float:
    """Draw weights from N(0, 1) and return He's constant, by which the layer scales its output."""
    nn.init.normal_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return sqrt(2 / module.weight[0].numel())


class EqualisedConv(nn.Conv2d):
    """A convolution of the same output size with equalised learning rate; as published, its bias is scaled too."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.scale = equalised(self)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class EqualisedLinear(nn.Linear):
    """A linear layer with equalised learning rate; as published, its bias is scaled too."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.scale = equalised(self)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


def pixel_norm(x: Tensor) -> Tensor:
    """Scale every pixel's feature vector to mean square 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class ProgressiveGenerator(Generator):
    """Upsample by nearest neighbours, with two 3x3 convolutions per scale and no output activation.

    `widths` are the channels per scale, of 4, 8, 16, ... pixels. As in published checkpoints every scale has a
    convolution to colours, though only the last is used.
    """

    def __init__(self, latent: int, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.first = EqualisedLinear(latent, widths[0] * SMALLEST**2)
        self.base = EqualisedConv(widths[0], widths[0], 3)
        self.scales = nn.ModuleList(
            nn.ModuleList([EqualisedConv(before, width, 3), EqualisedConv(width, width, 3)])
            for before, width in pairwise(widths)
        )
        self.to_colours = nn.ModuleList(EqualisedConv(width, channels, 1) for width in widths)

    def logits(self, z: Tensor) -> Tensor:
        x = leaky(self.first(pixel_norm(z))).unflatten(1, (-1, SMALLEST, SMALLEST))
        x = pixel_norm(leaky(self.base(pixel_norm(x))))
        for pair in self.scales.children():
            x = F.interpolate(x, scale_factor=2)
            for conv in pair.children():
                x = pixel_norm(leaky(conv(x)))
        return self.to_colours[-1](x)

    def image(self, z: Tensor) -> Tensor:
        return self.logits(z)


class ProgressiveCritic(nn.Module):
    """Mirror the generator, with the deviation within the batch as one more feature of the smallest map."""

    def __init__(self, widths: Sequence[int], channels: int, interleaved_groups: bool = False) -> None:
        super().__init__()
        self.interleaved_groups = interleaved_groups
        self.from_colours = nn.ModuleList(EqualisedConv(channels, width, 1) for width in widths)
        self.scales = nn.ModuleList(
            nn.ModuleList([EqualisedConv(width, width, 3), EqualisedConv(width, after, 3)])
            for after, width in pairwise(widths)
        )
        self.base = EqualisedConv(widths[0] + 1, widths[0], 3)
        self.last = EqualisedLinear(widths[0] * SMALLEST**2, widths[0])
        self.decision = EqualisedLinear(widths[0], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return one score (n,) per image (n, channels, size, size) in [-1, 1]."""
        x = leaky(self.from_colours[-1](images))
        for pair in reversed(list(self.scales.children())):
            for conv in pair.children():
                x = leaky(conv(x))
            x = F.avg_pool2d(x, 2)
        x = leaky(self.base(torch.cat([x, batch_deviation(x, self.interleaved_groups)], dim=1)))
        return self.decision(leaky(self.last(x.flatten(1))))[:, 0]


def batch_deviation(x: Tensor, interleaved: bool = False) -> Tensor:
    """Measure the mean standard deviation within groups of four images.

    From (n, c, h, w) to a map (n, 1, h, w). Groups are consecutive images, and each gets its own deviation. With
    `interleaved`, as in PyTorch GAN zoo before July 2019, each gets that of an interleaved group of other images.
    """
    count, _, height, width = x.shape
    group = min(4, count) if count % min(4, count) == 0 else count
    if group == 1:
        return x.new_zeros(1, 1, height, width)
    groups = x.unflatten(0, (group, -1)).transpose(0, 1) if interleaved else x.unflatten(0, (-1, group))
    deviation = (groups.var(dim=1) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat_interleave(group)[:, None, None, None].expand(-1, 1, height, width)


class DeepGenerator(Generator):
    """The generator of DCGAN: transposed convolutions with batch norm, then tanh.

    `width` is the number of channels before the image. At 32 pixels and width 32 it is the generator of
    github.com/fletchersarip93/face-generator, whose weights are published.
    """

    def __init__(self, latent: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        doublings = (size // SMALLEST).bit_length() - 1
        root, *widths = (width * 2**k for k in range(doublings, -1, -1))
        first = nn.ConvTranspose2d(latent, root, SMALLEST, bias=False)
        mix = nn.Conv2d(root, widths[0], 3, padding=1, bias=False)
        self.blocks = nn.Sequential(
            nn.Sequential(first, nn.BatchNorm2d(root)),
            nn.Sequential(mix, nn.BatchNorm2d(widths[0]), nn.LeakyReLU(0.2)),
            *(
                nn.Sequential(upsampling_conv(before, after, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2))
                for before, after in pairwise(widths)
            ),
            nn.Sequential(upsampling_conv(widths[-1], channels, bias=True)),
        )

    def logits(self, z: Tensor) -> Tensor:
        return self.blocks(z[:, :, None, None])

    def image(self, z: Tensor) -> Tensor:
        return self.logits(z).tanh()


def upsampling_conv(inputs: int, outputs: int, bias: bool) -> nn.ConvTranspose2d:
    """Build a transposed convolution to twice the height and width."""
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)


class DeepCritic(nn.Module):
    """Convolutions that halve the image down to 4x4 pixels, without batch norm, which the penalty forbids."""

    def __init__(self, width: int, size: int, channels: int) -> None:
        super().__init__()
        halvings = (size // SMALLEST).bit_length() - 1
        widths = [channels, *(width * 2**k for k in range(halvings))]
        self.down = nn.ModuleList(nn.Conv2d(*pair, 4, stride=2, padding=1) for pair in pairwise(widths))
        self.decision = nn.Conv2d(widths[-1], 1, SMALLEST)

    def forward(self, images: Tensor) -> Tensor:
        """Return one score (n,) per image (n, channels, size, size) in [-1, 1]."""
        for conv in self.down:
            images = leaky(conv(images))
        return self.decision(images).flatten()
