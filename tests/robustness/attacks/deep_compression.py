"""Deep Compression's .net: counts, codebooks, places and sizes that do not fit."""

import re

import numpy as np
from deep_compression_files import (
    ATTACKS,
    assemble,
    changed,
    encode,
    past_the_end,
    sparse_squeezenet,
    with_count,
)

from attacks import Attack
from attacks.torch_pth import NO_WEIGHTS, cut
from npgrad.io.formats import deep_compression


def taken_apart():
    """A good file as (its 26 counts, per convolution: codebook, biases, codes, places)."""
    data, counts = encode(sparse_squeezenet(np.random.default_rng(1), kept=0.001))
    bodies, position = [], 4 * 26
    for count, (_, shape) in zip(counts, deep_compression.CONVOLUTIONS, strict=True):
        body = []
        for dtype, size in (("<f4", 256), ("<f4", shape[0]), ("u1", count), ("u1", (count + 1) // 2)):
            body.append(np.frombuffer(data, dtype, size, position))
            position += body[-1].nbytes
        bodies.append(body)
    return counts, bodies


def of_every_layer(parts):
    """{what: bytes}: each convolution's count, codebook, biases and places made wrong."""
    found = {}
    counts, _ = parts
    for layer, (name, shape) in enumerate(deep_compression.CONVOLUTIONS):
        for count in (0, counts[layer] - 1, counts[layer] + 2, int(np.prod(shape)) + 1, 2**31, 2**32 - 1):
            found[f"{name}: a count of {count}"] = with_count(parts, layer, count)
        for value in (np.nan, np.inf, -np.inf):
            found[f"{name}: {value} in the codebook"] = changed(parts, layer, 0, 200, value)
            found[f"{name}: {value} in the biases"] = changed(parts, layer, 1, -1, value)
        found[f"{name}: code 0 is 1"] = changed(parts, layer, 0, 0, 1)
        found[f"{name}: past its last place"] = past_the_end(parts, layer)
    return found


def attacks():
    parts = taken_apart()
    for what, (make, words) in ATTACKS.items():
        yield Attack(what, "w.net", make(parts), "convert", f"{re.escape(words)}|{NO_WEIGHTS}")
    message = f"expected|{NO_WEIGHTS}"
    for what, data in of_every_layer(parts).items():
        yield Attack(what, "w.net", data, "convert", message)
    good = assemble(*parts)
    longer = {"bytes more": good + bytes(9), "twice": good * 2, "shifted by one": b"\0" + good}
    for what, data in {**cut(good, 40), **longer}.items():
        yield Attack(what, "w.net", data, "convert", message)


def good_files():
    return [("convert", "w.net", assemble(*taken_apart()))]
