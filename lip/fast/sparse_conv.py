"""A convolution that has its non-zero weights only, and costs what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast import kernels
from lip.fast.chain import Array, Stage
from lip.networks.encoder_decoder import ReflectConv

CACHE_LINE = 16
"""Numbers in 64 bytes."""

Conv = nn.Conv2d | nn.ConvTranspose2d


class SparseWeights(Stage):
    """Takes the place of a convolution of whose weights `kept` (bool) marks the survivors.

    `values` are the kept weights, flat, in the order of the weight tensor; there are no others. In the state dict
    stands `weight`, with zeros, so that nobody else need know.
    """

    def __init__(self, conv: Conv, kept: Tensor) -> None:
        super().__init__()
        self.kept = kept
        self.values = nn.Parameter(conv.weight.detach()[kept])
        self.bias = conv.bias

    def numbers(self) -> Tensor:
        """Return the index of each weight in `values`; -1 if pruned."""
        numbers = self.kept.new_full(self.kept.shape, -1, dtype=torch.int64)
        numbers[self.kept] = torch.arange(self.values.numel())
        return numbers

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        values = destination.pop(f"{prefix}values")
        destination[f"{prefix}weight"] = values.new_zeros(self.kept.shape).masked_scatter_(self.kept, values)


class SparseConv(SparseWeights):
    """A convolution, transposed or not."""

    def __init__(self, conv: Conv, kept: Tensor) -> None:
        super().__init__(conv, kept)
        self.zeros = int(conv.padding[0])
        numbers = self.numbers()
        if isinstance(conv, nn.ConvTranspose2d):  # which is a convolution of what is padded, its kernel turned round
            self.zeros = conv.kernel_size[0] - 1 - self.zeros
            numbers = numbers.transpose(0, 1).flip(2, 3)
        self.products = SparseMatmul(numbers.numpy(), margin(conv), conv.stride[0])

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        return self.values, self.bias

    def ahead(self, x: Array, values: Array, bias: Array | None) -> tuple[Array, Any]:
        if self.zeros:
            x = np.pad(x, [(0, 0), (0, 0), *[(self.zeros, self.zeros)] * 2])
        return self.products.ahead(x, values, bias)

    def back(self, slope: Array, kept: Any, wanted: bool) -> tuple[Array | None, ...]:
        values_slope = np.empty(self.values.shape, slope.dtype)
        x_slope, bias_slope = self.products.back(slope, kept, values_slope, wanted)
        if wanted and self.zeros:
            inside = slice(self.zeros, -self.zeros)
            x_slope = np.ascontiguousarray(x_slope[..., inside, inside])
        return x_slope, values_slope, None if self.bias is None else bias_slope


class SparseMatmul:
    """The arithmetic of a convolution that has no zeros among its weights.

    `numbers` (outputs, inputs, size, size) says which of a vector of values stands where; -1: none. Its input is padded
    by reflection, by `margin`.
    """

    def __init__(self, numbers: Array, margin: int = 0, stride: int = 1) -> None:
        self.numbers, self.margin, self.stride = numbers, margin, stride
        self.layouts: dict[tuple[int, ...], Layout] = {}

    def ahead(self, x: Array, values: Array, bias: Array | None = None) -> tuple[Array, Any]:
        """The convolution of x, and what `back` needs."""
        images, _, *size = x.shape
        if tuple(size) not in self.layouts:
            self.layouts[tuple(size)] = Layout.of(self.numbers, self.margin, self.stride, *size)
        layout = self.layouts[tuple(size)]
        planes, y = np.empty((images, *layout.planes), x.dtype), np.empty((images, *layout.y), x.dtype)
        kernels.forward(
            x.reshape(images, *layout.x),
            np.zeros(y.shape[1], x.dtype) if bias is None else bias,
            values[layout.order],
            layout.starts,
            layout.places,
            layout.margin,
            layout.stride,
            layout.pitch,
            planes,
            y,
        )
        return y.reshape(images, *layout.output), (planes, values, layout)

    def back(self, slope: Array, kept: Any, values_slope: Array, wanted: bool = True) -> tuple[Any, Array]:
        """The gradients of x, if it is wanted, and of the bias; fills that of the values that stand here."""
        planes, values, layout = kept
        lines, in_order = np.empty((len(slope), *layout.lines), slope.dtype), np.empty(len(layout.order), slope.dtype)
        x_slope, bias_slope = None, np.empty(slope.shape[1], slope.dtype)
        kernels.backward_values(
            slope.reshape(len(slope), *layout.y),
            layout.starts,
            layout.places,
            planes,
            layout.pitch,
            layout.lead,
            lines,
            in_order,
            bias_slope,
        )
        values_slope[layout.order] = in_order
        if wanted:
            x_slope = np.empty((len(slope), *layout.x), slope.dtype)
            kernels.backward_input(
                lines,
                values[layout.back],
                layout.back_starts,
                layout.back_places,
                layout.margin,
                layout.stride,
                layout.pitch,
                x_slope,
            )
            x_slope = x_slope.reshape(len(slope), *layout.input)
        return x_slope, bias_slope


def supports(conv: nn.Module) -> bool:
    """Tell whether a module is a convolution that a SparseConv can take the place of."""
    if type(conv) not in (nn.Conv2d, ReflectConv, nn.ConvTranspose2d):  # what is derived computes something else
        return False
    assert isinstance(conv, Conv)
    if conv.transposed and (conv.stride != (1, 1) or any(conv.output_padding)):
        return False
    square = all(len(set(sides)) == 1 for sides in (conv.kernel_size, conv.stride, conv.padding))
    return square and (conv.groups, conv.dilation) == (1, (1, 1))


def margin(conv: Conv) -> int:
    """By how much a convolution pads its input by reflection."""
    return conv.kernel_size[0] // 2 if isinstance(conv, ReflectConv) else 0


@dataclass(frozen=True)
class Layout:
    """The non-zeros of a layer as the kernels want them (see there), for inputs of one size."""

    margin: int
    stride: int
    pitch: int
    lead: int
    input: tuple[int, int, int]
    """Shape of one image's input; so of its output, and of what stands for them, planes and lines in the kernels."""
    output: tuple[int, int, int]
    x: tuple[int, int, int]
    y: tuple[int, int, int]
    planes: tuple[int, int]
    lines: tuple[int, int]
    order: np.ndarray
    """The numbers of the non-zeros in the order of their targets."""
    starts: np.ndarray
    places: np.ndarray
    back: np.ndarray
    """The same in the order of the planes that they read, for the way back, with their own `starts` and `places`."""
    back_starts: np.ndarray
    back_places: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray, margin: int, stride: int, height: int, width: int) -> Layout:
        outputs, inputs, size, _ = numbers.shape
        rows, columns = ((side + 2 * margin - size) // stride + 1 for side in (height, width))
        input, output = (inputs, height, width), (outputs, rows, columns)
        if size == stride == 1:  # where rows end does not matter then: fewer and longer ones take less time
            joined = max(n for n in range(1, height + 1) if height % n == 0 and (n == 1 or n * width <= kernels.BAND))
            height, width = rows, columns = height // joined, width * joined
        plane_rows, pitch = (-(-(side + 2 * margin) // stride) for side in (height, width))
        lead = (size - 1) // stride * (pitch + 1)  # the furthest shift
        planes = (inputs * stride**2, _odd(plane_rows * pitch + lead))
        lines = (outputs, _odd(lead + plane_rows * pitch))
        target, channel, v, u = (numbers >= 0).nonzero()
        order = numbers[numbers >= 0]
        plane = (channel * stride + v % stride) * stride + u % stride
        shift = v // stride * pitch + u // stride
        back = np.argsort(plane, kind="stable")
        return cls(
            margin=margin,
            stride=stride,
            pitch=pitch,
            lead=lead,
            input=input,
            output=output,
            x=(inputs, height, width),
            y=(outputs, rows, columns),
            planes=planes,
            lines=lines,
            order=order,
            starts=np.searchsorted(target, np.arange(outputs + 1)),
            places=plane * planes[1] + shift,
            back=order[back],
            back_starts=np.searchsorted(plane[back], np.arange(planes[0] + 1)),
            back_places=(target * lines[1] + lead - shift)[back],
        )


def _odd(numbers: int) -> int:
    """An odd number of cache lines with room for them: rows an even number apart would compete for the same places."""
    return (-(-numbers // CACHE_LINE) | 1) * CACHE_LINE
