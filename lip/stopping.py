"""Reference-free early stopping of a fit: the windowed moving variance of its outputs, ES-WMV (arXiv 2112.06074)."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCKS = 10


class Best:
    """The images that came with the smallest value so far, chosen without waiting for the device."""

    def __init__(self, *images: Tensor) -> None:
        self.value = torch.full((), torch.inf, dtype=torch.float64, device=images[0].device)
        self.step = torch.zeros((), dtype=torch.int64, device=images[0].device)
        self.images = images

    def offer(self, value: Tensor, step: int, *images: Tensor, allowed: Tensor | bool = True) -> Tensor:
        """Keep these images if their value is smaller; returns whether it was, as a tensor. NaN never is."""
        better = (value < self.value) & allowed
        self.value = torch.where(better, value.double(), self.value)
        self.step = torch.where(better, step, self.step)
        self.images = tuple(torch.where(better, new, old) for new, old in zip(images, self.images, strict=True))
        return better


class MovingVariance:
    """Stops where the variance of the last W outputs has its first lasting minimum.

    The published W = 100 and patience 1000 of 5000 steps are scaled with the schedule: W = steps/50, patience
    steps/5. Adam takes its first hundred steps at the same pace whatever the schedule, and a short window would see
    the still grey outputs before them as a minimum, so none is looked for earlier than W = 100 would have done.
    The variance is exact but taken every W/10 steps, so that ten partial sums stand for W frames.
    """

    def __init__(self, steps: int, output: Tensor) -> None:
        self.block = max(1, round(steps / (50 * BLOCKS)))
        self.window = BLOCKS * self.block
        self.patience = steps / 5
        self.first = max(self.window, min(100, self.patience))
        self.origin = output.clone()  # outputs are summed relative to the first, to keep their small variance exact
        self.sums = torch.zeros(BLOCKS, *output.shape, device=output.device)
        self.squares = torch.zeros(BLOCKS, dtype=torch.float64, device=output.device)
        self.best = Best(output, output)
        self.waited = torch.zeros((), dtype=torch.int64, device=output.device)
        self.found = torch.zeros((), dtype=torch.bool, device=output.device)

    def see(self, step: int, output: Tensor, smoothed: Tensor) -> None:
        """Take the output of a step (counted from 1) and the moving average that goes with it."""
        slot = (step - 1) // self.block % BLOCKS
        if (step - 1) % self.block == 0:
            self.sums[slot] = 0
            self.squares[slot] = 0
        moved = output - self.origin
        self.sums[slot] += moved
        self.squares[slot] += moved.square().mean(dtype=torch.float64)
        if step % self.block == 0 and step >= self.first:
            variance = self.squares.sum() / self.window - (self.sums.sum(0) / self.window).square().mean(
                dtype=torch.float64
            )
            better = self.best.offer(variance, step, output, smoothed, allowed=~self.found)
            self.waited = torch.where(better, 0, self.waited + self.block)
            self.found |= self.waited >= self.patience
