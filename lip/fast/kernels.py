"""Sparse convolutions: loops over the non-zero weights, compiled by numba.

A convolution adds up weighted, shifted copies of its input channels. Written that way, a weight of zero is a copy that
need not be added, and the work is proportional to the weights that are left:

    target[i] += weight * source[i + shift]      for all pixels i, for every non-zero weight

For the shift to be one number, each padded channel is laid out flat, in rows of `pitch` numbers. The tap in row v and
column u of a kernel then lies `v * pitch + u` further on, for every pixel alike. At the end of a row a tap runs over
into the next one: a target has a few columns more than the output, and they are thrown away.

With stride s the output sees every s-th pixel, so a channel is split into s * s planes, the first with the pixels of
rows 0, s, 2s, ... and columns 0, s, 2s, ... Within a plane, a tap is again one shift for every pixel.

The gradients take no other idea. That of a weight is the sum of products of the two things it connects. That of the
input is the same sum of copies backwards: from targets to planes, by minus the shift.

    x       (images, channels, height, width)
    planes  (images, channels * s * s, ...), x padded by reflection, each plane flat, with zeros behind
    y       (images, outputs, rows, columns)
    lines   (images, outputs, ...), the gradient of y in rows of `pitch` numbers, `lead` zeros before and others behind
    starts  the non-zeros of target t are number starts[t] up to starts[t + 1]
    places  for each of them, where its copy for pixel 0 begins, the planes (or lines) being one long array
    values  for each of them, the weight
"""

from __future__ import annotations

import numpy as np

from lip.fast.compilation import ARRAY3, ARRAY4, COUNT, INDICES, VECTOR, compiled, inlined

BAND = 1536
"""Targets are filled about so many numbers at a time: the sources of a band stay in the cache for all targets."""


@inlined
def reflected(i, size):
    """The index of what stands at i when a row of that size is continued by reflection."""
    return -i if i < 0 else i if i < size else 2 * size - 2 - i


@inlined
def copy(there, given, stride):
    """Fill a row with every so many-th number of another; the compiler makes vectors of a stride that it knows."""
    if stride == 1:
        for i in range(len(there)):
            there[i] = given[i]
    else:
        sparse = given[::stride]
        for i in range(len(there)):
            there[i] = sparse[i]


@inlined
def add_back(given, there, stride):
    """The adjoint of `copy`: add each number to where it came from."""
    if stride == 1:
        for i in range(len(there)):
            given[i] += there[i]
    else:
        sparse = given[::stride]
        for i in range(len(there)):
            sparse[i] += there[i]


@inlined
def pad(x, margin, stride, pitch, planes):
    """Fill the planes of one image."""
    _, height, width = x.shape
    for p in range(len(planes)):
        channel, top, left = p // stride**2, p // stride % stride - margin, p % stride - margin
        first, last = -(left // stride), (width - 1 - left) // stride + 1  # between them nothing is reflected
        image, plane, begin = x[channel].ravel(), planes[p], 0
        for y in range(top, height + margin, stride):
            row, line = image[reflected(y, height) * width :][:width], plane[begin:][:pitch]
            for q in range(first):
                line[q] = row[reflected(q * stride + left, width)]
            copy(line[first:][: last - first], row[first * stride + left :], stride)
            for q in range(last, pitch):
                column = q * stride + left
                line[q] = row[reflected(column, width)] if column < width + margin else 0
            begin += pitch
        plane[begin:] = 0


@inlined
def pad_back(band, p, begin, margin, stride, pitch, x):
    """The adjoint of `pad`, for a band of plane p from row `begin` on: each number is added to where it came from."""
    _, height, width = x.shape
    channel, top, left = p // stride**2, p // stride % stride - margin, p % stride - margin
    first, last = -(left // stride), (width - 1 - left) // stride + 1
    image = x[channel].ravel()
    for r in range(len(band) // pitch):
        y = (begin + r) * stride + top
        if y < height + margin:
            row, line = image[reflected(y, height) * width :][:width], band[r * pitch :][:pitch]
            for q in range(first):
                row[reflected(q * stride + left, width)] += line[q]
            add_back(row[first * stride + left :], line[first:][: last - first], stride)
            for q in range(last, pitch):
                column = q * stride + left
                if column < width + margin:
                    row[reflected(column, width)] += line[q]


@inlined
def add_copies(target, begin, sources, places, values, first, last):
    """Add to a band of one target, from number `begin` on, its weighted copies: this is the convolution.

    Four at a time, so that the target is read and written once for four.
    """
    size = len(target)
    n = first
    while n + 4 <= last:
        a = sources[begin + places[n] :][:size]
        b = sources[begin + places[n + 1] :][:size]
        c = sources[begin + places[n + 2] :][:size]
        d = sources[begin + places[n + 3] :][:size]
        u, v, w, z = values[n], values[n + 1], values[n + 2], values[n + 3]
        for i in range(size):
            target[i] += u * a[i] + v * b[i] + w * c[i] + z * d[i]
        n += 4
    for m in range(n, last):
        a, u = sources[begin + places[m] :][:size], values[m]
        for i in range(size):
            target[i] += u * a[i]


@inlined
def add_products(target, begin, sources, places, values, first, last):
    """Add to the gradients `values` of one target's weights the products of a band of it with their sources."""
    size = len(target)
    zero = target.dtype.type(0)
    n = first
    while n + 4 <= last:
        a = sources[begin + places[n] :][:size]
        b = sources[begin + places[n + 1] :][:size]
        c = sources[begin + places[n + 2] :][:size]
        d = sources[begin + places[n + 3] :][:size]
        u = v = w = z = zero
        for i in range(size):
            u += target[i] * a[i]
            v += target[i] * b[i]
            w += target[i] * c[i]
            z += target[i] * d[i]
        values[n] += u
        values[n + 1] += v
        values[n + 2] += w
        values[n + 3] += z
        n += 4
    for m in range(n, last):
        a, u = sources[begin + places[m] :][:size], zero
        for i in range(size):
            u += target[i] * a[i]
        values[m] += u


@compiled(ARRAY4, VECTOR, VECTOR, INDICES, INDICES, COUNT, COUNT, COUNT, ARRAY3, ARRAY4)
def forward(x, bias, values, starts, places, margin, stride, pitch, planes, y):
    """The convolution of x: fills planes, which the gradients need again, and y."""
    images, outputs, rows, columns = y.shape
    height = max(1, BAND // pitch)
    space = np.empty(height * pitch, y.dtype)
    for n in range(images):
        pad(x[n], margin, stride, pitch, planes[n])
        for top in range(0, rows, height):
            band = space[: min(height, rows - top) * pitch]
            for t in range(outputs):
                band[:] = bias[t]
                add_copies(band, top * pitch, planes[n].ravel(), places, values, starts[t], starts[t + 1])
                image = y[n, t].ravel()
                for r in range(len(band) // pitch):
                    copy(image[(top + r) * columns :][:columns], band[r * pitch :], 1)


@compiled(ARRAY4, INDICES, INDICES, ARRAY3, COUNT, COUNT, ARRAY3, VECTOR, VECTOR)
def backward_values(slope, starts, places, planes, pitch, lead, lines, values, bias):
    """The gradients of the non-zero weights and of the bias from that of y; fills lines, for `backward_input`."""
    images, outputs, rows, columns = slope.shape
    height = max(1, BAND // pitch)
    values[:], bias[:] = 0, 0
    for n in range(images):
        for t in range(outputs):
            given, there = slope[n, t].ravel(), lines[n, t]
            there[:lead] = 0
            for r in range(rows):
                line = there[lead + r * pitch :][:pitch]
                copy(line[:columns], given[r * columns :], 1)
                line[columns:] = 0
            for i in range(len(given)):
                bias[t] += given[i]
            there[lead + rows * pitch :] = 0
        for top in range(0, rows, height):
            begin, end = top * pitch, min(rows, top + height) * pitch
            for t in range(outputs):
                band = lines[n, t, lead + begin : lead + end]
                add_products(band, begin, planes[n].ravel(), places, values, starts[t], starts[t + 1])


@compiled(ARRAY4, COUNT, ARRAY4)
def padded(x, margin, y):
    """Fill y with x, padded by reflection: for a convolution of all weights."""
    for n in range(len(x)):
        pad(x[n], margin, 1, y.shape[3], y[n].reshape(y.shape[1], -1))


@compiled(ARRAY4, COUNT, ARRAY4)
def padded_back(y, margin, x):
    """The adjoint of `padded`: fill x with its gradient from that of y."""
    for n in range(len(x)):
        x[n] = 0
        for c in range(y.shape[1]):
            pad_back(y[n, c].ravel(), c, 0, margin, 1, y.shape[3], x[n])


@compiled(ARRAY3, VECTOR, INDICES, INDICES, COUNT, COUNT, COUNT, ARRAY4)
def backward_input(lines, values, starts, places, margin, stride, pitch, x):
    """Fill x with its gradient; the non-zeros are those of the planes, not of the outputs."""
    rows = (x.shape[2] + 2 * margin - 1) // stride + 1
    height = max(1, BAND // pitch)
    space = np.empty(height * pitch, x.dtype)
    for n in range(len(x)):
        x[n] = 0
        for top in range(0, rows, height):
            band = space[: min(height, rows - top) * pitch]
            for p in range(len(starts) - 1):
                band[:] = 0
                add_copies(band, top * pitch, lines[n].ravel(), places, values, starts[p], starts[p + 1])
                pad_back(band, p, top, margin, stride, pitch, x[n])
