"""How an array differs from the one that is expected, whatever made it: an output, a gradient or an input.

`arrays_otherwise` makes (kind, text, the array that it predicts) from what is expected, in the recorded shape.
"""

import itertools

import numpy as np

from npgrad._typing import Array

MOST_CHANNELS = 4096
SMALL = 1e-6
FLIPS = {
    (3,): "left and right are exchanged",
    (2,): "top and bottom are exchanged",
    (2, 3): "rotated by 180 degrees",
}


def arrays_otherwise(expected: Array, found: Array, what: str = "output"):
    """Yield (kind, text, predicted array) for an array that was found in place of the expected one.

    Parameters
    ----------
    expected, found : ndarray
    what : str
        "output" or "gradient", for the text.

    Returns
    -------
    iterator of (str, str, ndarray)
    """
    if expected.shape != found.shape:
        yield from _reshaped(expected, found)
        return
    if not np.any(found):
        yield "zero", f"the {what} is 0", np.zeros_like(expected)
        return
    yield from _factors(expected, found, what)
    yield from _moved(expected, what)
    if expected.ndim > 1:
        yield from _permuted(expected, found, what)
        yield from _samples(expected, what)
        yield from _each_channel(expected, found, what)
    yield from _rounded(expected, found, what)


def factor(expected, found):
    """The number that the expected array times it is nearest to the one found."""
    norm = float(np.vdot(expected, expected))
    return float(np.vdot(expected, found)) / norm if norm else 0.0


def named_factor(c, shape):
    """A factor in words, with the sizes that it may come from."""
    sizes = {2: ["2"], 255: ["255"]}
    named = [(shape[0], "the batch size"), (int(np.prod(shape[2:])), "the number of pixels")]
    for size, text in [*named, *((one, "the number of channels") for one in shape[1:2])]:
        if size > 1:
            sizes.setdefault(size, []).append(text)
    for size, texts in sizes.items():
        for value, before in ((size, ""), (1 / size, "1 / ")):
            if abs(c - value) <= 1e-4 * value:
                said = f" or {before}".join(texts)
                return f"{c:.6g} times npgrad's ({before}{said})"
    return f"{c:.6g} times npgrad's"


def _factors(expected, found, what):
    c = factor(expected, found)
    if abs(c + 1) < 1e-5:
        yield "sign", f"the {what} has the other sign", -expected
    elif abs(c) > SMALL:
        yield "factor", f"the {what} is {named_factor(c, expected.shape)}", c * expected
    yield "sign", f"the {what} is npgrad's absolute value", abs(expected)


def _reshaped(expected, found):
    layouts = {(0, 2, 3, 1): "(N, H, W, C)", (1, 0, 2, 3): "(C, N, H, W)", (2, 3, 1, 0): "(H, W, C, N)"}
    for order in itertools.permutations(range(expected.ndim)) if expected.ndim < 6 else ():
        if list(order) != sorted(order) and expected.transpose(order).shape == found.shape:
            text = f"the axes are in another order, {layouts.get(order, order)}"
            yield "channel order", text, expected.transpose(order)
    if expected.size == found.size:
        yield (
            "shape",
            f"only the shape differs, {found.shape} for {expected.shape}",
            expected.reshape(found.shape),
        )
    if expected.ndim == found.ndim and expected.shape[1:] == found.shape[1:] and len(found) < len(expected):
        yield "samples", f"only the first {len(found)} of {len(expected)} samples", expected[: len(found)]
    if expected.ndim == found.ndim == 4 and expected.shape[:2] == found.shape[:2]:
        (h, w), (oh, ow) = expected.shape[2:], found.shape[2:]
        for top, left in itertools.product(*(range(max(abs(a - b), 0) + 1) for a, b in ((h, oh), (w, ow)))):
            if oh <= h and ow <= w:
                text = f"a part of npgrad's, {oh}x{ow} of {h}x{w} from row {top} and column {left} on"
                yield "shape", text, expected[:, :, top : top + oh, left : left + ow]


def _moved(expected, what):
    if expected.ndim == 4:
        if expected.shape[2] == expected.shape[3]:
            yield "transposed", f"the {what}'s height and width are exchanged", expected.swapaxes(2, 3)
        for axes, text in FLIPS.items():
            yield "flipped", f"the {what} is flipped: {text}", np.flip(expected, axes)
        for rows, columns in itertools.product((-1, 0, 1), repeat=2):
            if rows or columns:
                yield (
                    "shifted",
                    f"the {what} is shifted by {rows}, {columns} px",
                    _shifted(expected, rows, columns),
                )
    if expected.ndim == 2 and expected.shape[0] == expected.shape[1]:
        yield "transposed", f"the {what} is transposed", expected.T


def _shifted(x, rows, columns):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return padded[:, :, 1 - rows : padded.shape[2] - 1 - rows, 1 - columns : padded.shape[3] - 1 - columns]


def _permuted(expected, found, what):
    """The channels in another order: each of those found is nearest to one of those expected."""
    count = expected.shape[1]
    for order, text in _orders(count):
        yield "channel order", f"the {what}'s channels are {text}", expected[:, order]
    if 1 < count <= MOST_CHANNELS:
        one, other = (np.moveaxis(array, 1, 0).reshape(count, -1) for array in (expected, found))
        distance = (one * one).sum(1) - 2 * other @ one.T  # plus what is the same for all
        order = np.argmin(distance, axis=1)
        if len(set(order.tolist())) == count:
            first = ", ".join(map(str, order[:6]))
            text = f"the {what}'s channels are permuted: {first}{', ...' if count > 6 else ''}"
            yield "channel order", text, expected[:, order]


def _orders(count):
    yield np.arange(count)[::-1], "in the order blue, green, red" if count == 3 else "reversed"
    for groups in (2, 3, 4, 8):
        if count % groups == 0 and groups < count:
            shuffled = np.arange(count).reshape(groups, -1).T.ravel()
            yield shuffled, f"shuffled in {groups} groups"
            yield np.argsort(shuffled), f"not shuffled in {groups} groups"
            if groups == 2:
                yield np.roll(np.arange(count), count // 2), "joined with the halves exchanged"


def _samples(expected, what):
    if len(expected) > 1:
        yield (
            "samples",
            f"the {what} of the first sample, for all",
            np.broadcast_to(expected[:1], expected.shape),
        )
        yield "samples", "the samples are in the reverse order", expected[::-1]
        yield "samples", f"the mean {what} of the batch, for all", 0 * expected + expected.mean(axis=0)
    yield "norm", f"the {what} is divided by the norm of each sample", expected / _norms(expected)


def _norms(x):
    return np.sqrt((x * x).sum(axis=tuple(range(1, x.ndim)), keepdims=True)) + 1e-300


def _each_channel(expected, found, what):
    """A factor and an offset of each channel, by least squares: a normalization, or a bias."""
    axes = tuple(axis for axis in range(expected.ndim) if axis != 1)
    if expected.size // expected.shape[1] < 4:
        return
    mean, other = expected.mean(axis=axes, keepdims=True), found.mean(axis=axes, keepdims=True)
    yield "offset", f"an offset of each channel is added to the {what}", expected + (other - mean)
    square = ((expected - mean) ** 2).sum(axis=axes, keepdims=True)
    product = ((expected - mean) * (found - other)).sum(axis=axes, keepdims=True)
    slope = np.divide(product, square, out=np.zeros_like(square), where=square > 0)
    yield (
        "scale",
        f"the {what} has another scale and offset in each channel",
        slope * (expected - mean) + other,
    )


def _rounded(expected, found, what):
    scale = float(np.abs(expected).max(initial=0))
    for name, array in rounded_to(expected).items():
        if np.array_equal(rounded_to(found)[name], found) and np.abs(array - found).max() <= 0.02 * scale:
            yield "precision", f"the {what} is rounded to {name}", found
            return


def rounded_to(x):
    """x in the precision of float16 and bfloat16."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    with np.errstate(over="ignore"):
        half = x.astype(np.float16).astype(x.dtype)
    return {"bfloat16": bits.astype(np.uint32).view(np.float32).astype(x.dtype), "float16": half}


def where(expected, found, tolerance, what):
    """(kind, text) of where an array differs that nothing explains: some channels, samples, a border, some entries."""
    if expected.shape != found.shape:
        return "shape", f"the {what} has shape {found.shape}, npgrad's {expected.shape}"
    if not np.isfinite(found).all():
        count = np.count_nonzero(~np.isfinite(found))
        return "not finite", f"{count} of {found.size} values are not finite"
    wrong = np.abs(found - expected) > tolerance * (np.abs(expected).max(initial=0) or 1)
    if expected.ndim > 1:
        for axis, name in ((1, "channels"), (0, "samples")):
            other = tuple(i for i in range(wrong.ndim) if i != axis)
            parts = np.flatnonzero(wrong.any(axis=other))
            if 0 < len(parts) <= wrong.shape[axis] / 2:
                first = ", ".join(map(str, parts[:6])) + ", ..." * (len(parts) > 6)
                return f"some {name}", f"only {len(parts)} of {wrong.shape[axis]} {name} differ: {first}"
    if expected.ndim == 4 and min(expected.shape[2:]) > 4 and not wrong[:, :, 2:-2, 2:-2].any():
        return "border", "only the border of the image differs, as with another padding"
    if 0 < np.count_nonzero(wrong) <= wrong.size / 4:
        at = ", ".join(map(str, np.argwhere(wrong)[0]))
        return "some entries", f"{np.count_nonzero(wrong)} of {wrong.size} values differ, the first at [{at}]"
    return "none of these", "none of these: no explanation fits"
