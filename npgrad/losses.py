"""Losses, each with its gradient written by hand: `(value, gradient)`.

Features and images are (N, C, H, W). A value is the sum over everything it is given; the gradient has the shape
of what it is taken by, and goes as it stands into `tape.backward` as a seed. No absolute value stands
in any of them, so all can be checked by the complex step.
"""

import numpy as np

from npgrad.errors import InputError, TargetError, unknown


def content_loss(weight, current, original):
    """weight * sum (current - original)^2 and its gradient by `current` (Gatys et al. 2016, eq. 1).

    current, original: activations of one layer, of the same shape. Gatys has a factor 1/2, the course none.
    """
    current, original = _floats("content_loss", current), _floats("content_loss", original)
    _same_shape("content_loss", "original", current, original)
    weight = _number("content_loss: weight", weight)
    difference = current - original
    return weight * np.sum(difference * difference), 2 * weight * difference


def gram_matrix(features, normalize=True, mask=None):
    """How often channels fire together: G[n, i, j] = sum over pixels of F[n, i, p] F[n, j, p], (N, C, C).

    features (N, C, H, W). normalize: divide by C*H*W, as the course does (Gatys et al. 2016, eq. 3, without).
    mask (H, W), 0 to 1: weighs the pixels, F is multiplied by it first (Gatys et al. 2017, section 4); then
    C times the sum of mask^2 stands for C*H*W.
    """
    P = _pixels(features, mask)
    return P.transpose(0, 2, 1) @ P / _entries(features, normalize, mask)


def gram_matrix_backward(dgram, features, normalize=True, mask=None):
    """The gradient by `features`, (N, C, H, W), for a gradient `dgram` (N, C, C) of `gram_matrix`.

    G = P^T P with the pixels as the rows of P, so dP = P (dG + dG^T): P stands in the product twice, and its two
    gradients add.
    """
    P = _pixels(features, mask)
    dgram, (n, _, c) = np.asarray(dgram), P.shape
    if dgram.shape != (n, c, c):
        raise InputError(f"gram_matrix_backward: expected dgram {(n, c, c)}, found {dgram.shape}")
    dP = P @ ((dgram + dgram.transpose(0, 2, 1)) / _entries(features, normalize, mask))
    dfeatures = dP.reshape(n, *np.shape(features)[2:], c).transpose(0, 3, 1, 2)
    return dfeatures if mask is None else dfeatures * np.asarray(mask, dfeatures.dtype)


def style_loss(features, targets, weights, masks=None):
    """Sum over layers of weight * sum (G - A)^2, and {layer: its gradient}, ready as seeds (Gatys et al. 2016, eq. 5).

    features: {layer: activation (N, C, H, W)}. targets: {layer: Gram matrix A (N, C, C)}, normalized. weights:
    {layer: number}. masks: {layer: (H, W)} for `gram_matrix`, or None. The layers are those of `weights`; features
    of others are left alone.
    """
    value, gradients = 0.0, {}
    for layer, weight in weights.items():
        weight = _number(f"style_loss: weight at {layer}", weight)
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


def tv_loss(img, weight):
    """Total variation: weight * sum of squared differences of neighbors, down and across; and its gradient.

    img (N, C, H, W). Each difference pulls its two pixels together: one gets +2*weight*d, the other -2*weight*d.
    """
    img, weight = _floats("tv_loss", img), _number("tv_loss: weight", weight)
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


def l2_loss(x, weight):
    """weight * ||x||^2 and its gradient."""
    x, weight = _floats("l2_loss", x), _number("l2_loss: weight", weight)
    return weight * np.sum(x * x), 2 * weight * x


def cross_entropy(logits, target):
    """Minus the log of the target's probability, its mean over images; gradient (softmax - one hot) / N.

    logits (N, classes). target: N class indices, or one for all.
    """
    logits = np.asarray(logits)
    rows, target = _rows_and_targets("cross_entropy", logits, target)
    shifted = logits - logits.max(axis=1, keepdims=True)  # the same softmax, and no exponential overflows
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    dlogits = e / total
    dlogits[rows, target] -= 1
    log_probabilities = shifted[rows, target] - np.log(total[:, 0])
    return -np.mean(log_probabilities), dlogits / len(logits)


def score(logits, target):
    """The sum of the targets' raw scores, sum over i of logits[i, target[i]]; gradient 1 there, else 0.

    logits (N, classes). target: N class indices, or one for all. A score, so it is climbed, not descended.
    """
    logits = np.asarray(logits)
    rows, target = _rows_and_targets("score", logits, target)
    dlogits = np.zeros_like(logits)
    dlogits[rows, target] = 1
    return np.sum(logits[rows, target]), dlogits


def _pixels(features, mask):
    """features (N, C, H, W), weighed by the mask, as P (N, H*W, C): as npgrad keeps them, no number is moved."""
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
        raise InputError(
            f"{name}: target: expected a class index, or {n}, found {target.dtype} of shape {target.shape}"
        )
    if target.size and not 0 <= target.min() <= target.max() < classes:
        raise TargetError(
            f"{name}: target: expected 0 to {classes - 1}, found {target.min()} to {target.max()}"
        )
    return np.arange(n), np.broadcast_to(target, n)


def _floats(function, array):
    """As an array that can be differentiated: whole numbers of one byte would wrap around."""
    array = np.asarray(array)
    if array.dtype.kind not in "fc":
        raise InputError(f"{function}: expected floats, found {array.dtype} of shape {array.shape}")
    return array


def _number(name, value):
    """A weight as a plain float, which leaves float32 what it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise InputError(f"{name}: expected a finite number, found {value!r}")
    return float(value)


def _same_shape(function, name, expected, found):
    if expected.shape != found.shape:
        raise InputError(f"{function}: {name}: expected shape {expected.shape}, found {found.shape}")
