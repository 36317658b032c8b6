"""Deep Compression's .net files: an encoder, and files that are refused, ATTACKS."""

import numpy as np
from caffe_writer import random_squeezenet

from npgrad.io.formats import (
    deep_compression,
)


def encode(tensors):
    """The .net of sparse weights, and its counts; each weight has at most 255 different values besides 0.

    Written from the format's description, one weight at a time: a place more than 16 after the one before it
    is reached by way of stored zeros.
    """
    counts, bodies = [], []
    for key, weight in tensors.items():
        if not key.endswith(".weight"):
            continue
        flat = weight.ravel()
        values = np.unique(flat[flat != 0])
        codebook = np.zeros(256, "<f4")
        codebook[1 : len(values) + 1] = values
        codes, skipped, last = [], [], -1
        for place in np.flatnonzero(flat):
            while place - last > 16:
                codes.append(0)
                skipped.append(15)
                last += 16
            codes.append(1 + int(np.searchsorted(values, flat[place])))
            skipped.append(int(place) - last - 1)
            last = place
        counts.append(len(codes))
        halves = [*skipped, 0]
        packed = bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=False))
        bias = tensors[key.replace(".weight", ".bias")].astype("<f4")
        bodies.append([codebook, bias, np.array(codes, np.uint8), np.frombuffer(packed, np.uint8)])
    return assemble(counts, bodies), counts


def assemble(counts, bodies):
    parts = [part.tobytes() for body in bodies for part in body]
    return np.array(counts, "<u4").tobytes() + b"".join(parts)


def sparse_squeezenet(rng, kept):
    """Random SqueezeNet 1.0 arrays whose weights keep a share `kept` of their places, with few values."""
    tensors = random_squeezenet(rng)
    for key, array in tensors.items():
        if key.endswith(".weight"):
            values = np.concatenate([[0.0], rng.standard_normal(rng.integers(1, 256))]).astype(np.float32)
            places = rng.random(array.size) < kept
            places[rng.integers(array.size)] = True
            codes = np.where(places, rng.integers(1, len(values), array.size), 0)
            tensors[key] = values[codes].reshape(array.shape)
    return tensors


def changed(parts, layer, part, place, value):
    """The file with one number changed in a codebook (part 0), biases (1), codes (2) or places (3)."""
    counts, bodies = parts
    bodies = [list(body) for body in bodies]
    bodies[layer][part] = bodies[layer][part].copy()
    bodies[layer][part][place] = value
    return assemble(counts, bodies)


def with_count(parts, layer, count):
    counts, bodies = parts
    counts = list(counts)
    counts[layer] = count
    return assemble(counts, bodies)


ATTACKS = {
    "empty": (lambda parts: b"", "26 counts"),
    "103 bytes": (lambda parts: assemble(*parts)[:103], "26 counts"),
    "a count of 0": (lambda parts: with_count(parts, 3, 0), "26 counts"),
    "a count over the weights": (lambda parts: with_count(parts, 0, 96 * 3 * 49 + 1), "26 counts"),
    "a huge count": (lambda parts: with_count(parts, 25, 2**32 - 1), "26 counts"),
    "one more entry": (
        lambda parts: with_count(parts, 5, parts[0][5] + 1),
        "according to its first 26 counts",
    ),
    "cut short": (lambda parts: assemble(*parts)[:-1], "according to its first 26 counts"),
    "cut after the counts": (lambda parts: assemble(*parts)[:104], "according to its first 26 counts"),
    "a byte too many": (lambda parts: assemble(*parts) + b"\x00", "according to its first 26 counts"),
    "NaN in a codebook": (
        lambda parts: changed(parts, 4, 0, 7, np.nan),
        "fire3/squeeze1x1: codebook: expected finite",
    ),
    "infinity in a codebook": (
        lambda parts: changed(parts, 0, 0, 255, -np.inf),
        "conv1: codebook: expected finite",
    ),
    "NaN in a bias": (lambda parts: changed(parts, 25, 1, 999, np.nan), "conv10: biases: expected finite"),
    "code 0 is not 0": (
        lambda parts: changed(parts, 1, 0, 0, 0.5),
        "fire2/squeeze1x1: code 0: expected the value 0, found 0.5",
    ),
    "past the last weight": (
        lambda parts: past_the_end(parts, 2),
        "fire2/expand1x1: expected positions below 1024, found a weight at 1024",
    ),
}


def past_the_end(parts, layer):
    """All places of one convolution 16 apart up to its last, and then one more."""
    counts, bodies = parts
    shape = deep_compression.CONVOLUTIONS[layer][1]
    count = int(np.prod(shape)) // 16 + 1
    counts, bodies = list(counts), list(bodies)
    counts[layer] = count
    packed = np.full((count + 1) // 2, 0xFF, np.uint8)
    packed[-1] = 0xF0
    bodies[layer] = [*bodies[layer][:2], np.ones(count, np.uint8), packed]
    return assemble(counts, bodies)


def net(spoil=0):
    """The smallest Deep Compression file: one stored weight in each convolution; `spoil` is every code's value 0."""
    parts = [np.ones(26, "<u4").tobytes()]
    for _, shape in deep_compression.CONVOLUTIONS:
        codebook = np.full(256, spoil, "<f4")
        codebook[1] = 2.5
        parts += [codebook.tobytes(), np.full(shape[0], 0.5, "<f4").tobytes(), b"\x01", b"\x03"]
    return b"".join(parts)
