"""What holds for every loss at any input: its gradient is its derivative, and scales as it does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import array, seeds, sides, sizes

from npgrad import losses

images = st.tuples(sides, sides, sizes, sizes)
weights = st.floats(-3, 3)
H = 1e-30


def along(loss, x, v):
    """(the derivative of loss along v by the complex step, <gradient, v>)"""
    value, gradient = loss(x)
    assert gradient.shape == x.shape and np.ndim(value) == 0
    return loss(x + 1j * H * v)[0].imag / H, np.vdot(gradient, v)


def assert_same(pair):
    assert np.isclose(*pair, rtol=1e-9, atol=1e-9)


@given(shape=images, weight=weights, seed=seeds)
def test_content_loss(shape, weight, seed):
    x, original, v = (array(seed + i, *shape) for i in range(3))
    assert_same(along(lambda x: losses.content_loss(weight, x, original), x, v))
    value, gradient = losses.content_loss(weight, original, original)
    assert value == 0 and not gradient.any()
    swapped, turned = losses.content_loss(weight, original, x)
    assert np.isclose(swapped, losses.content_loss(weight, x, original)[0])
    np.testing.assert_allclose(turned, -losses.content_loss(weight, x, original)[1])


@given(shape=images, weight=weights, seed=seeds)
def test_tv_loss(shape, weight, seed):
    x, v = array(seed, *shape), array(seed + 1, *shape)
    assert_same(along(lambda x: losses.tv_loss(x, weight), x, v))
    value, gradient = losses.tv_loss(x, weight)
    brighter, same = losses.tv_loss(x + 5, weight)  # only differences count
    assert np.isclose(brighter, value)
    np.testing.assert_allclose(same, gradient, atol=1e-9)
    mirrored, turned = losses.tv_loss(x[:, :, ::-1, ::-1], weight)
    assert np.isclose(mirrored, value)
    np.testing.assert_allclose(turned[:, :, ::-1, ::-1], gradient, atol=1e-12)
    assert np.isclose(gradient.sum(), 0, atol=1e-9)


@given(shape=images, weight=weights, seed=seeds)
def test_l2_loss(shape, weight, seed):
    x, v = array(seed, *shape), array(seed + 1, *shape)
    assert_same(along(lambda x: losses.l2_loss(x, weight), x, v))
    value, gradient = losses.l2_loss(3 * x, weight)
    assert np.isclose(value, 9 * losses.l2_loss(x, weight)[0])
    assert np.isclose(np.vdot(gradient, 3 * x), 2 * value)  # Euler: of second order


@given(shape=images, normalize=st.booleans(), masked=st.booleans(), seed=seeds)
def test_gram_matrix(shape, normalize, masked, seed):
    F, v = array(seed, *shape), array(seed + 1, *shape)
    mask = np.abs(array(seed + 2, *shape[2:])) if masked else None
    G = losses.gram_matrix(F, normalize, mask)
    dG = array(seed + 3, *G.shape)
    moved = losses.gram_matrix(F + 1j * H * v, normalize, mask).imag / H
    assert_same((np.vdot(dG, moved), np.vdot(losses.gram_matrix_backward(dG, F, normalize, mask), v)))
    np.testing.assert_allclose(G, G.transpose(0, 2, 1), atol=1e-12)
    assert np.linalg.eigvalsh(G).min() > -1e-9 * max(
        1, np.abs(G).max()
    )  # no pattern is there less than never
    order = np.random.default_rng(seed).permutation(shape[2] * shape[3])
    shuffled = F.reshape(*shape[:2], -1)[:, :, order].reshape(shape)
    if mask is None:  # where something stands does not count
        np.testing.assert_allclose(losses.gram_matrix(shuffled, normalize), G, atol=1e-10)


@given(shape=images, seed=seeds, layer_weights=st.lists(weights, min_size=1, max_size=3))
def test_style_loss(shape, seed, layer_weights):
    names = [f"layer{i}" for i in range(len(layer_weights))]
    weight = dict(zip(names, layer_weights, strict=True))
    F = {name: array(seed + i, *shape) for i, name in enumerate(names)}
    A = {name: losses.gram_matrix(array(seed + 9 + i, *shape)) for i, name in enumerate(names)}
    value, gradients = losses.style_loss(F, A, weight)
    assert list(gradients) == names
    for name in names:
        v = array(seed + 20, *shape)
        moved = losses.style_loss({**F, name: F[name] + 1j * H * v}, A, weight)[0].imag / H
        assert_same((moved, np.vdot(gradients[name], v)))
    own = {name: losses.gram_matrix(F[name]) for name in names}
    assert losses.style_loss(F, own, weight)[0] == 0
    alone = sum(losses.style_loss({n: F[n]}, {n: A[n]}, {n: weight[n]})[0] for n in names)
    assert np.isclose(value, alone)


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.score])
@given(n=sides, classes=st.integers(2, 7), seed=seeds)
def test_losses_of_logits(loss, n, classes, seed):
    logits, v = array(seed, n, classes), array(seed + 1, n, classes)
    target = np.random.default_rng(seed).integers(0, classes, n)
    assert_same(along(lambda z: loss(z, target), logits, v))
    value, gradient = loss(logits, target)
    order = np.random.default_rng(seed + 2).permutation(n)
    assert np.isclose(loss(logits[order], target[order])[0], value)
    if loss is losses.cross_entropy:
        assert value > 0
        raised, same = loss(logits + 100, target)  # only differences of logits count
        assert np.isclose(raised, value)
        np.testing.assert_allclose(same, gradient, atol=1e-9)
        np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)
        assert (gradient[np.arange(n), target] < 0).all()
