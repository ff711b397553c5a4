"""Cells of NAS-DIP's search space (arXiv 2008.11713), by number. Needs no torch."""

from __future__ import annotations

from typing import NamedTuple

CELLS = 324
RESIZES = ("bilinear", "bicubic", "nearest", "shuffle", "late shuffle")
CONVS = ("conv", "transposed", "stacked", "separable", "depthwise", "identity")
KERNELS = (1, 3, 5, 7)
ACTIVATIONS = ("none", "relu", "leaky")


class Cell(NamedTuple):
    """Upsample a map: resize and convolve, each followed by the activation."""

    resize: str
    """One of RESIZES, or `strided`: a transposed convolution of stride 2. A late shuffle follows the convolution."""
    conv: str
    """One of CONVS, of stride 1. Stacked: of the sum of four groups of channels; separable: depthwise, then 1x1."""
    kernel: int
    """Side of the convolution in pixels."""
    activation: str
    """One of ACTIVATIONS."""

    @property
    def can_be_built(self) -> bool:
        """Tell whether the channels fit: after shuffling, only convolutions that mix channels restore them."""
        return "shuffle" not in self.resize or self.conv not in ("depthwise", "identity")


def cell(number: int) -> Cell:
    """Return the cell of a number from 0 to 323, as the released code counts them.

    63 for each resize, of which 12 (4 kernels by 3 activations) for each convolution and 3 without one; with the late
    shuffle there are 12 strided convolutions instead of these.
    """
    resize = min(number // 63, 4)
    conv, rest = divmod(number - 63 * resize, 12)
    kernel, activation = divmod(rest, 3)
    strided = RESIZES[resize] == "late shuffle" and CONVS[conv] == "identity"
    return Cell("strided" if strided else RESIZES[resize], CONVS[conv], KERNELS[kernel], ACTIVATIONS[activation])


BUILDABLE = tuple(number for number in range(CELLS) if cell(number).can_be_built)
"""297 of the 324."""
