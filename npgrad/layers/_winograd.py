"""3x3 convolutions with fewer multiplications (Lavin, Gray 2015: F(4x4, 3x3)), for float32.

A row of 6 pixels d and a filter g of 3 give 4 outputs. Correlation is the transpose of multiplying polynomials, and a
product of polynomials is known from its values at as many points as it has coefficients: evaluate both, multiply value
by value, interpolate (Toom 1963, Cook 1966). With the powers of the points as rows of a matrix V, and V(k) its first k
columns:

    y = A @ ((G @ g) * (B @ d))        A = V(4).T,  G = V(3),  B = inverse(V(6)).T

which are 6 multiplications, where the sum of products takes 12. In two dimensions, for tiles of 6x6 pixels, it is 36
where it was 144, and A, G and B act on rows and columns, as one matrix np.kron(B, B). Over channels the products are
summed, so they are 36 matrix products (tiles, C) @ (C, F).

A, G and B amplify rounding. The usual points 0, 1, -1, 2, -2 and infinity give errors of 7e-6 of the largest output;
0, 3/2, -3/2, 2/3, -2/3 and infinity 1.5e-6, where the sum of products has 4e-7. `npgrad.config.exact` turns it off.
"""

import functools
import math

import numpy as np

from npgrad import config
from npgrad._blas import product
from npgrad.layers._rows import inside_and_padded

POINTS = (
    0,
    3 / 2,
    -3 / 2,
    2 / 3,
    -2 / 3,
)  # and infinity, where a polynomial's value is its highest coefficient
TILE, INNER = 4, 6  # pixels of y, pixels of x
# How many tiles at once: as many as stay in the cache, but the more filters there are to read, the more tiles use them.
TILES, SHARE = 1 << 13, 512  # tiles * channels, and channels * filters / tiles


def winograd(layer, image, W, out, y):
    """The convolution of one image."""
    convolve(image, filters(W), out, y.reshape(*out, -1))


def winograd_input_gradient(layer, dy, W, out, dx):
    """The same of dy, with the kernel flipped, and its channels and filters exchanged (_rows.py)."""
    dimage, dy = inside_and_padded(layer, dy.reshape(*out, -1), dx)
    turned = filters(W, flip=True).transpose(0, 2, 1)
    if W.size < 16 * math.prod(
        out
    ):  # products with transposed matrices take longer; copying them takes longest
        turned = np.ascontiguousarray(turned)
    convolve(dy, turned, dimage.shape[:2], dimage)


def fits(layer, dtype):
    """Whether the layer may be computed in this way."""
    return dtype == np.float32 and is_3x3(layer) and not config.exact


def is_3x3(layer):
    """Whether the algorithm can compute the layer."""
    window = (tuple(layer.kernel_size), layer.stride, layer.dilation, layer.groups)
    return window == ((3, 3), (1, 1), (1, 1), 1)


@functools.cache
def transforms(dtype):
    """A, G and B for both directions at once: (16, 36), (36, 9), (36, 36)."""
    V = np.vander(POINTS, INNER, increasing=True)
    V = np.vstack([V, np.eye(INNER)[-1]])
    G = np.vstack([V[:-1, :3], [0, 0, 1]])
    A = np.vstack([V[:-1, :TILE], [0, 0, 0, 1]]).T
    B = np.linalg.inv(V).T
    return tuple(np.kron(one, one).astype(dtype) for one in (A, G, B))


def filters(W, flip=False):
    """The transformed kernels (36, C, F) of W (1, 3*3*C, F); of the kernels turned by 180 degrees if `flip`."""
    _, G, _ = transforms(W.dtype)
    G = np.ascontiguousarray(G[:, ::-1]) if flip else G
    return product(G, W.reshape(9, -1)).reshape(36, -1, W.shape[2])


def convolve(image, filters, out, y):
    """y (OH, OW, F) = the convolution of a padded image (H, W, C) with transformed kernels (36, C, F)."""
    A, _, B = transforms(np.result_type(image, filters))
    (_, c, f), (oh, ow) = filters.shape, out
    down, across = -(-oh // TILE), -(-ow // TILE)
    image = _enlarged(image, down * TILE + 2, across * TILE + 2)
    high, wide, deep = image.strides
    seen = np.lib.stride_tricks.as_strided(
        image, (INNER, INNER, down, across, c), (high, wide, TILE * high, TILE * wide, deep), writeable=False
    )
    count = max(1, TILES // (across * max(c, f)), c * f // (SHARE * across))
    for first in range(0, down, count):
        tiles = seen[:, :, first : first + count]
        n = tiles.shape[2]
        d = product(B, tiles.reshape(36, n * across * c)).reshape(36, n * across, c)
        found = product(A, product(d, filters).reshape(36, n * across * f))
        found = found.reshape(TILE, TILE, n, across, f).transpose(2, 0, 3, 1, 4)
        part = y[TILE * first : TILE * (first + n)]
        if part.shape == (TILE * n, TILE * across, f):
            part.reshape(n, TILE, across, TILE, f)[...] = found
        else:
            part[...] = found.reshape(TILE * n, TILE * across, f)[: len(part), :ow]


def _enlarged(image, height, width):
    """The image with zeros below and to the right, for the tiles at the border."""
    if image.shape[:2] == (height, width):
        return image
    larger = np.zeros((height, width, image.shape[2]), image.dtype)
    larger[: image.shape[0], : image.shape[1]] = image
    return larger
