"""Convolve by loops over the non-zero weights, compiled by numba.

A convolution adds up weighted, shifted copies of its input channels. A copy with a weight of zero is left out, so the
work is proportional to the non-zeros:

    target[i] += weight * source[i + shift]      for all pixels i, for every non-zero weight

Each padded channel is stored flat, in rows of `pitch` numbers, so that a shift is one number: the tap in row v and
column u of a kernel is `v * pitch + u` for every pixel. At the end of a row a tap reaches into the next row: a target
has a few more columns than the output, which are dropped.

With stride s an output pixel reads every s-th input pixel, so a channel is split into s * s planes, the first with the
pixels of rows 0, s, 2s, ... and columns 0, s, 2s, ... Within a plane, a tap is again one shift for every pixel.

The gradients work the same way. That of a weight is the inner product of its target and its source. That of the input
is the same sum of copies in reverse: from targets to planes, shifted by the negative offset.

    x        (images, channels, height, width)
    planes   (images, channels * s * s, ...), x padded by reflection, each plane flat, followed by zeros
    y        (images, outputs, rows, columns)
    lines    (images, outputs, ...), the gradient of y in rows of `pitch` numbers, `lead` zeros before, others behind
    indptr   the non-zeros of target t are those from indptr[t] up to indptr[t + 1], as in a CSR matrix
    offsets  for each non-zero, where its copy for pixel 0 begins in the flat planes (or lines)
    values   for each non-zero, the weight
"""

from __future__ import annotations

import numpy as np

from lip.fast.compilation import ARRAY3, ARRAY4, COUNT, INDICES, VECTOR, compiled, inlined

BAND = 1536
"""Numbers of a target filled at a time: the sources of a band stay in the cache for all targets."""


@inlined
def reflected(i, size):
    """Return the index that i falls on when a row of that size is padded by reflection."""
    return -i if i < 0 else i if i < size else 2 * size - 2 - i


@inlined
def copy(there, given, stride):
    """Fill a row with every stride-th number of another; a stride known to the compiler is vectorised."""
    if stride == 1:
        for i in range(len(there)):
            there[i] = given[i]
    else:
        sparse = given[::stride]
        for i in range(len(there)):
            there[i] = sparse[i]


@inlined
def copy_adjoint(given, there, stride):
    """Add each number to where `copy` took it from."""
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
def pad_adjoint(band, p, begin, margin, stride, pitch, x):
    """Add a band of plane p, from row `begin` on, to where `pad` took it from."""
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
            copy_adjoint(row[first * stride + left :], line[first:][: last - first], stride)
            for q in range(last, pitch):
                column = q * stride + left
                if column < width + margin:
                    row[reflected(column, width)] += line[q]


@inlined
def add_copies(target, begin, sources, offsets, values, first, last):
    """Add the weighted copies to a band of one target, from number `begin` on: this is the convolution.

    Four at a time, so that the target is read and written once for four copies.
    """
    size = len(target)
    n = first
    while n + 4 <= last:
        a = sources[begin + offsets[n] :][:size]
        b = sources[begin + offsets[n + 1] :][:size]
        c = sources[begin + offsets[n + 2] :][:size]
        d = sources[begin + offsets[n + 3] :][:size]
        u, v, w, z = values[n], values[n + 1], values[n + 2], values[n + 3]
        for i in range(size):
            target[i] += u * a[i] + v * b[i] + w * c[i] + z * d[i]
        n += 4
    for m in range(n, last):
        a, u = sources[begin + offsets[m] :][:size], values[m]
        for i in range(size):
            target[i] += u * a[i]


@inlined
def add_products(target, begin, sources, offsets, values, first, last):
    """Add the inner products of a band of one target with its sources to the gradients `values` of its weights."""
    size = len(target)
    zero = target.dtype.type(0)
    n = first
    while n + 4 <= last:
        a = sources[begin + offsets[n] :][:size]
        b = sources[begin + offsets[n + 1] :][:size]
        c = sources[begin + offsets[n + 2] :][:size]
        d = sources[begin + offsets[n + 3] :][:size]
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
        a, u = sources[begin + offsets[m] :][:size], zero
        for i in range(size):
            u += target[i] * a[i]
        values[m] += u


@compiled(ARRAY4, VECTOR, VECTOR, INDICES, INDICES, COUNT, COUNT, COUNT, ARRAY3, ARRAY4)
def forward(x, bias, values, indptr, offsets, margin, stride, pitch, planes, y):
    """Convolve x: fill y, and planes, which the gradients need again."""
    images, outputs, rows, columns = y.shape
    height = max(1, BAND // pitch)
    space = np.empty(height * pitch, y.dtype)
    for n in range(images):
        pad(x[n], margin, stride, pitch, planes[n])
        for top in range(0, rows, height):
            band = space[: min(height, rows - top) * pitch]
            for t in range(outputs):
                band[:] = bias[t]
                add_copies(band, top * pitch, planes[n].ravel(), offsets, values, indptr[t], indptr[t + 1])
                image = y[n, t].ravel()
                for r in range(len(band) // pitch):
                    copy(image[(top + r) * columns :][:columns], band[r * pitch :], 1)


@compiled(ARRAY4, INDICES, INDICES, ARRAY3, COUNT, COUNT, ARRAY3, VECTOR, VECTOR)
def backward_values(grad, indptr, offsets, planes, pitch, lead, lines, values, bias):
    """Fill the gradients of the non-zero weights and of the bias, and lines, for `backward_input`."""
    images, outputs, rows, columns = grad.shape
    height = max(1, BAND // pitch)
    values[:], bias[:] = 0, 0
    for n in range(images):
        for t in range(outputs):
            given, there = grad[n, t].ravel(), lines[n, t]
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
                add_products(band, begin, planes[n].ravel(), offsets, values, indptr[t], indptr[t + 1])


@compiled(ARRAY4, COUNT, ARRAY4)
def pad_reflect(x, margin, y):
    """Fill y with x padded by reflection."""
    for n in range(len(x)):
        pad(x[n], margin, 1, y.shape[3], y[n].reshape(y.shape[1], -1))


@compiled(ARRAY4, COUNT, ARRAY4)
def pad_reflect_adjoint(y, margin, x):
    """Fill x with the adjoint of `pad_reflect` applied to y."""
    for n in range(len(x)):
        x[n] = 0
        for c in range(y.shape[1]):
            pad_adjoint(y[n, c].ravel(), c, 0, margin, 1, y.shape[3], x[n])


@compiled(ARRAY3, VECTOR, INDICES, INDICES, COUNT, COUNT, COUNT, ARRAY4)
def backward_input(lines, values, indptr, offsets, margin, stride, pitch, x):
    """Fill x with its gradient; the non-zeros are sorted by the planes they read."""
    rows = (x.shape[2] + 2 * margin - 1) // stride + 1
    height = max(1, BAND // pitch)
    space = np.empty(height * pitch, x.dtype)
    for n in range(len(x)):
        x[n] = 0
        for top in range(0, rows, height):
            band = space[: min(height, rows - top) * pitch]
            for p in range(len(indptr) - 1):
                band[:] = 0
                add_copies(band, top * pitch, lines[n].ravel(), offsets, values, indptr[p], indptr[p + 1])
                pad_adjoint(band, p, top, margin, stride, pitch, x[n])
