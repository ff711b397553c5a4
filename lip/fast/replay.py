"""Replay a tape: a network as two lists of calls, one node of PyTorch's graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from lip.fast.functions import FUNCTIONS
from lip.fast.tape import Array, Recording, Tape


class TapedNetwork:
    """Compute a network's output by replaying a tape.

    The input always has the shape of `code`, and no gradient. Those of the parameters are written to their `grad`,
    which each must have, and replace what was there.
    """

    def __init__(self, net: nn.Module, code: Tensor) -> None:
        tape, self.x = Tape(), code.numpy().copy()
        buffers = [buffer.clone() for buffer in net.buffers()]
        grads: dict[Tensor, Array] = {p: p.grad.numpy() for p in net.parameters() if p.grad is not None}
        with torch.no_grad():
            recording = Recording(tape, grads, FUNCTIONS)
            output = net(recording.traced(self.x, needs_grad=False))
            self.output, self.output_grad = output.value.array, np.zeros_like(output.value.array)
            self.forward, tape.calls = tape.calls, []
            recording.backward(output.value, self.output_grad)
            self.backward, self.bytes = tape.calls, tape.bytes
            for buffer, before in zip(net.buffers(), buffers, strict=True):
                buffer.copy_(before)
        self.anchor = torch.zeros((), requires_grad=True)  # an input with a gradient, or PyTorch would not ask for one

    def __call__(self, x: Tensor) -> Tensor:
        return _Replay.apply(self, x, self.anchor)


class _Replay(Function):
    @staticmethod
    def forward(ctx: Any, taped: TapedNetwork, x: Tensor, anchor: Tensor) -> Tensor:
        ctx.taped = taped
        np.copyto(taped.x, x.numpy())
        for function, arguments in taped.forward:
            function(*arguments)
        return torch.from_numpy(taped.output.copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        np.copyto(ctx.taped.output_grad, grad.numpy())
        for function, arguments in ctx.taped.backward:
            function(*arguments)
        return None, None, None
