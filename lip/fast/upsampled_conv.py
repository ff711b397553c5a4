"""A 3x3 convolution of a doubled map, multiplied before the doubling, where the map has a quarter of the pixels.

A convolution is nine products of matrices, one for each tap: weights times channels. Each is shifted by its tap, and
they are added up. Doubling treats all channels alike, so it may as well come after the products:

    conv(double(x))  =  sum over taps of  shift(double(weights of the tap * x))

What is left to do at the full size is doubling, shifting and adding, which takes no weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast import norm
from lip.fast import upsampled_norm as doubled_norm
from lip.fast.chain import Array
from lip.fast.compilation import ARRAY4, ARRAY6, INDICES, VECTOR, compiled, inlined
from lip.fast.sparse_conv import SparseMatmul, SparseWeights
from lip.networks.encoder_decoder import Up


class UpsampledUp(nn.Module):
    """Takes the place of an `Up` that crops nothing; with `sparse`, only the non-zeros of small maps are multiplied."""

    def __init__(self, up: Up, kept: Tensor, sparse: bool) -> None:
        super().__init__()
        self.norm, self.up, self.mix = up.norm, up.up, up.mix
        self.up[0] = UpsampledConv(up, kept, sparse)

    @property
    def enlarge(self) -> nn.Module:
        """Return the module that sees the small map first."""
        return self.up

    def after_join(self) -> tuple[nn.Module, ...]:
        return self.up, self.mix

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        conv: Any = self.up[0]
        conv.skip = skip
        return self.mix(self.up(x))


class UpsampledConv(SparseWeights):
    """Takes the place of doubling, joining with the skip connection (`skip`, if there is one), norm and convolution."""

    norm: Any
    skip: Tensor | None

    def __init__(self, up: Up, kept: Tensor, sparse: bool) -> None:
        conv: Any = up.up[0]
        super().__init__(conv, kept)
        self.__dict__["norm"] = up.norm  # not as a part of this module, which would give its parameters other names
        self.skip = None
        channels = conv.out_channels
        self.beside, self.small = slice(-channels), slice(-channels, None)
        """Which channels come from the skip connection, and which from the small map."""
        numbers = self.numbers().numpy()
        taps = np.ascontiguousarray(numbers[:, self.small].transpose(0, 2, 3, 1)).reshape(9 * channels, channels)
        self.taps = SparseMatmul(taps[..., None, None]) if sparse else Product(taps)
        self.rest = SparseMatmul(numbers[:, self.beside], margin=1)

    def tensors(self) -> tuple[Tensor | None, ...]:
        skip, self.skip = self.skip, None
        return skip, self.norm.weight, self.norm.bias, self.values, self.bias

    def ahead(
        self, x: Array, skip: Array | None, weight: Array, offset: Array, values: Array, bias: Array | None
    ) -> tuple[Array, Any]:
        images, _, height, width = x.shape
        if skip is None:
            skip = np.empty((images, 0, 2 * height, 2 * width), x.dtype)
        self.norm.num_batches_tracked.add_(1)
        mean, scale, number = np.empty_like(weight), np.empty_like(weight), x.dtype.type
        eps, momentum = number(self.norm.eps), number(self.norm.momentum)
        skip_normed, x_normed = np.empty_like(skip), np.empty_like(x)
        moments = self.norm.running_mean.numpy(), self.norm.running_var.numpy(), mean, scale
        factor, summand, *own = (array[self.beside] for array in (weight, offset, *moments))
        norm.forward(skip, skip_normed, factor, summand, number(1), eps, momentum, *own)
        factor, summand, *own = (array[self.small] for array in (weight, offset, *moments))
        doubled_norm.forward(x, x_normed, factor, summand, eps, momentum, *own)
        y, rest = self.rest.ahead(skip_normed, values, bias)
        z, taps = self.taps.ahead(x_normed, values)
        spread(z.reshape(images, -1, 3, 3, height, width), y)
        return y, (x, skip, (weight, offset, mean, scale), rest, taps)

    def back(self, slope: Array, kept: Any, wanted: bool) -> tuple[Array | None, ...]:
        x, skip, numbers, rest, taps = kept
        images, channels, height, width = x.shape
        values_slope = np.empty(self.values.shape, slope.dtype)
        weight_slope, offset_slope = np.empty_like(numbers[0]), np.empty_like(numbers[0])
        skip_slope, x_slope = np.empty_like(skip), np.empty_like(x)
        skip_normed, bias_slope = self.rest.back(slope, rest, values_slope)
        z = np.empty((images, channels, 3, 3, height, width), slope.dtype)
        gather(slope, z)
        x_normed, _ = self.taps.back(z.reshape(images, -1, height, width), taps, values_slope)
        factor, summand, mean, scale, *slopes = (array[self.beside] for array in (*numbers, weight_slope, offset_slope))
        norm.backward(skip_normed, skip, factor, summand, slope.dtype.type(1), mean, scale, skip_slope, *slopes)
        factor, _, mean, scale, *slopes = (array[self.small] for array in (*numbers, weight_slope, offset_slope))
        doubled_norm.backward(x_normed, x, factor, mean, scale, x_slope, *slopes)
        return (
            x_slope,
            skip_slope if skip.size else None,
            weight_slope,
            offset_slope,
            values_slope,
            None if self.bias is None else bias_slope,
        )


class Product:
    """The arithmetic of SparseMatmul for kernels of one pixel, as a product of matrices that have their zeros."""

    def __init__(self, numbers: Array) -> None:
        self.numbers = numbers

    def ahead(self, x: Array, values: Array) -> tuple[Array, Any]:
        matrix = np.empty(self.numbers.shape, x.dtype)
        place(values, self.numbers.ravel(), matrix.ravel())
        weights, pixels = torch.from_numpy(matrix), torch.from_numpy(x).flatten(2)
        return (weights @ pixels).numpy().reshape(len(x), -1, *x.shape[2:]), (weights, pixels)

    def back(self, slope: Array, kept: Any, values_slope: Array) -> tuple[Array, None]:
        weights, pixels = kept
        slopes = torch.from_numpy(slope).flatten(2)
        place_back((slopes @ pixels.mT).sum(dim=0).numpy().ravel(), self.numbers.ravel(), values_slope)
        return (weights.T @ slopes).numpy().reshape(len(slope), -1, *slope.shape[2:]), None


@compiled(VECTOR, INDICES, VECTOR)
def place(values, numbers, there):
    """Fill `there` with the values of these numbers; -1: zero."""
    for i in range(len(numbers)):
        there[i] = values[numbers[i]] if numbers[i] >= 0 else 0


@compiled(VECTOR, INDICES, VECTOR)
def place_back(there, numbers, values):
    """Fill those of the values that stand there."""
    for i in range(len(numbers)):
        if numbers[i] >= 0:
            values[numbers[i]] = there[i]


@compiled(ARRAY6, ARRAY4)
def spread(z, y):
    """Add to y (images, outputs, 2 height, 2 width) the nine products z (images, outputs, 3, 3, height, width).

    Each is doubled, continued by reflection at the border, and shifted: first along rows, then along columns.
    """
    images, outputs, _, _, height, width = z.shape
    wide = np.empty((3, 2, height * width), z.dtype)  # taps of rows, even and odd columns
    both = np.empty((2, 2, height * width), z.dtype)  # even and odd columns, even and odd rows
    for n in range(images):
        for o in range(outputs):
            for v in range(3):
                a, b, c = z[n, o, v, 0].ravel(), z[n, o, v, 1].ravel(), z[n, o, v, 2].ravel()
                double(a, b, c, wide[v, 0], wide[v, 1], 1, width, height)
            for k in range(2):
                double(wide[0, k], wide[1, k], wide[2, k], both[k, 0], both[k, 1], width, 1, width)
            for row in range(2 * height):
                out, begin = y[n, o, row], row // 2 * width
                even, odd = both[0, row % 2, begin:][:width], both[1, row % 2, begin:][:width]
                for q in range(width):
                    out[2 * q] += even[q]
                    out[2 * q + 1] += odd[q]


@inlined
def double(a, b, c, even, odd, step, along, ends):
    """The sum of three maps, doubled along one axis and shifted by -1, 0 and 1, as its even and its odd numbers.

    Neighbours on that axis stand `step` apart; its `ends` first numbers stand `along` apart, and so do its last ones.
    What is doubled is three quarters of the nearest number and a quarter of the next, which at an end is the same one.
    """
    near, far, size = a.dtype.type(0.75), a.dtype.type(0.25), len(a)
    # Slices, since of an index such as i - step the compiler does not know that it is not negative: no vectors then.
    here, there = even[step:], odd[step:]
    a0, b0, a1, b1, c1, b2, c2 = a, b, a[step:], b[step:], c[step:], b[2 * step :], c[2 * step :]
    for i in range(size - 2 * step):
        here[i] = near * (a0[i] + b1[i] + c1[i]) + far * (a1[i] + b0[i] + c2[i])
        there[i] = near * (a1[i] + b1[i] + c2[i]) + far * (a0[i] + b2[i] + c1[i])
    for n in range(ends):
        i = n * along
        j = i + step
        even[i] = near * (a[i] + c[i]) + far * (a[j] + c[j]) + b[i]
        odd[i] = near * (b[i] + c[j]) + far * (b[j] + c[i]) + a[i]
        i = size - 1 - n * along
        j = i - step
        even[i] = near * (a[j] + b[i]) + far * (a[i] + b[j]) + c[i]
        odd[i] = near * (a[i] + c[i]) + far * (a[j] + c[j]) + b[i]


@compiled(ARRAY4, ARRAY6)
def gather(slope, z):
    """The adjoint of `spread`: fill z."""
    images, outputs, _, _, height, width = z.shape
    wide = np.empty((3, 2, height * width), z.dtype)
    both = np.empty((2, 2, height * width), z.dtype)
    for n in range(images):
        for o in range(outputs):
            for row in range(2 * height):
                given, begin = slope[n, o, row], row // 2 * width
                even, odd = both[0, row % 2, begin:][:width], both[1, row % 2, begin:][:width]
                for q in range(width):
                    even[q] = given[2 * q]
                    odd[q] = given[2 * q + 1]
            for k in range(2):
                double_back(both[k, 0], both[k, 1], wide[0, k], wide[1, k], wide[2, k], width, 1, width)
            for v in range(3):
                a, b, c = z[n, o, v, 0].ravel(), z[n, o, v, 1].ravel(), z[n, o, v, 2].ravel()
                double_back(wide[v, 0], wide[v, 1], a, b, c, 1, width, height)


@inlined
def double_back(even, odd, a, b, c, step, along, ends):
    """The adjoint of `double`: fill the three maps."""
    near, far, size = a.dtype.type(0.75), a.dtype.type(0.25), len(a)
    a1, b1, c1 = a[step:], b[step:], c[step:]
    even0, even1, even2, odd0, odd1, odd2 = even, even[step:], even[2 * step :], odd, odd[step:], odd[2 * step :]
    for i in range(size - 2 * step):
        a1[i] = near * (even2[i] + odd1[i]) + far * (even1[i] + odd2[i])
        b1[i] = near * (even1[i] + odd1[i]) + far * (even2[i] + odd0[i])
        c1[i] = near * (even1[i] + odd0[i]) + far * (even0[i] + odd1[i])
    for n in range(ends):
        i = n * along
        j = i + step
        a[i] = near * (even[i] + even[j]) + far * odd[j] + odd[i]
        b[i] = near * odd[i] + far * even[j] + even[i]
        c[i] = near * even[i] + far * odd[i]
        i = size - 1 - n * along
        j = i - step
        a[i] = near * odd[i] + far * even[i]
        b[i] = near * even[i] + far * odd[j] + odd[i]
        c[i] = near * (odd[i] + odd[j]) + far * even[j] + even[i]
    for n in range(ends):
        a[n * along + step] += far * even[n * along]
        c[size - 1 - n * along - step] += far * odd[size - 1 - n * along]
