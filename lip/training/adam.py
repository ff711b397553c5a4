"""Adam without PyTorch's compiler."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS = 0.9, 0.999
EPSILON = 1e-8


class Adam:
    """Adam on one tensor and its `grad`, bit for bit as the fused `torch.optim.Adam`.

    To make one of those loads PyTorch's compiler, which takes every process that trains more than a second.
    """

    def __init__(self, theta: Tensor, lr: float, decay: float) -> None:
        self.theta, self.lr, self.decay = theta, lr, decay
        self._mean, self._square = torch.zeros_like(theta.data), torch.zeros_like(theta.data)
        self._step = torch.zeros((), dtype=torch.float32, device=theta.device)

    @torch.no_grad()
    def step(self, undone: Tensor | None = None) -> None:
        """Update theta, unless `undone` (a boolean on the device, which is not waited for) is true."""
        assert self.theta.grad is not None
        skipped = None if undone is None else undone.float()
        self._step += 1
        torch._fused_adam_(
            [self.theta.data],
            [self.theta.grad],
            [self._mean],
            [self._square],
            [],
            [self._step],
            amsgrad=False,
            lr=self.lr,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self.decay,
            eps=EPSILON,
            maximize=False,
            grad_scale=None,
            found_inf=skipped,  # what automatic mixed precision skips a step by
        )
        if skipped is not None:
            self._step -= skipped
