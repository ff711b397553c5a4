"""Reference-free early stopping of a fit by the variance of its outputs: ES-WMV and ES-EMV (arXiv 2112.06074).

Both report the output at the smallest variance so far, and look no further once that has stood for the patience. So
there is a report also where patience never runs out: the smallest variance of the whole fit.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

WINDOW, PATIENCE = 100, 1000
"""As published, counted in steps: the outputs a variance is taken of, and how long a minimum has to stand."""


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

    def or_else(self, step: int, *images: Tensor) -> tuple[int, tuple[Tensor, ...]]:
        """The step and its images, or these where nothing was ever taken. Waits for the device."""
        best = int(self.step)
        return (best, self.images) if best else (step, images)


class PatientMinimum:
    """The smallest variance before the first that nothing undercuts for `patience` steps.

    `best.step` counts from 1 and is 0 while there was no variance; `found` says if patience ran out. By default
    the window is the published one or, if that is less, half the schedule; patience the published one or a third. A
    shorter window takes the grey outputs of Adam's first steps for a minimum: in 18 fits of 200 steps (32 pixels), one
    of 20 stopped up to 5.8 dB below the peak, one of 100 at most 0.8.
    """

    def __init__(self, steps: int, window: int | None, patience: int | None, *images: Tensor) -> None:
        self.window = window or max(2, min(WINDOW, steps // 2))
        self.patience = patience or max(1, min(PATIENCE, steps // 3))
        self.best = Best(*images)
        self.waited = torch.zeros((), dtype=torch.int64, device=images[0].device)
        self.found = torch.zeros((), dtype=torch.bool, device=images[0].device)

    def offer(self, variance: Tensor, step: int, *images: Tensor) -> None:
        """Take the variance at a step and the images that go with it."""
        better = self.best.offer(variance, step, *images, allowed=~self.found)
        self.waited = torch.where(better, 0, self.waited + 1)
        self.found |= (self.waited >= self.patience) & (self.best.step > 0)


class MovingVariance(PatientMinimum):
    """ES-WMV: the variance of the last `window` outputs, at every step that has as many.

    It keeps them, as the published code does: 100 of 3 x 512 x 512 values are 300 MiB. Their sums are float64, in which
    adding and subtracting float32 values between 0 and 1 is exact but for the smallest: they do not drift.
    """

    def __init__(self, steps: int, output: Tensor, window: int | None = None, patience: int | None = None) -> None:
        super().__init__(steps, window, patience, output, output)
        self.frames: deque[Tensor] = deque()
        self.sum = torch.zeros_like(output, dtype=torch.float64)
        self.squares = torch.zeros(min(self.window, steps), dtype=torch.float64, device=output.device)

    def see(self, step: int, output: Tensor, smoothed: Tensor) -> None:
        """Take the output of a step (counted from 1) and the moving average that goes with it."""
        self.squares[(step - 1) % self.window] = output.double().square().mean()
        frame = output.nan_to_num(0, 0, 0)  # else the sum never got over a NaN; the squares do, a window later
        self.frames.append(frame)
        self.sum += frame
        if step > self.window:
            self.sum -= self.frames.popleft()
        if step >= self.window:
            variance = self.squares.mean() - (self.sum / self.window).square().mean()
            self.offer(variance, step, output, smoothed)


class ExponentialVariance(PatientMinimum):
    """ES-EMV: an exponentially weighted variance of the outputs around an average of their own, which is the result.

    As published it is looked at from step 102 on, two after a window.
    """

    WEIGHT = 0.1

    def __init__(self, steps: int, output: Tensor, window: int | None = None, patience: int | None = None) -> None:
        super().__init__(steps, window, patience, output)
        self.average = output.clone()
        self.variance = torch.zeros((), dtype=torch.float64, device=output.device)

    def see(self, step: int, output: Tensor) -> None:
        """Take the output of a step, counted from 1."""
        moved = output - self.average
        self.average = torch.add(self.average, moved, alpha=self.WEIGHT).clamp_(0, 1)
        spread = moved.square().mean(dtype=torch.float64)
        self.variance = (1 - self.WEIGHT) * (self.variance + self.WEIGHT * spread)
        if step >= self.window + 2:
            self.offer(self.variance, step, self.average)
