"""Functions of PyTorch between the modules of a network, with gradients that need no graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lip.fast.stages import Stage
from lip.fast.tape import Array, Tape


class Sigmoid(Stage):
    """Replace the sigmoid."""

    def forward_np(self, tape: Tape, x: Array) -> tuple[Array, Array]:
        y = tape.empty(x.shape, x.dtype)
        tape.call(_sigmoid, torch.from_numpy(x), torch.from_numpy(y))
        return y, y

    def backward_np(self, tape: Tape, grad: Array, saved: Array, needs_x_grad: bool) -> tuple[Array]:
        x_grad = tape.empty(grad.shape, grad.dtype)
        tape.call(_sigmoid_backward, *(torch.from_numpy(array) for array in (grad, saved, x_grad)))
        return (x_grad,)


class Concatenate(Stage):
    """Replace the concatenation of channels."""

    def forward_np(self, tape: Tape, *maps: Array) -> tuple[Array, list[int]]:
        images, _, height, width = maps[0].shape
        channels = [len(x[0]) for x in maps]
        y = tape.empty((images, sum(channels), height, width), maps[0].dtype)
        tape.call(np.concatenate, maps, 1, y)
        return y, channels

    def backward_np(self, tape: Tape, grad: Array, saved: list[int], needs_x_grad: bool) -> tuple[Array, ...]:
        parts = np.split(grad, np.cumsum(saved)[:-1], axis=1)
        x_grads = tuple(tape.empty(part.shape, grad.dtype) for part in parts)
        for x_grad, part in zip(x_grads, parts, strict=True):
            tape.call(np.copyto, x_grad, part)
        return x_grads


def _sigmoid(x: Tensor, y: Tensor) -> None:
    torch.sigmoid(x, out=y)


def _sigmoid_backward(grad: Tensor, y: Tensor, x_grad: Tensor) -> None:
    torch.ops.aten.sigmoid_backward.grad_input(grad, y, grad_input=x_grad)


FUNCTIONS: dict[Any, Stage] = {torch.sigmoid: Sigmoid(), torch.cat: Concatenate()}
"""Stages for these functions; those of the networks concatenate channels only."""
