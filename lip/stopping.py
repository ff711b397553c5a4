"""Reference-free early stopping of a fit by the variance of its outputs: ES-WMV and ES-EMV (arXiv 2112.06074)."""

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


class LastingMinimum:
    """The first minimum of a variance that nothing undercuts for a fifth of the schedule (as 1000 of 5000 published).

    Adam takes its first hundred steps at the same pace whatever the schedule, and the still grey outputs before them
    would look like a minimum, so none is looked for earlier.
    """

    def __init__(self, steps: int, *images: Tensor) -> None:
        self.patience = steps / 5
        self.first = min(100, self.patience)
        self.best = Best(*images)
        self.waited = torch.zeros((), dtype=torch.int64, device=images[0].device)
        self.found = torch.zeros((), dtype=torch.bool, device=images[0].device)

    def offer(self, variance: Tensor, step: int, elapsed: int, *images: Tensor) -> None:
        """Take the variance at a step, so many steps after the one before, and the images that go with it."""
        better = self.best.offer(variance, step, *images, allowed=~self.found)
        self.waited = torch.where(better, 0, self.waited + elapsed)
        self.found |= (self.waited >= self.patience) & self.best.value.isfinite()


class MovingVariance(LastingMinimum):
    """ES-WMV: the variance of the last W outputs. The published W = 100 of 5000 steps is scaled with the schedule.

    The variance is exact but taken every W/10 steps, so that ten partial sums stand for W frames.
    """

    def __init__(self, steps: int, output: Tensor) -> None:
        super().__init__(steps, output, output)
        self.block = max(1, round(steps / (50 * BLOCKS)))
        self.window = BLOCKS * self.block
        self.first = max(self.window, self.first)
        self.origin = output.clone()  # outputs are summed relative to the first, to keep their small variance exact
        self.sums = torch.zeros(BLOCKS, *output.shape, device=output.device)
        self.squares = torch.zeros(BLOCKS, dtype=torch.float64, device=output.device)

    def see(self, step: int, output: Tensor, smoothed: Tensor) -> None:
        """Take the output of a step (counted from 1) and the moving average that goes with it."""
        slot = (step - 1) // self.block % BLOCKS
        if (step - 1) % self.block == 0:
            self.sums[slot].zero_()
            self.squares[slot].zero_()
        moved = output - self.origin
        self.sums[slot] += moved
        self.squares[slot] += moved.square().mean(dtype=torch.float64)
        if step % self.block == 0 and step >= self.first:
            variance = self.squares.sum() / self.window - (self.sums.sum(0) / self.window).square().mean(
                dtype=torch.float64
            )
            self.offer(variance, step, self.block, output, smoothed)


class ExponentialVariance(LastingMinimum):
    """ES-EMV: an exponentially weighted variance of the outputs around an average of their own, which is the result."""

    WEIGHT = 0.1

    def __init__(self, steps: int, output: Tensor) -> None:
        super().__init__(steps, output)
        self.average = output.clone()
        self.variance = torch.zeros((), dtype=torch.float64, device=output.device)

    def see(self, step: int, output: Tensor) -> None:
        """Take the output of a step, counted from 1."""
        moved = output - self.average
        self.average = torch.add(self.average, moved, alpha=self.WEIGHT).clamp_(0, 1)
        spread = moved.square().mean(dtype=torch.float64)
        self.variance = (1 - self.WEIGHT) * (self.variance + self.WEIGHT * spread)
        if step > self.first:
            self.offer(self.variance, step, 1, self.average)
