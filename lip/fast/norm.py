"""Batch normalisation with the leaky ReLU that follows it, in two passes over memory instead of five."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lip.fast.chain import Stage
from lip.fast.kernels import compiled

Kept = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class LeakyNorm(Stage, nn.BatchNorm2d):
    """Takes the place of a batch norm in training, and of a leaky ReLU of slope `leak` behind it; 1 for none."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: nn.BatchNorm2d, leak: float) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.leak = leak

    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def ahead(self, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Kept]:
        self.num_batches_tracked.add_(1)
        x = x.contiguous()
        y, mean, scale = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        pixels = x.numpy()
        number = pixels.dtype.type
        forward(
            pixels,
            weight.numpy(),
            bias.numpy(),
            number(self.leak),
            number(self.eps),
            number(self.momentum),
            self.running_mean.numpy(),
            self.running_var.numpy(),
            mean.numpy(),
            scale.numpy(),
            y.numpy(),
        )
        return y, (x, weight, bias, mean, scale)

    def back(self, slope: Tensor, kept: Kept, wanted: bool) -> tuple[Tensor, ...]:
        x, weight, bias, mean, scale = kept
        x_slope, weight_slope, bias_slope = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
        pixels = x.numpy()
        backward(
            slope.numpy(),
            pixels,
            weight.numpy(),
            bias.numpy(),
            pixels.dtype.type(self.leak),
            mean.numpy(),
            scale.numpy(),
            x_slope.numpy(),
            weight_slope.numpy(),
            bias_slope.numpy(),
        )
        return x_slope, weight_slope, bias_slope


@compiled
def forward(x, weight, bias, leak, eps, momentum, running_mean, running_variance, mean, scale, y):
    """Fill y, mean and scale, the inverse of the standard deviation, and move the running statistics."""
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
        slope, offset = weight[c] * scale[c], bias[c] - middle * weight[c] * scale[c]
        for n in range(images):
            line, out = x[n, c].ravel(), y[n, c].ravel()
            for i in range(pixels):
                z = slope * line[i] + offset
                out[i] = z if z > 0 else leak * z


@compiled
def backward(y_slope, x, weight, bias, leak, mean, scale, x_slope, weight_slope, bias_slope):
    """Fill the gradients of x, weight and bias from that of y."""
    images, channels, height, width = x.shape
    pixels = height * width
    number = x.dtype.type
    count = number(images * pixels)
    for c in range(channels):
        middle, factor = mean[c], weight[c] * scale[c]
        offset = bias[c] - middle * factor
        total, along = number(0), number(0)
        for n in range(images):
            line, given, out = x[n, c].ravel(), y_slope[n, c].ravel(), x_slope[n, c].ravel()
            for i in range(pixels):
                g = given[i] if factor * line[i] + offset > 0 else leak * given[i]
                out[i] = g
                total += g
                along += g * (line[i] - middle)
        bias_slope[c], weight_slope[c] = total, along * scale[c]
        total, along = total / count, along * scale[c] ** 2 / count
        for n in range(images):
            line, out = x[n, c].ravel(), x_slope[n, c].ravel()
            for i in range(pixels):
                out[i] = factor * (out[i] - total - along * (line[i] - middle))
