"""Upsample a map by two with bilinear interpolation, rows first and then columns."""

from __future__ import annotations

from torch import nn

from lip.fast.compilation import ARRAY3, compiled
from lip.fast.stages import Stage
from lip.fast.tape import Array, Tape


class Upsample2x(Stage):
    """Replace a bilinear upsampling by two without aligned corners."""

    def forward_np(self, tape: Tape, x: Array) -> tuple[Array, None]:
        images, channels, height, width = x.shape
        y = tape.empty((images, channels, 2 * height, 2 * width), x.dtype)
        tape.call(forward, x.reshape(-1, height, width), y.reshape(-1, 2 * height, 2 * width))
        return y, None

    def backward_np(self, tape: Tape, grad: Array, saved: None, needs_x_grad: bool) -> tuple[Array]:
        images, channels, height, width = grad.shape
        x_grad = tape.empty((images, channels, height // 2, width // 2), grad.dtype)
        tape.call(backward, grad.reshape(-1, height, width), x_grad.reshape(-1, height // 2, width // 2))
        return (x_grad,)


def is_bilinear_x2(module: nn.Module) -> bool:
    """Tell whether Upsample2x can replace a module."""
    return (
        isinstance(module, nn.Upsample)
        and (module.mode, module.align_corners) == ("bilinear", False)
        and module.scale_factor in (2.0, (2.0, 2.0))
    )


@compiled(ARRAY3, ARRAY3)
def forward(x, y):
    """Fill y (maps, 2 height, 2 width) from x (maps, height, width).

    An output pixel is three quarters of the nearest input pixel and a quarter of the next nearest. At the border both
    are the same pixel.
    """
    maps, height, width = x.shape
    near, far = x.dtype.type(0.75), x.dtype.type(0.25)
    line = x[0, 0].copy()
    for m in range(maps):
        for row in range(2 * height):
            above, below = x[m, row // 2], x[m, min(max(row // 2 + row % 2 * 2 - 1, 0), height - 1)]
            for q in range(width):
                line[q] = near * above[q] + far * below[q]
            out = y[m, row]
            for q in range(width - 1):
                out[2 * q + 1] = near * line[q] + far * line[q + 1]
                out[2 * q + 2] = near * line[q + 1] + far * line[q]
            out[0], out[2 * width - 1] = line[0], line[width - 1]


@compiled(ARRAY3, ARRAY3)
def backward(y, x):
    """Fill x with the adjoint of `forward` applied to y, the gradient of the output."""
    maps, height, width = x.shape
    near, far = x.dtype.type(0.75), x.dtype.type(0.25)
    line = x[0, 0].copy()
    for m in range(maps):
        x[m] = 0
        for row in range(2 * height):
            given = y[m, row]
            for q in range(1, width - 1):
                line[q] = near * (given[2 * q] + given[2 * q + 1]) + far * (given[2 * q - 1] + given[2 * q + 2])
            last = 2 * width - 1
            line[width - 1] = near * given[last - 1] + given[last] + far * given[last - 2]
            line[0] = given[0] + near * given[1] + far * given[2]
            above, below = x[m, row // 2], x[m, min(max(row // 2 + row % 2 * 2 - 1, 0), height - 1)]
            for q in range(width):
                above[q] += near * line[q]
                below[q] += far * line[q]
