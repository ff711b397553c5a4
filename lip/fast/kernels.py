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

LANES = 32
"""Numbers that a compiled loop takes at a time. Bands are rounded up to them: a remainder is computed one by one."""


@inlined
def whole_vectors(size):
    """Round up to a multiple of LANES."""
    return (size + LANES - 1) // LANES * LANES


@inlined
def reflected(i, size):
    """Return the index that i falls on when a row of that size is padded by reflection."""
    return -i if i < 0 else i if i < size else 2 * size - 2 - i


@inlined
def copy(there, given, stride):
    """Fill a row with every stride-th number of another; strides that the compiler knows are vectorised."""
    if stride == 1:
        for i in range(len(there)):
            there[i] = given[i]
    elif stride == 2:
        for i in range(len(there)):
            there[i] = given[2 * i]
    else:
        for i in range(len(there)):
            there[i] = given[stride * i]


@inlined
def copy_adjoint(given, there, stride):
    """Add each number to where `copy` took it from."""
    if stride == 1:
        for i in range(len(there)):
            given[i] += there[i]
    elif stride == 2:
        for i in range(len(there)):
            given[2 * i] += there[i]
    else:
        for i in range(len(there)):
            given[stride * i] += there[i]


@inlined
def pad(x, margin, stride, pitch, planes):
    """Fill the planes of one image."""
    _, height, width = x.shape
    for p in range(len(planes)):
        channel, top, left = p // stride**2, p // stride % stride - margin, p % stride - margin
        first, last = -(left // stride), (width - 1 - left) // stride + 1  # between them nothing is reflected
        image, plane, rows = x[channel], planes[p], (height + margin - top - 1) // stride + 1
        lines = plane[: rows * pitch].reshape(rows, pitch)
        for r in range(rows):
            row, line = image[reflected(top + r * stride, height)], lines[r]
            for q in range(first):
                line[q] = row[reflected(q * stride + left, width)]
            copy(line[first:last], row[first * stride + left :], stride)
            for q in range(last, pitch):
                column = q * stride + left
                line[q] = row[reflected(column, width)] if column < width + margin else 0
        plane[rows * pitch :] = 0


@inlined
def pad_adjoint(band, p, begin, margin, stride, pitch, x):
    """Add a band of plane p, from row `begin` on, to where `pad` took it from."""
    _, height, width = x.shape
    channel, top, left = p // stride**2, p // stride % stride - margin, p % stride - margin
    first, last = -(left // stride), (width - 1 - left) // stride + 1
    image, lines = x[channel], band.reshape(len(band) // pitch, pitch)
    for r in range(len(lines)):
        y = (begin + r) * stride + top
        if y < height + margin:
            row, line = image[reflected(y, height)], lines[r]
            for q in range(first):
                row[reflected(q * stride + left, width)] += line[q]
            copy_adjoint(row[first * stride + left :], line[first:last], stride)
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


@compiled(ARRAY4, COUNT, COUNT, COUNT, ARRAY3)
def fill_planes(x, margin, stride, pitch, planes):
    """Pad x by reflection and split it into planes."""
    for n in range(len(x)):
        pad(x[n], margin, stride, pitch, planes[n])


@compiled(ARRAY4, COUNT, COUNT, ARRAY3)
def fill_lines(grad, pitch, lead, lines):
    """Lay out the gradient of y in rows of `pitch` numbers, `lead` zeros before and others behind."""
    images, outputs, rows, columns = grad.shape
    for n in range(images):
        for t in range(outputs):
            given, line = grad[n, t].ravel(), lines[n, t]
            line[:lead] = 0
            for r in range(rows):
                row = line[lead + r * pitch :][:pitch]
                copy(row[:columns], given[r * columns :], 1)
                row[columns:] = 0
            line[lead + rows * pitch :] = 0


@compiled(ARRAY3, VECTOR, VECTOR, INDICES, INDICES, COUNT, ARRAY4)
def forward(planes, bias, values, indptr, offsets, pitch, y):
    """Convolve the planes: fill y."""
    images, outputs, rows, columns = y.shape
    height = max(1, BAND // pitch)
    space = np.empty(whole_vectors(height * pitch), y.dtype)
    for n in range(images):
        source = planes[n].ravel()
        for top in range(0, rows, height):
            count = min(height, rows - top)
            direct = pitch == columns and count * columns % LANES == 0
            for t in range(outputs):
                image = y[n, t].ravel()[top * columns :][: count * columns]
                band = image if direct else space[: whole_vectors(count * pitch)]
                band[:] = bias[t]
                add_copies(band, top * pitch, source, offsets, values, indptr[t], indptr[t + 1])
                if not direct:
                    for r in range(count):
                        copy(image[r * columns :][:columns], band[r * pitch :], 1)


@compiled(ARRAY3, INDICES, INDICES, ARRAY3, COUNT, COUNT, COUNT, VECTOR)
def backward_values(lines, indptr, offsets, planes, rows, pitch, lead, values):
    """Fill the gradients of the non-zero weights."""
    images, outputs, _ = lines.shape
    height = max(1, BAND // pitch)
    values[:] = 0
    for n in range(images):
        source = planes[n].ravel()
        for top in range(0, rows, height):
            begin, end = top * pitch, min(rows, top + height) * pitch
            if end == rows * pitch:
                end = begin + whole_vectors(end - begin)  # there are zeros behind
            for t in range(outputs):
                band = lines[n, t, lead + begin : lead + end]
                add_products(band, begin, source, offsets, values, indptr[t], indptr[t + 1])


@compiled(ARRAY4, VECTOR)
def backward_bias(grad, bias):
    """Fill the gradient of the bias from that of y."""
    images, outputs, _, _ = grad.shape
    bias[:] = 0
    for n in range(images):
        for t in range(outputs):
            given = grad[n, t].ravel()
            for i in range(len(given)):
                bias[t] += given[i]


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
    space = np.empty(whole_vectors(height * pitch), x.dtype)
    for n in range(len(x)):
        source = lines[n].ravel()
        x[n] = 0
        for top in range(0, rows, height):
            size = min(height, rows - top) * pitch
            direct = margin == 0 and stride == 1 and size % LANES == 0
            for p in range(len(indptr) - 1):
                if indptr[p] < indptr[p + 1]:
                    band = x[n, p].ravel()[top * pitch :][:size] if direct else space[: whole_vectors(size)]
                    band[:] = 0
                    add_copies(band, top * pitch, source, offsets, values, indptr[p], indptr[p + 1])
                    if not direct:
                        pad_adjoint(band[:size], p, top, margin, stride, pitch, x[n])
