"""Apply the batch norm of an upsampled map to the map before it is upsampled.

A norm multiplies each channel by one number and adds another. Upsampling is a weighted mean, so the norm may as well
come first. The mean of the upsampled map is that of the small one; its sum of squares is |U x|² = x · UᵀU x, where U
upsamples.
"""

from __future__ import annotations

import numpy as np

from lip.fast.compilation import ARRAY4, NUMBER, VECTOR, compiled, inlined


@inlined
def gram_product(x, across, y, width):
    """Fill y with UᵀU x for one flat map x: along either axis, a part of both neighbours is added to each number.

    At an end the number itself takes the place of the missing neighbour.
    """
    size, own, others = len(x), x.dtype.type(1.25), x.dtype.type(0.375)
    here, before, after = x[1:], x, x[2:]
    there = across[1:]
    for i in range(size - 2):
        there[i] = own * here[i] + others * (before[i] + after[i])
    for i in range(0, size, width):
        across[i] = own * x[i] + others * (x[i] + x[i + 1])
        j = i + width - 1
        across[j] = own * x[j] + others * (x[j] + x[j - 1])
    here, before, after = across[width:], across, across[2 * width :]
    there = y[width:]
    for i in range(size - 2 * width):
        there[i] = own * here[i] + others * (before[i] + after[i])
    for first, then in ((0, width), (size - width, size - 2 * width)):
        here, beside, there = across[first:], across[then:], y[first:]
        for i in range(width):
            there[i] = own * here[i] + others * (here[i] + beside[i])


@compiled(ARRAY4, ARRAY4, VECTOR, VECTOR, NUMBER, NUMBER, VECTOR, VECTOR, VECTOR, VECTOR)
def forward(x, y, weight, bias, eps, momentum, running_mean, running_variance, mean, scale):
    """Fill y, mean and scale (1 / standard deviation) and update the running statistics."""
    images, channels, height, width = x.shape
    number = x.dtype.type
    count = number(images * height * width)
    centred, across, product = np.empty((3, height * width), x.dtype)
    for c in range(channels):
        total = number(0)
        for n in range(images):
            line = x[n, c].ravel()
            for i in range(len(line)):
                total += line[i]
        mean[c] = middle = total / count
        total = number(0)
        for n in range(images):
            line = x[n, c].ravel()
            for i in range(len(line)):
                centred[i] = line[i] - middle
            gram_product(centred, across, product, width)
            for i in range(len(line)):
                total += centred[i] * product[i]
        scale[c] = 1 / np.sqrt(total / (4 * count) + eps)
        running_mean[c] += momentum * (middle - running_mean[c])
        running_variance[c] += momentum * (total / (4 * count - 1) - running_variance[c])
        factor, offset = weight[c] * scale[c], bias[c] - middle * weight[c] * scale[c]
        for n in range(images):
            line, out = x[n, c].ravel(), y[n, c].ravel()
            for i in range(len(line)):
                out[i] = factor * line[i] + offset


@compiled(ARRAY4, ARRAY4, VECTOR, VECTOR, VECTOR, ARRAY4, VECTOR, VECTOR)
def backward(grad, x, weight, mean, scale, x_grad, weight_grad, bias_grad):
    """Fill the gradients of x, weight and bias from `grad`, that of y."""
    images, channels, height, width = x.shape
    number = x.dtype.type
    count = number(images * height * width)
    centred, across, product = np.empty((3, height * width), x.dtype)
    for c in range(channels):
        middle = mean[c]
        total, along = number(0), number(0)
        for n in range(images):
            line, given = x[n, c].ravel(), grad[n, c].ravel()
            for i in range(len(line)):
                total += given[i]
                along += given[i] * (line[i] - middle)
        bias_grad[c], weight_grad[c] = total, along * scale[c]
        total, along, factor = total / count, along * scale[c] ** 2 / (4 * count), weight[c] * scale[c]
        for n in range(images):
            line, given, out = x[n, c].ravel(), grad[n, c].ravel(), x_grad[n, c].ravel()
            for i in range(len(line)):
                centred[i] = line[i] - middle
            gram_product(centred, across, product, width)
            for i in range(len(line)):
                out[i] = factor * (given[i] - total - along * product[i])
