"""Normalise a batch and apply the leaky ReLU that follows, in two passes over memory instead of five."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from lip.fast.compilation import ARRAY4, NUMBER, VECTOR, compiled
from lip.fast.stages import Stage
from lip.fast.tape import Array, Tape

Saved = tuple[Array, Array, Array, Array, Array]


class LeakyNorm(Stage, nn.BatchNorm2d):
    """Replace a batch norm in training and the leaky ReLU of slope `leak` behind it (1: none)."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: nn.BatchNorm2d, leak: float) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.leak = leak

    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def forward_np(self, tape: Tape, x: Array, weight: Array, bias: Array) -> tuple[Array, Saved]:
        y, mean, scale = (tape.empty(array.shape, x.dtype) for array in (x, weight, weight))
        number = x.dtype.type
        leak, eps, momentum = number(self.leak), number(self.eps), number(self.momentum)
        running = self.running_mean.numpy(), self.running_var.numpy()
        count = self.num_batches_tracked.numpy()
        tape.call(np.add, count, 1, count)
        tape.call(forward, x, y, weight, bias, leak, eps, momentum, *running, mean, scale)
        return y, (x, weight, bias, mean, scale)

    def backward_np(self, tape: Tape, grad: Array, saved: Saved, needs_x_grad: bool) -> tuple[Array, ...]:
        x, weight, bias, mean, scale = saved
        grads = tuple(tape.empty(array.shape, x.dtype) for array in (x, mean, mean))
        tape.call(backward, grad, x, weight, bias, x.dtype.type(self.leak), mean, scale, *grads)
        return grads


@compiled(ARRAY4, ARRAY4, VECTOR, VECTOR, NUMBER, NUMBER, NUMBER, VECTOR, VECTOR, VECTOR, VECTOR)
def forward(x, y, weight, bias, leak, eps, momentum, running_mean, running_variance, mean, scale):
    """Fill y, mean and scale (1 / standard deviation) and update the running statistics."""
    images, channels, height, width = x.shape
    pixels = height * width
    number = x.dtype.type
    count = number(images * pixels)
    for c in range(channels):
        total = number(0)
        for n in range(images):
            line = x[n, c].ravel()
            for i in range(pixels):
                total += line[i]
        mean[c] = middle = total / count
        total = number(0)
        for n in range(images):
            line = x[n, c].ravel()
            for i in range(pixels):
                total += (line[i] - middle) ** 2
        scale[c] = 1 / np.sqrt(total / count + eps)
        running_mean[c] += momentum * (middle - running_mean[c])
        running_variance[c] += momentum * (total / (count - 1) - running_variance[c])
        factor, offset = weight[c] * scale[c], bias[c] - middle * weight[c] * scale[c]
        for n in range(images):
            line, out = x[n, c].ravel(), y[n, c].ravel()
            for i in range(pixels):
                z = factor * line[i] + offset
                out[i] = z if z > 0 else leak * z


@compiled(ARRAY4, ARRAY4, VECTOR, VECTOR, NUMBER, VECTOR, VECTOR, ARRAY4, VECTOR, VECTOR)
def backward(grad, x, weight, bias, leak, mean, scale, x_grad, weight_grad, bias_grad):
    """Fill the gradients of x, weight and bias from `grad`, that of y."""
    images, channels, height, width = x.shape
    pixels = height * width
    number = x.dtype.type
    count = number(images * pixels)
    for c in range(channels):
        middle, factor = mean[c], weight[c] * scale[c]
        offset = bias[c] - middle * factor
        total, along = number(0), number(0)
        for n in range(images):
            line, given, out = x[n, c].ravel(), grad[n, c].ravel(), x_grad[n, c].ravel()
            for i in range(pixels):
                g = given[i] if factor * line[i] + offset > 0 else leak * given[i]
                out[i] = g
                total += g
                along += g * (line[i] - middle)
        bias_grad[c], weight_grad[c] = total, along * scale[c]
        total, along = total / count, along * scale[c] ** 2 / count
        for n in range(images):
            line, out = x[n, c].ravel(), x_grad[n, c].ravel()
            for i in range(pixels):
                out[i] = factor * (out[i] - total - along * (line[i] - middle))
