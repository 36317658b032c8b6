"""Read Deep Compression's SqueezeNet 1.0: pruned weights as codes into a codebook, with the gaps between them.

The only known file is `compressed_SqueezeNet.net` of github.com/songhan/SqueezeNet-Deep-Compression (Han, Mao
and Dally, "Deep Compression", arXiv:1510.00149; decode.py there). Little-endian, in this order:

- 26 uint32: how many weights each convolution stores;
- then for each convolution: a codebook of 256 float32; the biases, one float32 per filter; a uint8 code for each
  stored weight; and for each stored weight the number of zeros skipped before it, 4 bits, two per byte, low half first.

Code 0 represents the value 0, which is stored where more than 15 zeros would be skipped. Shapes are not stored.
"""

import numpy as np

from npgrad._typing import Array
from npgrad.errors import WeightsError

CODEBOOK = 256


def _convolutions():
    """(Caffe's layer name, (F, C, KH, KW)) of SqueezeNet 1.0's 26 convolutions, in the file's order."""
    convolutions = [("conv1", (96, 3, 7, 7))]
    channels = 96
    squeezes_and_expands = [(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2
    for fire, (squeeze, expand) in enumerate(squeezes_and_expands, start=2):
        convolutions += [
            (f"fire{fire}/squeeze1x1", (squeeze, channels, 1, 1)),
            (f"fire{fire}/expand1x1", (expand, squeeze, 1, 1)),
            (f"fire{fire}/expand3x3", (expand, squeeze, 3, 3)),
        ]
        channels = 2 * expand
    return [*convolutions, ("conv10", (1000, channels, 1, 1))]


CONVOLUTIONS = _convolutions()
SIZES = np.array([np.prod(shape) for _, shape in CONVOLUTIONS])
HEAD = 4 * len(CONVOLUTIONS)


def matches(head: bytes) -> bool:
    """Check whether a file begins with 26 counts that fit SqueezeNet 1.0's convolutions.

    A convolution stores at least one weight and at most all of them.

    Parameters
    ----------
    head : bytes
        The beginning of the file.

    Returns
    -------
    bool
    """
    if len(head) < HEAD:
        return False
    counts = _counts(head)
    return bool(((counts >= 1) & (counts <= SIZES)).all())


def read(data: bytes, name: str) -> dict[str, Array]:
    """Read the tensors of a Deep Compression file.

    Parameters
    ----------
    data : bytes
        The content of the file.
    name : str
        The file, for error messages.

    Returns
    -------
    dict of ndarray
        By Caffe's names (`conv1.weight`, `fire2/squeeze1x1.weight`), float32: weights (F, C, KH, KW), biases (F,).

    Raises
    ------
    WeightsError
        If counts, positions or sizes are wrong.
    """
    if not matches(data):
        raise WeightsError(
            f"{name}: expected 26 counts at its beginning that fit SqueezeNet 1.0, found others"
        )
    counts = _counts(data)
    expected = HEAD + sum(
        4 * CODEBOOK + 4 * shape[0] + count + (count + 1) // 2
        for count, (_, shape) in zip(counts.tolist(), CONVOLUTIONS, strict=True)
    )
    if len(data) != expected:
        raise WeightsError(
            f"{name}: expected {expected} bytes according to its first 26 counts, found {len(data)}"
        )
    tensors, position = {}, HEAD

    def take(dtype, count):
        nonlocal position
        values = np.frombuffer(data, dtype, count, offset=position)
        position += values.nbytes
        return values

    for count, (layer, shape) in zip(counts.tolist(), CONVOLUTIONS, strict=True):
        codebook = take("<f4", CODEBOOK)
        bias = take("<f4", shape[0])
        codes = take("u1", count)
        skipped = _low_half_first(take("u1", (count + 1) // 2))[:count]
        _check_values(codebook, bias, f"{name}: {layer}")
        tensors[f"{layer}.weight"] = _weight(codebook, codes, skipped, shape, f"{name}: {layer}")
        tensors[f"{layer}.bias"] = bias.astype(np.float32)
    return tensors


def _counts(data):
    return np.frombuffer(data, "<u4", len(CONVOLUTIONS)).astype(np.int64)


def _low_half_first(packed):
    """The 4-bit numbers in `packed` bytes, two from each."""
    return np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)


def _check_values(codebook, bias, part):
    if not np.isfinite(codebook).all():
        raise WeightsError(f"{part}: codebook: expected finite numbers, found NaN or Inf")
    if codebook[0] != 0:
        raise WeightsError(f"{part}: code 0: expected the value 0, found {codebook[0]:g}")
    if not np.isfinite(bias).all():
        raise WeightsError(f"{part}: biases: expected finite numbers, found NaN or Inf")


def _weight(codebook, codes, skipped, shape, part):
    """The weight (F, C, KH, KW): each code's value at its position, zeros elsewhere."""
    positions = np.cumsum(skipped + 1, dtype=np.int64) - 1
    size = int(np.prod(shape))
    if positions[-1] >= size:
        raise WeightsError(f"{part}: expected positions below {size}, found a weight at {positions[-1]}")
    weight = np.zeros(size, np.float32)
    weight[positions] = codebook[codes]
    return weight.reshape(shape)
