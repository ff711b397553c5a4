"""Convolve with the non-zero weights only, at the cost of those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast import kernels
from lip.fast.compilation import INDICES, VECTOR, compiled
from lip.fast.stages import Stage
from lip.fast.tape import Array, Tape
from lip.networks.encoder_decoder import ReflectConv

CACHE_LINE = 16
"""Numbers in 64 bytes."""

Conv = nn.Conv2d | nn.ConvTranspose2d


class SparseWeights(Stage):
    """Hold the weights of a convolution that `keep_mask` (bool) keeps.

    `values` are the kept weights, flat, in the order of the weight tensor. The state dict has `weight`, with zeros, as
    that of the convolution does.
    """

    def __init__(self, conv: Conv, keep_mask: Tensor) -> None:
        super().__init__()
        self.keep_mask = keep_mask
        self.values = nn.Parameter(conv.weight.detach()[keep_mask])
        self.bias = conv.bias

    def index(self) -> Tensor:
        """Return the index in `values` of each weight; -1 if pruned."""
        index = self.keep_mask.new_full(self.keep_mask.shape, -1, dtype=torch.int64)
        index[self.keep_mask] = torch.arange(self.values.numel())
        return index

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        values = destination.pop(f"{prefix}values")
        weight = values.new_zeros(self.keep_mask.shape).masked_scatter_(self.keep_mask, values)
        destination[f"{prefix}weight"] = weight


class SparseConv(SparseWeights):
    """Replace a convolution, transposed or not."""

    def __init__(self, conv: Conv, keep_mask: Tensor) -> None:
        super().__init__(conv, keep_mask)
        self.zeros = int(conv.padding[0])
        index = self.index()
        if isinstance(conv, nn.ConvTranspose2d):  # a convolution of the padded input with the kernel rotated by 180°
            self.zeros = conv.kernel_size[0] - 1 - self.zeros
            index = index.transpose(0, 1).flip(2, 3)
        self.matmul = SparseMatmul(index.numpy(), margin(conv), conv.stride[0])

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        return self.values, self.bias

    def forward_np(self, tape: Tape, x: Array, values: Array, bias: Array | None) -> tuple[Array, Any]:
        if self.zeros:
            images, channels, height, width = x.shape
            padded = tape.empty((images, channels, height + 2 * self.zeros, width + 2 * self.zeros), x.dtype)
            tape.call(np.copyto, padded, 0)
            tape.call(np.copyto, self._inside(padded), x)
            x = padded
        return self.matmul.forward(tape, x, values, bias)

    def backward_np(self, tape: Tape, grad: Array, saved: Any, needs_x_grad: bool) -> tuple[Array | None, ...]:
        values_grad = tape.empty(self.values.shape, grad.dtype)
        x_grad, bias_grad = self.matmul.backward(tape, grad, saved, values_grad, needs_x_grad)
        if needs_x_grad and self.zeros:
            padded = self._inside(x_grad)
            x_grad = tape.empty(padded.shape, grad.dtype)
            tape.call(np.copyto, x_grad, padded)
        return x_grad, values_grad, bias_grad

    def _inside(self, padded: Array) -> Array:
        return padded[..., self.zeros : -self.zeros, self.zeros : -self.zeros]


class SparseMatmul:
    """Multiply by a convolution's non-zero weights.

    `index` (outputs, inputs, size, size) is the position of each weight in a vector of values, -1 for a weight of zero.
    The input is padded by reflection, by `margin`.
    """

    def __init__(self, index: Array, margin: int = 0, stride: int = 1) -> None:
        self.index, self.margin, self.stride = index, margin, stride
        self.layouts: dict[tuple[int, ...], Layout] = {}

    def forward(self, tape: Tape, x: Array, values: Array, bias: Array | None = None) -> tuple[Array, Any]:
        """Return the convolution of x and what `backward` needs."""
        images, _, *size = x.shape
        if tuple(size) not in self.layouts:
            self.layouts[tuple(size)] = Layout.of(self.index, self.margin, self.stride, *size)
        layout = self.layouts[tuple(size)]
        y, sorted_values = (tape.empty(shape, x.dtype) for shape in ((images, *layout.y), layout.perm.shape))
        tape.call(take, values, layout.perm, sorted_values)
        if layout.direct:
            planes = x.reshape(images, *layout.planes)
        else:
            planes, given = tape.empty((images, *layout.planes), x.dtype), x.reshape(images, *layout.x)
            tape.call(kernels.fill_planes, given, layout.margin, layout.stride, layout.pitch, planes)
        tape.call(
            kernels.forward,
            planes,
            np.zeros(y.shape[1], x.dtype) if bias is None else bias,
            sorted_values,
            layout.indptr,
            layout.offsets,
            layout.pitch,
            y,
        )
        return y.reshape(images, *layout.output), (planes, values, layout, bias is not None)

    def backward(
        self, tape: Tape, grad: Array, saved: Any, values_grad: Array, needs_x_grad: bool = True
    ) -> tuple[Any, Array | None]:
        """Return the gradients of x (None unless needed) and of the bias (if any); fill those of the values."""
        planes, values, layout, biased = saved
        sorted_grad, bias_grad = tape.empty(layout.perm.shape, grad.dtype), None
        y_grad = grad.reshape(len(grad), *layout.y)
        if layout.direct:
            lines = grad.reshape(len(grad), *layout.lines)
        else:
            lines = tape.empty((len(grad), *layout.lines), grad.dtype)
            tape.call(kernels.fill_lines, y_grad, layout.pitch, layout.lead, lines)
        if biased:
            bias_grad = tape.empty(grad.shape[1:2], grad.dtype)
            tape.call(kernels.backward_bias, y_grad, bias_grad)
        tape.call(
            kernels.backward_values,
            lines,
            layout.indptr,
            layout.offsets,
            planes,
            layout.y[1],
            layout.pitch,
            layout.lead,
            sorted_grad,
        )
        tape.call(put, sorted_grad, layout.perm, values_grad)
        x_grad = None
        if needs_x_grad:
            x_grad, sorted_values = tape.empty((len(grad), *layout.x), grad.dtype), np.empty_like(sorted_grad)
            tape.call(take, values, layout.back_perm, sorted_values)
            tape.call(
                kernels.backward_input,
                lines,
                sorted_values,
                layout.back_indptr,
                layout.back_offsets,
                layout.margin,
                layout.stride,
                layout.pitch,
                x_grad,
            )
            x_grad = x_grad.reshape(len(grad), *layout.input)
        return x_grad, bias_grad


@compiled(VECTOR, INDICES, VECTOR)
def take(values, index, taken):
    """Fill a vector with the values at these indices; -1 is zero."""
    for i in range(len(index)):
        taken[i] = values[index[i]] if index[i] >= 0 else 0


@compiled(VECTOR, INDICES, VECTOR)
def put(taken, index, values):
    """Fill the values at these indices; -1 is nowhere."""
    for i in range(len(index)):
        if index[i] >= 0:
            values[index[i]] = taken[i]


def is_supported(conv: nn.Module) -> bool:
    """Tell whether a SparseConv can replace a module."""
    if type(conv) not in (nn.Conv2d, ReflectConv, nn.ConvTranspose2d):  # a subclass computes something else
        return False
    assert isinstance(conv, Conv)
    if conv.transposed and (conv.stride != (1, 1) or any(conv.output_padding)):
        return False
    square = all(len(set(sides)) == 1 for sides in (conv.kernel_size, conv.stride, conv.padding))
    return square and (conv.groups, conv.dilation) == (1, (1, 1))


def margin(conv: Conv) -> int:
    """Return by how many pixels a convolution pads its input by reflection."""
    return conv.kernel_size[0] // 2 if isinstance(conv, ReflectConv) else 0


@dataclass(frozen=True)
class Layout:
    """Describe a layer's non-zeros for the kernels (see there), for inputs of one size."""

    margin: int
    stride: int
    pitch: int
    lead: int
    direct: bool
    """Whether planes are the channels of x and lines those of the gradient, as they are."""
    input: tuple[int, int, int]
    """Shape of one image's input, then of its output, then of x, y, planes and lines in the kernels."""
    output: tuple[int, int, int]
    x: tuple[int, int, int]
    y: tuple[int, int, int]
    planes: tuple[int, int]
    lines: tuple[int, int]
    perm: np.ndarray
    """The indices of the non-zeros, sorted by their targets."""
    indptr: np.ndarray
    offsets: np.ndarray
    back_perm: np.ndarray
    """The same sorted by the planes they read, for the gradient of the input, with its own `indptr` and `offsets`."""
    back_indptr: np.ndarray
    back_offsets: np.ndarray

    @classmethod
    def of(cls, index: np.ndarray, margin: int, stride: int, height: int, width: int) -> Layout:
        outputs, inputs, size, _ = index.shape
        rows, columns = ((side + 2 * margin - size) // stride + 1 for side in (height, width))
        input, output = (inputs, height, width), (outputs, rows, columns)
        if size == stride == 1:  # row ends do not matter then, and fewer, longer rows take less time
            joined = max(n for n in range(1, height + 1) if height % n == 0 and (n == 1 or n * width <= kernels.BAND))
            height, width = rows, columns = height // joined, width * joined
        plane_rows, pitch = (-(-(side + 2 * margin) // stride) for side in (height, width))
        lead = (size - 1) // stride * (pitch + 1)  # the furthest shift
        planes = (inputs * stride**2, _odd(plane_rows * pitch + lead + kernels.LANES))
        lines = (outputs, _odd(lead + plane_rows * pitch + kernels.LANES))
        direct = size == stride == 1 and width % kernels.LANES == 0
        if direct:
            planes, lines = (inputs, height * width), (outputs, height * width)
        target, channel, v, u = (index >= 0).nonzero()
        perm = index[index >= 0]
        plane = (channel * stride + v % stride) * stride + u % stride
        shift = v // stride * pitch + u // stride
        back = np.argsort(plane, kind="stable")
        return cls(
            margin=margin,
            stride=stride,
            pitch=pitch,
            lead=lead,
            direct=direct,
            input=input,
            output=output,
            x=(inputs, height, width),
            y=(outputs, rows, columns),
            planes=planes,
            lines=lines,
            perm=perm,
            indptr=np.searchsorted(target, np.arange(outputs + 1)),
            offsets=plane * planes[1] + shift,
            back_perm=perm[back],
            back_indptr=np.searchsorted(plane[back], np.arange(planes[0] + 1)),
            back_offsets=(target * lines[1] + lead - shift)[back],
        )


def _odd(numbers: int) -> int:
    """Round up to an odd number of cache lines: rows an even number apart compete for the same cache sets."""
    return (-(-numbers // CACHE_LINE) | 1) * CACHE_LINE
