"""Linear maps along the height and the width of an image, each a matrix."""

from npgrad.layers.im2col import channels_first, channels_last


def map_sides(x, P, Q):
    """y = P @ x @ Q.T of every channel: P (OH, H), Q (OW, W), x (N, C, H, W) -> y (N, C, OH, OW).

    Its gradient is the same with the matrices transposed: dx = P.T @ dy @ Q.
    """
    n, h, w, c = (x := channels_last(x)).shape
    rows = (P @ x.reshape(n, h, w * c)).reshape(n, len(P), w, c)
    return channels_first(Q @ rows)
