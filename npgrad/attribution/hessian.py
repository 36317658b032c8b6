"""Hessian-vector products: how the gradient of a score changes along a direction."""

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._targets import one_hot
from npgrad._typing import Array, Target
from npgrad.attribution._copies import begin, gradient_of_scores
from npgrad.attribution._surgery import onward, run_to
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.tape import INPUT

STEP = 1e-30  # along the imaginary axis: no difference is taken, so nothing cancels


@explains_scores
def hvp(
    model: Model, x: Array, target: Target = None, vector: Array | None = None, layer: str | None = None
) -> Array:
    """Compute H v, the product of the Hessian of the score with a vector: how the gradient changes along the vector.

    The gradient is an analytic function of x between kinks, and the hand-written backward pass computes it for complex
    numbers, too: with g(x) the gradient, g(x + i h v) = g(x) + i h H v - ..., so H v = Im g(x + i h v) / h. With
    h = 1e-30 all further terms are below rounding, and, other than in (g(x + h v) - g(x)) / h, no digits cancel: the
    product is exact (Squire, Trapp 1998, for a derivative). The cost is that of one pass over complex numbers.

    Where the score is piecewise linear in x, H is 0: a score of a network with ReLU and max pooling. Its probability,
    as in target="prob(tabby)", is not, and neither are networks with smooth activations.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    vector : ndarray or None
        The direction v, which broadcasts to x or to the layer's output y. None: x itself, or y.
    layer : str or None
        A layer whose output y takes the place of x: the Hessian with respect to y. None: x.

    Returns
    -------
    ndarray (N, C, H, W), or of the shape of y
        H v of each image.

    Raises
    ------
    InputError
        The vector has another shape or is not finite.
    UnknownName
        There is no such layer.

    Examples
    --------
    >>> import npgrad
    >>> square = npgrad.Model(npgrad.layers.Sequential({"flat": npgrad.layers.Flatten()}), outputs="value")
    >>> x = np.array([[[[1.0, 2.0]]]])
    >>> hvp(square, x, lambda y: ((y**3).sum(axis=1), 3 * y**2), np.array([1.0, 0.5])).tolist()  # H is diag(6 x)
    [[[[6.0, 6.0]]]]
    """
    layer = INPUT if layer is None else model.resolve(layer)
    x, targets, _, _ = begin(model, x, target)
    if layer == INPUT:
        v, size = direction(x if vector is None else vector, x)
        return _imaginary(gradient_of_scores(model, x + 1j * STEP * v, targets), size).astype(x.dtype)
    found = []
    for i in range(len(x)):
        tape = run_to(model, x[i : i + 1], layer)
        y = tape[layer]
        v = y if vector is None else expanded(vector, (len(x), *y.shape[1:]))[i : i + 1]
        found.append(gradient_and_product(model, tape, layer, v, targets[i : i + 1])[1].astype(y.dtype))
    return np.concatenate(found)


def gradient_and_product(model, tape, layer, vector, target):
    """(dy, H vector) at a layer, in float64; `tape` is the pass of one image, at least up to the layer."""
    y = tape[layer]
    v, size = direction(vector, y)
    above = onward(model, tape, layer, y + 1j * STEP * v)
    dy = above.backward(one_hot(model, above.output, target), at=(layer,))[layer]
    return dy.real, _imaginary(dy, size)


def direction(vector, x):
    """(the vector scaled to a largest value of 1, the scale), each image for itself, in x's shape and float64."""
    v = expanded(vector, x.shape).astype(np.float64)
    size = np.abs(v).max(axis=tuple(range(1, v.ndim)), keepdims=True)
    return v / np.where(size == 0, 1, size), size


def expanded(vector, shape):
    """The vector as an array of this shape."""
    v = np.asarray(vector)
    if v.dtype.kind not in "fiub" or not np.isfinite(v).all():
        raise InputError(f"vector: expected finite numbers, found {v.dtype} of shape {v.shape}")
    try:
        return np.broadcast_to(v, shape)
    except ValueError:
        raise InputError(f"vector: expected an array that broadcasts to {shape}, found {v.shape}") from None


def _imaginary(gradient, size):
    return gradient.imag / STEP * size
