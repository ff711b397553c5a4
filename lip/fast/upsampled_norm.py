"""Batch normalisation of a doubled map, on the map before it is doubled.

A norm multiplies and adds one number a channel, which doubling, a weighted mean, passes on. It has the mean of the
small map, and what it must know of the doubled one is the sum of its squares: |D x|² = x · DᵀD x, where D doubles.
"""

from __future__ import annotations

import numpy as np

from lip.fast.compilation import ARRAY4, NUMBER, VECTOR, compiled, inlined


@inlined
def gram(x, across, y, width):
    """Fill y with DᵀD x for one map x, flat: along either axis each number is joined by a part of its neighbours.

    At an end, where there is none, it stands in for its neighbour.
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
    """Fill y, mean and scale, the inverse of the standard deviation, and move the running statistics."""
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
            gram(centred, across, product, width)
            for i in range(len(line)):
                total += centred[i] * product[i]
        scale[c] = 1 / np.sqrt(total / (4 * count) + eps)
        running_mean[c] += momentum * (middle - running_mean[c])
        running_variance[c] += momentum * (total / (4 * count - 1) - running_variance[c])
        slope, offset = weight[c] * scale[c], bias[c] - middle * weight[c] * scale[c]
        for n in range(images):
            line, out = x[n, c].ravel(), y[n, c].ravel()
            for i in range(len(line)):
                out[i] = slope * line[i] + offset


@compiled(ARRAY4, ARRAY4, VECTOR, VECTOR, VECTOR, ARRAY4, VECTOR, VECTOR)
def backward(y_slope, x, weight, mean, scale, x_slope, weight_slope, bias_slope):
    """Fill the gradients of x, weight and bias from that of y."""
    images, channels, height, width = x.shape
    number = x.dtype.type
    count = number(images * height * width)
    centred, across, product = np.empty((3, height * width), x.dtype)
    for c in range(channels):
        middle = mean[c]
        total, along = number(0), number(0)
        for n in range(images):
            line, given = x[n, c].ravel(), y_slope[n, c].ravel()
            for i in range(len(line)):
                total += given[i]
                along += given[i] * (line[i] - middle)
        bias_slope[c], weight_slope[c] = total, along * scale[c]
        total, along, factor = total / count, along * scale[c] ** 2 / (4 * count), weight[c] * scale[c]
        for n in range(images):
            line, given, out = x[n, c].ravel(), y_slope[n, c].ravel(), x_slope[n, c].ravel()
            for i in range(len(line)):
                centred[i] = line[i] - middle
            gram(centred, across, product, width)
            for i in range(len(line)):
                out[i] = factor * (given[i] - total - along * product[i])
