"""Backtracking: undo steps after which the loss has risen, by our rule or the released ones."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lip.specs.schedule import Schedule


class Backtracking:
    """Undo a step after which the loss has risen by more than `limit` dB, and skip its update.

    A rise is accepted in the first `grace` steps of a fit and after a step undone. A fresh Adam moves every weight by
    the learning rate whatever its gradient, which costs trained weights more than 5 dB. If that step were undone, the
    next update would be as large and undone too, and the weights would never change. So at most one step in `grace` + 1
    is undone. A loss that is not finite is undone at once, because training cannot recover from it.
    """

    skips_update: ClassVar[bool] = True
    """Whether the optimiser skips the update of a step undone."""

    def __init__(self, theta: Tensor, limit: float, grace: int = 0) -> None:
        self.ratio = 10 ** (limit / 10)
        self.grace = grace
        self.theta = theta.detach()
        self.accepted_theta = self.theta.clone()
        self.accepted_loss = torch.full((), torch.inf, device=theta.device)
        self.count = torch.zeros((), dtype=torch.int64, device=theta.device)
        self.since = torch.zeros_like(self.count)

    def check(self, loss: Tensor) -> Tensor:
        """Check the loss at the present weights, and return whether they were undone, as a tensor."""
        risen = (loss > self.accepted_loss * self.ratio) & (self.since >= self.grace)
        undone = risen | ~loss.isfinite()
        torch.where(undone, self.accepted_theta, self.theta, out=self.theta)
        self.accepted_theta.copy_(self.theta)
        self.accepted_loss.copy_(torch.where(undone, self.accepted_loss, loss))
        self.count += undone
        self.since.copy_(torch.where(undone, 0, self.since + 1))
        return undone


class ReleasedBacktracking(Backtracking):
    """The released rule: compare with the step before, and apply the update even if it is undone.

    Every hundredth step is exempt. With `hundredths`, as released for inpainting, only every hundredth is compared,
    with the hundredth before. Steps undone do not count.
    """

    skips_update = False

    def __init__(self, theta: Tensor, limit: float, hundredths: bool = False) -> None:
        super().__init__(theta, limit)
        self.hundredths = hundredths
        self.accepted_loss.fill_(1.0)

    def check(self, loss: Tensor) -> Tensor:
        compares = (self.since % 100 == 0) == self.hundredths
        undone = compares & (loss > self.accepted_loss * self.ratio)
        self.theta.copy_(torch.where(undone, self.accepted_theta, self.theta))
        accepted = compares & ~undone
        self.accepted_theta.copy_(torch.where(accepted, self.theta, self.accepted_theta))
        self.accepted_loss.copy_(torch.where(accepted, loss, self.accepted_loss))
        self.count += undone
        self.since += ~undone
        return undone


def backtracking_of(schedule: Schedule, theta: Tensor) -> Backtracking | None:
    """Return the rule of a schedule; None if it never undoes a step."""
    if schedule.backtrack is None:
        return None
    if schedule.backtrack_rule == "exact":
        return Backtracking(theta, schedule.backtrack, schedule.grace)
    return ReleasedBacktracking(theta, schedule.backtrack, hundredths=schedule.backtrack_rule == "hundredths")
