"""Concept activation vectors (Kim et al. 2018): the direction from other images to a concept's, at a layer.

A linear classifier separates the activations a of the concept's images from those of other images; the concept's vector
is the normal of its boundary. An image has more numbers than there are images, so the classifier's weights are looked
for as a sum of activations, w = sum over i of c_i * a_i, and the M coefficients c are what is solved for: no more can
be needed, since a part of w that is orthogonal to all a changes no prediction and only adds to |w|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._parallel.batches import batches, copies_at_once
from npgrad._typing import Array, Rng
from npgrad._validate import check_input, generator, one_of, positive_number
from npgrad.attribution._common import layer_name
from npgrad.attribution._surgery import run_to
from npgrad.errors import InputError
from npgrad.model import Model

CLASSIFIERS = ("logistic", "least_squares")
HELD_OUT = 3  # one of so many examples is


@dataclass(frozen=True, eq=False)
class ConceptVector:
    """A concept activation vector.

    Parameters
    ----------
    layer : str
        The layer.
    vector : ndarray
        The direction to the concept, of the shape of the layer's output for one image and of length 1.
    accuracy : float
        The share of held-out examples that the classifier recognizes, the mean of that of the concept's and of the
        others. About 0.5 means that the layer does not tell them apart; NaN if there were fewer than three of each.
    """

    layer: str
    vector: Array
    accuracy: float


def concept_vector(
    model: Model,
    concept: Array,
    others: Array,
    layer: str | None = None,
    classifier: str = "logistic",
    alpha: float = 0.01,
    rng: Rng = 0,
    batch_size: int | None = None,
) -> ConceptVector:
    """Find the direction from other images to those of a concept in the activations of a layer.

    Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas, Sayres 2018, section 3.2. A third of the examples is held out for the
    accuracy; with the others, y = 1 for the concept and 0 else, and r^2 the mean of |a - mean a|^2, w minimizes

        mean of -log p(y | sigmoid(w.a + b)) + alpha / 2 * r^2 * |w|^2       "logistic"
        mean of (w.a + b - (2 y - 1))^2 / 2  + alpha / 2 * r^2 * |w|^2       "least_squares"

    Parameters
    ----------
    model : Model
        The network.
    concept, others : ndarray (M, C, H, W)
        Preprocessed images with the concept, and without; `examples` makes them of folders.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    classifier : {"logistic", "least_squares"}
        What is minimized.
    alpha : float, default 0.01
        The weight of |w|^2, relative to the size of the activations.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the choice of the held-out examples.
    batch_size : int or None
        Number of images per forward pass. None: as many as fit into 128 MB.

    Returns
    -------
    ConceptVector

    Raises
    ------
    InputError
        An argument cannot be used, or the activations of all images are the same.
    UnknownName
        There is no such layer.
    """
    one_of(classifier, "classifier", CLASSIFIERS)
    alpha, rng = positive_number(alpha, "alpha"), generator(rng)
    layer = layer_name(model, concept, layer)
    sides = [activations(model, images, layer, batch_size) for images in (concept, others)]
    if sides[0].shape[1:] != sides[1].shape[1:]:
        raise InputError(
            f"others: expected activations {sides[0].shape[1:]} of {layer}, as of the concept, "
            f"found {sides[1].shape[1:]}"
        )
    w, accuracy = direction(*(side.reshape(len(side), -1) for side in sides), classifier, alpha, rng)
    return ConceptVector(layer, w.reshape(sides[0].shape[1:]), accuracy)


def activations(model: Model, x: Array, layer: str, batch_size: int | None = None) -> Array:
    """Return a layer's output of many images.

    Parameters
    ----------
    model : Model
    x : ndarray (M, C, H, W)
    layer : str
    batch_size : int or None

    Returns
    -------
    ndarray (M, ...)
    """
    x = check_input(x)
    size = copies_at_once(model, x, batch_size, backward=False)
    return np.concatenate([run_to(model, x[rows], layer)[layer] for rows in batches(len(x), size)])


def direction(
    concept: Array, others: Array, classifier: str, alpha: float, rng: np.random.Generator
) -> tuple[Array, float]:
    """Return the unit normal of the boundary, and the accuracy on held-out examples.

    Parameters
    ----------
    concept, others : ndarray (M, D)
        Activations.
    classifier : str
    alpha : float
    rng : numpy.random.Generator

    Returns
    -------
    ndarray (D,), float
    """
    drawn = [rng.permutation(len(side)) for side in (concept, others)]
    held = [order[: len(order) // HELD_OUT] for order in drawn]
    kept = [order[len(order) // HELD_OUT :] for order in drawn]
    A = np.concatenate([concept[kept[0]], others[kept[1]]]).astype(np.float64)
    y = np.repeat([1.0, 0.0], [len(rows) for rows in kept])
    w, b = fitted(A, y, classifier, alpha)
    found = [concept[held[0]] @ w + b > 0, others[held[1]] @ w + b <= 0]
    accuracy = float(np.mean([hits.mean() for hits in found])) if all(map(len, found)) else float("nan")
    return w / np.sqrt(w @ w), accuracy


def fitted(A: Array, y: Array, classifier: str, alpha: float) -> tuple[Array, float]:
    """Fit a linear classifier; see `concept_vector` for what is minimized.

    Parameters
    ----------
    A : ndarray (M, D), float64
    y : ndarray (M,)
        1 or 0.
    classifier : str
    alpha : float

    Returns
    -------
    w : ndarray (D,)
    b : float
    """
    mean = A.mean(axis=0)
    A = A - mean
    square = (A * A).sum(axis=1).mean()
    if not square > 1e-20 * (mean @ mean):
        raise InputError("concept: expected images with different activations, found all the same")
    K = A @ A.T / square
    solve = _logistic if classifier == "logistic" else _least_squares
    c, b = solve(K, y, len(y) * alpha)
    w = A.T @ c / square
    return w, float(b - w @ mean)


def _least_squares(K, y, penalty):
    """c and b of z = K c + b: (K + penalty) c + b = 2 y - 1, and sum of c = 0, where the gradient is 0."""
    return _solved(K, np.ones(len(y)), 2 * y - 1, penalty)


def _logistic(K, y, penalty):
    """The same for the logistic loss, by Newton's method: a weighted least-squares problem in each step.

    With p = sigmoid(z) and s^2 = p (1 - p), a step solves the former for z + (y - p) / s^2 in place of 2 y - 1, with
    the rows and columns of K times s. It is halved until the loss does not rise.
    """
    c, b = np.zeros(len(y)), 0.0

    def loss(c, b):
        z = K @ c + b
        return np.logaddexp(0, z).sum() - y @ z + penalty / 2 * c @ K @ c

    now = loss(c, b)
    for _ in range(100):
        z = K @ c + b
        p = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        s = np.sqrt(np.maximum(p * (1 - p), 1e-12))
        u, offset = _solved(s[:, None] * K * s, s, s * z + (y - p) / s, penalty)
        dc, db = s * u - c, offset - b
        for _ in range(40):
            then = loss(c + dc, b + db)
            if then <= now * (1 + 1e-12):  # up to rounding
                break
            dc, db = dc / 2, db / 2
        c, b, now = c + dc, b + db, then
        if np.abs(dc).max() <= 1e-13 * np.abs(c).max():
            break
    return c, b


def _solved(K, s, t, penalty):
    """u and b with (K + penalty) u + b s = t and s.u = 0."""
    found = np.linalg.solve(K + penalty * np.eye(len(s)), np.stack([t, s], axis=1))
    b = (s @ found[:, 0]) / (s @ found[:, 1])
    return found[:, 0] - b * found[:, 1], b
