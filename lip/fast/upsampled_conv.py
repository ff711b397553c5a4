"""Convolve an upsampled map (3x3) by multiplying before the upsampling, on a quarter of the pixels.

A convolution is the sum of nine matrix products (weights times channels), one for each tap, each shifted by its tap.
Upsampling treats all channels alike, so it may as well follow the products:

    conv(upsample(x))  =  sum over taps of  shift(upsample(weights of the tap * x))

Only upsampling, shifting and adding remain at full size; they need no weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast import norm, upsampled_norm
from lip.fast.compilation import ARRAY4, ARRAY6, compiled, inlined
from lip.fast.sparse_conv import SparseMatmul, SparseWeights, put, take
from lip.fast.tape import Array, Tape
from lip.networks.encoder_decoder import Up


class UpsampledUp(nn.Module):
    """Replace an `Up` that crops nothing; with `sparse`, taps multiply by non-zeros only."""

    def __init__(self, up: Up, keep_mask: Tensor, sparse: bool) -> None:
        super().__init__()
        self.norm, self.up, self.mix = up.norm, up.up, up.mix
        self.up[0] = UpsampledConv(up, keep_mask, sparse)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        convolved = self.up[0](x, skip)
        return self.mix(self.up[1:](convolved))


class UpsampledConv(SparseWeights):
    """Replace upsampling, concatenation with the skip connection (if any), norm and convolution."""

    norm: Any

    def __init__(self, up: Up, keep_mask: Tensor, sparse: bool) -> None:
        conv: Any = up.up[0]
        super().__init__(conv, keep_mask)
        self.__dict__["norm"] = up.norm  # not as a submodule, which would rename its parameters
        channels = conv.out_channels
        self.of_skip, self.of_map = slice(-channels), slice(-channels, None)
        """The channels of the skip connection and those of the small map."""
        index = self.index().numpy()
        taps = np.ascontiguousarray(index[:, self.of_map].transpose(0, 2, 3, 1)).reshape(9 * channels, channels)
        self.taps = SparseMatmul(taps[..., None, None]) if sparse else DenseMatmul(taps)
        self.rest = SparseMatmul(index[:, self.of_skip], margin=1)

    def tensors(self) -> tuple[Tensor | None, ...]:
        return self.norm.weight, self.norm.bias, self.values, self.bias

    def forward_np(
        self, tape: Tape, x: Array, skip: Array | None, weight: Array, offset: Array, values: Array, bias: Array | None
    ) -> tuple[Array, Any]:
        images, _, height, width = x.shape
        if skip is None:
            skip = np.empty((images, 0, 2 * height, 2 * width), x.dtype)
        skip_normed, x_normed, mean, scale = (tape.empty(array.shape, x.dtype) for array in (skip, x, weight, weight))
        eps, momentum, one = (x.dtype.type(number) for number in (self.norm.eps, self.norm.momentum, 1))
        moments = self.norm.running_mean.numpy(), self.norm.running_var.numpy(), mean, scale
        count = self.norm.num_batches_tracked.numpy()
        tape.call(np.add, count, 1, count)
        factor, summand, *own = (array[self.of_skip] for array in (weight, offset, *moments))
        tape.call(norm.forward, skip, skip_normed, factor, summand, one, eps, momentum, *own)
        factor, summand, *own = (array[self.of_map] for array in (weight, offset, *moments))
        tape.call(upsampled_norm.forward, x, x_normed, factor, summand, eps, momentum, *own)
        y, rest = self.rest.forward(tape, skip_normed, values, bias)
        z, taps = self.taps.forward(tape, x_normed, values)
        tape.call(upsample_add, z.reshape(images, -1, 3, 3, height, width), y)
        return y, (x, skip, (weight, offset, mean, scale), rest, taps)

    def backward_np(self, tape: Tape, grad: Array, saved: Any, needs_x_grad: bool) -> tuple[Array | None, ...]:
        x, skip, affine, rest, taps = saved
        images, channels, height, width = x.shape
        values_grad, weight_grad, offset_grad, skip_grad, x_grad = (
            tape.empty(shape, grad.dtype) for shape in (self.values.shape, *[affine[0].shape] * 2, skip.shape, x.shape)
        )
        skip_normed, bias_grad = self.rest.backward(tape, grad, rest, values_grad)
        z = tape.empty((images, channels, 3, 3, height, width), grad.dtype)
        tape.call(upsample_add_adjoint, grad, z)
        x_normed, _ = self.taps.backward(tape, z.reshape(images, -1, height, width), taps, values_grad)
        factor, summand, mean, scale, *grads = (array[self.of_skip] for array in (*affine, weight_grad, offset_grad))
        one = grad.dtype.type(1)
        tape.call(norm.backward, skip_normed, skip, factor, summand, one, mean, scale, skip_grad, *grads)
        factor, _, mean, scale, *grads = (array[self.of_map] for array in (*affine, weight_grad, offset_grad))
        tape.call(upsampled_norm.backward, x_normed, x, factor, mean, scale, x_grad, *grads)
        return (
            x_grad,
            skip_grad if skip.size else None,
            weight_grad,
            offset_grad,
            values_grad,
            bias_grad,
        )


class DenseMatmul:
    """Multiply as SparseMatmul does for 1x1 kernels, by a matrix that has its zeros."""

    def __init__(self, index: Array) -> None:
        self.index = index

    def forward(self, tape: Tape, x: Array, values: Array) -> tuple[Array, Any]:
        matrix, y = tape.empty(self.index.shape, x.dtype), tape.empty((len(x), len(self.index), *x.shape[2:]), x.dtype)
        tape.call(take, values, self.index.ravel(), matrix.ravel())
        weights, pixels, product = (torch.from_numpy(array) for array in (matrix, x, y))
        tape.call(_multiply, weights, pixels.flatten(2), product.flatten(2))
        return y, (weights, pixels.flatten(2))

    def backward(self, tape: Tape, grad: Array, saved: Any, values_grad: Array) -> tuple[Array, None]:
        weights, pixels = saved
        matrix_grad = tape.empty(self.index.shape, grad.dtype)
        x_grad = tape.empty((len(grad), self.index.shape[1], *grad.shape[2:]), grad.dtype)
        grads, product, outer = (torch.from_numpy(array) for array in (grad, x_grad, matrix_grad))
        tape.call(_sum_outer, grads.flatten(2), pixels, outer)
        tape.call(put, matrix_grad.ravel(), self.index.ravel(), values_grad)
        tape.call(_multiply, weights.T, grads.flatten(2), product.flatten(2))
        return x_grad, None


def _multiply(matrix: Tensor, columns: Tensor, product: Tensor) -> None:
    product.copy_(matrix @ columns)


def _sum_outer(left: Tensor, right: Tensor, total: Tensor) -> None:
    total.copy_((left @ right.mT).sum(dim=0))


@compiled(ARRAY6, ARRAY4)
def upsample_add(z, y):
    """Add to y (images, outputs, 2 height, 2 width) the nine products z (images, outputs, 3, 3, height, width).

    Each is upsampled, padded by reflection and shifted: first along rows, then along columns.
    """
    images, outputs, _, _, height, width = z.shape
    wide = np.empty((3, 2, height * width), z.dtype)  # taps of rows, even and odd columns
    both = np.empty((2, 2, height * width), z.dtype)  # even and odd columns, even and odd rows
    for n in range(images):
        for o in range(outputs):
            for v in range(3):
                a, b, c = z[n, o, v, 0].ravel(), z[n, o, v, 1].ravel(), z[n, o, v, 2].ravel()
                upsample_axis(a, b, c, wide[v, 0], wide[v, 1], 1, width, height)
            for k in range(2):
                upsample_axis(wide[0, k], wide[1, k], wide[2, k], both[k, 0], both[k, 1], width, 1, width)
            for row in range(2 * height):
                out, begin = y[n, o, row], row // 2 * width
                even, odd = both[0, row % 2, begin:][:width], both[1, row % 2, begin:][:width]
                for q in range(width):
                    out[2 * q] += even[q]
                    out[2 * q + 1] += odd[q]


@inlined
def upsample_axis(a, b, c, even, odd, step, along, ends):
    """Upsample three maps along one axis, shift them by -1, 0 and 1 and add them, as even and odd elements.

    Neighbours on that axis are `step` apart; its `ends` first elements are `along` apart, and so are its last ones.
    An upsampled element is three quarters of the nearest one and a quarter of the next, at an end the same one.
    """
    near, far, size = a.dtype.type(0.75), a.dtype.type(0.25), len(a)
    # Slices: the compiler cannot know that an index such as i - step is not negative, and would not vectorise.
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
def upsample_add_adjoint(grad, z):
    """Fill z with the adjoint of `upsample_add` applied to the gradient of y."""
    images, outputs, _, _, height, width = z.shape
    wide = np.empty((3, 2, height * width), z.dtype)
    both = np.empty((2, 2, height * width), z.dtype)
    for n in range(images):
        for o in range(outputs):
            for row in range(2 * height):
                given, begin = grad[n, o, row], row // 2 * width
                even, odd = both[0, row % 2, begin:][:width], both[1, row % 2, begin:][:width]
                for q in range(width):
                    even[q] = given[2 * q]
                    odd[q] = given[2 * q + 1]
            for k in range(2):
                upsample_axis_adjoint(both[k, 0], both[k, 1], wide[0, k], wide[1, k], wide[2, k], width, 1, width)
            for v in range(3):
                a, b, c = z[n, o, v, 0].ravel(), z[n, o, v, 1].ravel(), z[n, o, v, 2].ravel()
                upsample_axis_adjoint(wide[v, 0], wide[v, 1], a, b, c, 1, width, height)


@inlined
def upsample_axis_adjoint(even, odd, a, b, c, step, along, ends):
    """Fill the three maps with the adjoint of `upsample_axis`."""
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
