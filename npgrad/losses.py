"""Losses, each with its gradient written by hand: every function returns ``(value, gradient)``.

The value is a sum over all elements, unless stated otherwise. The gradient can be given to `Tape.backward` as the
upstream gradient. No loss uses an absolute value, so that each can be checked by the complex step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad._validate import expect_indices, finite_number
from npgrad.errors import InputError, unknown

ByLayer = Mapping[str, Array]


def content_loss(weight: float, current: Array, original: Array) -> tuple[Any, Array]:
    """Return the content loss weight * sum (current - original)^2 (Gatys et al. 2016, eq. 1, without its factor 1/2).

    Parameters
    ----------
    weight : float
    current, original : ndarray
        Activations of one layer, of equal shape, real or complex floats.

    Returns
    -------
    value, gradient : scalar, ndarray
        The gradient is with respect to `current`: 2 * weight * (current - original).

    Raises
    ------
    InputError
        If the shapes differ, an array does not hold floats, or the weight is not a finite number.
    """
    current, original = _floats("content_loss", current), _floats("content_loss", original)
    _same_shape("content_loss", "original", current, original)
    weight = finite_number(weight, "content_loss: weight")
    difference = current - original
    return weight * np.sum(difference * difference), 2 * weight * difference


def gram_matrix(features: Array, normalize: bool = True, mask: Array | None = None) -> Array:
    """Return the Gram matrix: how often each pair of channels is active at the same pixel.

    G[n, i, j] = sum over pixels p of F[n, i, p] F[n, j, p]: Gatys, Ecker, Bethge 2016, eq. 3.

    Parameters
    ----------
    features : ndarray (N, C, H, W)
        Activations of one layer.
    normalize : bool, default True
        Divide by C*H*W, which the paper does not.
    mask : ndarray (H, W) or None
        Factors of the features at each pixel, 0 to 1 (Gatys et al. 2017, section 4). Then divides by C * sum(mask^2).

    Returns
    -------
    ndarray (N, C, C)

    Raises
    ------
    InputError
        If a shape does not fit or the features are not floats.
    """
    P = _pixels(features, mask)
    return P.transpose(0, 2, 1) @ P / _entries(features, normalize, mask)


def gram_matrix_backward(
    dgram: Array, features: Array, normalize: bool = True, mask: Array | None = None
) -> Array:
    """Return the gradient of a loss with respect to `features`, given that with respect to the Gram matrix.

    G = P^T P with the pixels as the rows of P, so dP = P (dG + dG^T): P is a factor twice, and its two gradients add.

    Parameters
    ----------
    dgram : ndarray (N, C, C)
        Upstream gradient; it need not be symmetric.
    features, normalize, mask
        As given to `gram_matrix`.

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    InputError
        If a shape does not fit or the features are not floats.
    """
    P = _pixels(features, mask)
    dgram, (n, _, c) = np.asarray(dgram), P.shape
    if dgram.shape != (n, c, c):
        raise InputError(f"gram_matrix_backward: expected dgram {(n, c, c)}, found {dgram.shape}")
    dP = P @ ((dgram + dgram.transpose(0, 2, 1)) / _entries(features, normalize, mask))
    dfeatures = dP.reshape(n, *np.shape(features)[2:], c).transpose(0, 3, 1, 2)
    return dfeatures if mask is None else dfeatures * np.asarray(mask, dfeatures.dtype)


def style_loss(
    features: Any, targets: ByLayer, weights: Mapping[str, float], masks: ByLayer | None = None
) -> tuple[Any, dict[str, Array]]:
    """Return the style loss: the weighted squared differences of Gram matrices, summed over layers.

    sum over layers of weight * sum (G - A)^2: Gatys, Ecker, Bethge 2016, eq. 4 and 5, with normalized Gram matrices.

    Parameters
    ----------
    features : Tape, or mapping of str to ndarray (N, C, H, W)
        Activations by layer.
    targets : mapping of str to ndarray (N, C, C)
        Normalized Gram matrices of the style image by layer.
    weights : mapping of str to float
        Weights by layer. Only these layers are used.
    masks : mapping of str to ndarray (H, W), or None
        The `mask` of `gram_matrix` by layer.

    Returns
    -------
    value, gradients : scalar, dict of str to ndarray (N, C, H, W)
        The gradient with respect to each layer's activation, as `Tape.backward` takes it.

    Raises
    ------
    InputError, UnknownName
        If a shape does not fit, a weight is not finite, or a mapping lacks a layer of `weights`.
    """
    value, gradients = 0.0, {}
    for layer, weight in weights.items():
        weight = finite_number(weight, f"style_loss: weight at {layer}")
        for name, given in (("features", features), ("targets", targets), ("masks", masks)):
            if given is not None and layer not in given:
                raise unknown(f"layer in {name}", layer, given)
        mask = None if masks is None else masks[layer]
        G, A = gram_matrix(features[layer], mask=mask), np.asarray(targets[layer])
        _same_shape("style_loss", f"target at {layer}", G, A)
        difference = G - A
        value = value + weight * np.sum(difference * difference)
        gradients[layer] = gram_matrix_backward(2 * weight * difference, features[layer], mask=mask)
    return value, gradients


def tv_loss(img: Array, weight: float) -> tuple[Any, Array]:
    """Return the total variation: the weighted sum of squared differences of vertical and horizontal neighbors.

    A difference d = a - b adds 2*weight*d to the gradient of pixel a and subtracts it from that of pixel b.

    Parameters
    ----------
    img : ndarray (N, C, H, W)
    weight : float

    Returns
    -------
    value, gradient : scalar, ndarray (N, C, H, W)

    Raises
    ------
    InputError
        If `img` is not an array (N, C, H, W) of floats, or the weight is not a finite number.
    """
    img, weight = _floats("tv_loss", img), finite_number(weight, "tv_loss: weight")
    if img.ndim != 4:
        raise InputError(f"tv_loss: expected images (N, C, H, W), found shape {img.shape}")
    down = img[:, :, 1:, :] - img[:, :, :-1, :]
    across = img[:, :, :, 1:] - img[:, :, :, :-1]
    dimg = np.zeros_like(img)
    dimg[:, :, 1:, :] += down
    dimg[:, :, :-1, :] -= down
    dimg[:, :, :, 1:] += across
    dimg[:, :, :, :-1] -= across
    dimg *= 2 * weight
    return weight * (np.sum(down * down) + np.sum(across * across)), dimg


def l2_loss(x: Array, weight: float) -> tuple[Any, Array]:
    """Return weight * ||x||^2 and its gradient 2 * weight * x.

    Parameters
    ----------
    x : ndarray of any shape
    weight : float

    Returns
    -------
    value, gradient : scalar, ndarray of the shape of x

    Raises
    ------
    InputError
        If x does not hold floats or the weight is not finite.
    """
    x, weight = _floats("l2_loss", x), finite_number(weight, "l2_loss: weight")
    return weight * np.sum(x * x), 2 * weight * x


def cross_entropy(logits: Array, target: Any) -> tuple[Any, Array]:
    """Return the cross-entropy, minus the log of the target's softmax probability, as a mean over the batch.

    Parameters
    ----------
    logits : ndarray (N, classes)
    target : int or array_like of int (N,)
        Class index of all images, or of each.

    Returns
    -------
    value, gradient : scalar, ndarray (N, classes)
        The gradient is (softmax - one hot) / N.

    Raises
    ------
    InputError, TargetError
        If `logits` is not (N, classes), `target` holds no class indices, or one is out of range.
    """
    logits = np.asarray(logits)
    rows, target = _rows_and_targets("cross_entropy", logits, target)
    shifted = logits - logits.max(axis=1, keepdims=True)  # the softmax is the same, and exp cannot overflow
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    dlogits = e / total
    dlogits[rows, target] -= 1
    log_probabilities = shifted[rows, target] - np.log(total[:, 0])
    return -np.mean(log_probabilities), dlogits / len(logits)


def score(logits: Array, target: Any) -> tuple[Any, Array]:
    """Return the sum of the targets' raw scores, which gradient ascent increases.

    Parameters
    ----------
    logits, target
        As for `cross_entropy`.

    Returns
    -------
    value, gradient : scalar, ndarray (N, classes)
        The sum over i of logits[i, target[i]]; 1 at [i, target[i]], 0 elsewhere.

    Raises
    ------
    InputError, TargetError
        As for `cross_entropy`.
    """
    logits = np.asarray(logits)
    rows, target = _rows_and_targets("score", logits, target)
    dlogits = np.zeros_like(logits)
    dlogits[rows, target] = 1
    return np.sum(logits[rows, target]), dlogits


def _pixels(features, mask):
    """The features (N, C, H, W), multiplied by the mask, as P (N, H*W, C); a view of a channels-last array."""
    features = _floats("gram_matrix", features)
    if features.ndim != 4:
        raise InputError(f"gram_matrix: expected features (N, C, H, W), found shape {features.shape}")
    if mask is not None:
        if np.shape(mask) != features.shape[2:]:
            raise InputError(f"gram_matrix: expected a mask {features.shape[2:]}, found {np.shape(mask)}")
        features = features * np.asarray(mask, features.dtype)
    return features.transpose(0, 2, 3, 1).reshape(len(features), -1, features.shape[1])


def _entries(features, normalize, mask):
    if not normalize:
        return 1
    _, c, h, w = np.shape(features)
    return c * (h * w if mask is None else max(float(np.sum(np.square(mask))), 1e-12))


def _rows_and_targets(name, logits, target):
    if logits.ndim != 2 or logits.size == 0:
        raise InputError(f"{name}: expected logits (N, classes), found shape {logits.shape}")
    n, classes = logits.shape
    target = np.asarray(target)
    if target.dtype.kind not in "iu" or target.shape not in ((), (n,)):
        found = f"{target.dtype} of shape {target.shape}"
        raise InputError(f"{name}: target: expected a class index, or {n}, found {found}")
    expect_indices(target, classes, f"{name}: target")
    return np.arange(n), np.broadcast_to(target, n)


def _floats(function, array):
    """An array of floats; differences of unsigned bytes would wrap around."""
    array = np.asarray(array)
    if array.dtype.kind not in "fc":
        raise InputError(f"{function}: expected floats, found {array.dtype} of shape {array.shape}")
    return array


def _same_shape(function, name, expected, found):
    if expected.shape != found.shape:
        raise InputError(f"{function}: {name}: expected shape {expected.shape}, found {found.shape}")
