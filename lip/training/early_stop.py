"""Reference-free early stopping by the variance of the outputs: ES-WMV and ES-EMV (arXiv 2112.06074).

Both report the output at the smallest variance, and stop searching when nothing smaller comes for `patience` steps. If
patience never runs out, they report the smallest variance of the whole fit.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

WINDOW, PATIENCE = 100, 1000
"""As published, in steps: the outputs in a variance, and how long a minimum must last."""


class Best:
    """The images with the smallest value so far, chosen without waiting for the device."""

    def __init__(self, *images: Tensor) -> None:
        self.value = torch.full((), torch.inf, dtype=torch.float64, device=images[0].device)
        self.step = torch.zeros((), dtype=torch.int64, device=images[0].device)
        self.images = images

    def update(self, value: Tensor, step: int, *images: Tensor, allowed: Tensor | bool = True) -> Tensor:
        """Keep these images if their value is smaller, and return whether it is, as a tensor; NaN never is."""
        better = (value < self.value) & allowed
        self.value = torch.where(better, value.double(), self.value)
        self.step = torch.where(better, step, self.step)
        self.images = tuple(torch.where(better, new, old) for new, old in zip(images, self.images, strict=True))
        return better

    def or_else(self, step: int, *images: Tensor) -> tuple[int, tuple[Tensor, ...]]:
        """Return the best step and its images, or these if there is none. Waits for the device."""
        best = int(self.step)
        return (best, self.images) if best else (step, images)


class PatientMinimum:
    """The first minimum of the variance that lasts for `patience` steps.

    `best.step` counts from 1 and is 0 before the first variance; `found` tells if patience ran out. By default the
    window is the published one or, if that is less, half the schedule; patience the published one or a third. A shorter
    window mistakes the grey outputs of Adam's first steps for a minimum: in 18 fits of 200 steps (32 pixels), a window
    of 20 stopped up to 5.8 dB below the peak, one of 100 at most 0.8.
    """

    def __init__(self, steps: int, window: int | None, patience: int | None, *images: Tensor) -> None:
        self.window = window or max(2, min(WINDOW, steps // 2))
        self.patience = patience or max(1, min(PATIENCE, steps // 3))
        self.best = Best(*images)
        self.waited = torch.zeros((), dtype=torch.int64, device=images[0].device)
        self.found = torch.zeros((), dtype=torch.bool, device=images[0].device)

    def update(self, variance: Tensor, step: int, *images: Tensor) -> None:
        """Record the variance at a step and its images."""
        better = self.best.update(variance, step, *images, allowed=~self.found)
        self.waited = torch.where(better, 0, self.waited + 1)
        self.found |= (self.waited >= self.patience) & (self.best.step > 0)


class MovingVariance(PatientMinimum):
    """ES-WMV: the variance of the last `window` outputs.

    They are all stored, as in the published code: 100 of 3 x 512 x 512 values are 300 MiB. Their sums do not drift:
    in float64, adding and subtracting float32 values between 0 and 1 is exact except for the smallest.
    """

    def __init__(self, steps: int, output: Tensor, window: int | None = None, patience: int | None = None) -> None:
        super().__init__(steps, window, patience, output, output)
        self.frames: deque[Tensor] = deque()
        self.sum = torch.zeros_like(output, dtype=torch.float64)
        self.squares = torch.zeros(min(self.window, steps), dtype=torch.float64, device=output.device)

    def record(self, step: int, output: Tensor, smoothed: Tensor) -> None:
        """Record the output of a step (counted from 1) and its moving average."""
        self.squares[(step - 1) % self.window] = output.double().square().mean()
        frame = output.nan_to_num(0, 0, 0)  # a NaN would stay in the sum for ever; in the squares it stays for a window
        self.frames.append(frame)
        self.sum += frame
        if step > self.window:
            self.sum -= self.frames.popleft()
        if step >= self.window:
            variance = self.squares.mean() - (self.sum / self.window).square().mean()
            self.update(variance, step, output, smoothed)


class ExponentialVariance(PatientMinimum):
    """ES-EMV: the exponentially weighted variance of the outputs around their own average.

    The result is that average. As published, the variance counts from step 102 on, two after a window.
    """

    WEIGHT = 0.1

    def __init__(self, steps: int, output: Tensor, window: int | None = None, patience: int | None = None) -> None:
        super().__init__(steps, window, patience, output)
        self.average = output.clone()
        self.variance = torch.zeros((), dtype=torch.float64, device=output.device)

    def record(self, step: int, output: Tensor) -> None:
        """Record the output of a step, counted from 1."""
        moved = output - self.average
        self.average = torch.add(self.average, moved, alpha=self.WEIGHT).clamp_(0, 1)
        spread = moved.square().mean(dtype=torch.float64)
        self.variance = (1 - self.WEIGHT) * (self.variance + self.WEIGHT * spread)
        if step >= self.window + 2:
            self.update(self.variance, step, self.average)
