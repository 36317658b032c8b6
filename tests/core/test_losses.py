"""Losses and their gradients: by complex step, against torch's autograd, on real photos, and what is refused."""

import re

import numpy as np
import pytest
import torch
from checks import assert_close
from messages import AN_INDEX
from torch.nn import functional

import npgrad
from npgrad import InputError, losses
from npgrad.errors import TargetError, UnknownName

SHAPES = [(1, 3, 6, 5), (2, 4, 1, 7), (3, 1, 5, 1), (2, 5, 1, 1)]
MASK = np.array([[0.0, 0.5, 1, 1, 0.25]] * 6)


def randoms(shape, seed, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def torch_gram(F, normalize=True, mask=None):
    n, c, h, w = F.shape
    entries = c * h * w
    if mask is not None:
        mask = torch.tensor(mask, dtype=F.dtype)
        F, entries = F * mask, c * (mask**2).sum()
    G = torch.einsum("ncp,ndp->ncd", F.reshape(n, c, -1), F.reshape(n, c, -1))
    return G / entries if normalize else G


def torch_tv(x):
    return ((x[..., 1:, :] - x[..., :-1, :]) ** 2).sum() + ((x[..., 1:] - x[..., :-1]) ** 2).sum()


def gram_backward(shape, seed, **options):
    """sum(dG * gram) and its gradient: how a gradient of the Gram matrix is checked as a loss."""
    dG = randoms((shape[0], shape[1], shape[1]), seed)  # not symmetrical

    def loss(F):
        own = dG.astype(F.real.dtype)
        return np.sum(own * losses.gram_matrix(F, **options)), losses.gram_matrix_backward(own, F, **options)

    def in_torch(F):
        return (torch.tensor(dG, dtype=F.dtype) * torch_gram(F, **options)).sum()

    return loss, in_torch


def style(shape, masks=None):
    """style_loss by one of two layers, whose targets come from other images."""
    other, weights = randoms(shape, 5), {"a": 20.0, "b": 0.5}
    fixed, shown = other[:, :, ::-1] + 1, None if masks is None else {"a": masks, "b": masks}
    targets = {name: losses.gram_matrix(f, mask=masks) for name, f in (("a", other), ("b", 2 * other))}

    def loss(F):
        own = {name: A.astype(F.real.dtype) for name, A in targets.items()}
        value, gradients = losses.style_loss({"a": F, "b": fixed}, own, weights, shown)
        return value, gradients["a"]

    def in_torch(F):
        value = 0
        for name, f in (("a", F), ("b", torch.tensor(fixed.copy(), dtype=F.dtype))):
            A = torch.tensor(targets[name], dtype=F.dtype)
            value = value + weights[name] * ((torch_gram(f, mask=masks) - A) ** 2).sum()
        return value

    return loss, in_torch


def cases():
    """(name, loss of x, the same in torch, the shape of x)"""
    for shape in SHAPES:
        original, name = randoms(shape, 3), "x".join(map(str, shape))
        yield (f"content {name}", lambda x, o=original: losses.content_loss(0.3, x, o.astype(x.real.dtype)),
               lambda x, o=original: 0.3 * ((x - torch.tensor(o, dtype=x.dtype)) ** 2).sum(), shape)  # fmt: skip
        yield f"tv {name}", lambda x: losses.tv_loss(x, 0.7), lambda x: 0.7 * torch_tv(x), shape
        yield f"l2 {name}", lambda x: losses.l2_loss(x, 2.5), lambda x: 2.5 * (x**2).sum(), shape
        yield f"gram {name}", *gram_backward(shape, 7), shape
        yield f"gram not normalized {name}", *gram_backward(shape, 7, normalize=False), shape
        yield f"style {name}", *style(shape), shape
    yield "gram masked", *gram_backward((2, 3, 6, 5), 7, mask=MASK), (2, 3, 6, 5)
    yield "gram masked by bools", *gram_backward((2, 3, 6, 5), 7, mask=MASK > 0), (2, 3, 6, 5)
    yield "style masked", *style((2, 3, 6, 5), MASK), (2, 3, 6, 5)
    for target in (3, [1, 0, 3, 3]):
        tensor = torch.tensor(np.broadcast_to(target, 4).copy())
        yield (f"cross entropy {target}", lambda x, t=target: losses.cross_entropy(x, t),
               lambda x, t=tensor: functional.cross_entropy(x, t), (4, 6))  # fmt: skip
        yield (f"score {target}", lambda x, t=target: losses.score(x, t),
               lambda x, t=tensor: x[torch.arange(4), t].sum(), (4, 6))  # fmt: skip


CASES = [pytest.param(*case[1:], id=case[0]) for case in cases()]


@pytest.mark.parametrize(("loss", "in_torch", "shape"), CASES)
def test_gradients_by_complex_step(loss, in_torch, shape):
    found = npgrad.gradcheck(loss, randoms(shape, 1), tolerance=1e-12)
    assert found, found


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize(("loss", "in_torch", "shape"), CASES)
def test_values_and_gradients_are_torchs(loss, in_torch, shape, dtype, rtol):
    same_as_torch(loss, in_torch, randoms(shape, 1, dtype), rtol)


def same_as_torch(loss, in_torch, x, rtol):
    before = x.copy()
    value, gradient = loss(x)
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    expected = in_torch(leaf)
    if leaf.numel() > 1 and expected.requires_grad:
        expected.backward()
    expected_gradient = np.zeros(x.shape) if leaf.grad is None else leaf.grad.numpy()
    assert_close(value, expected.item(), rtol, "value")
    assert_close(gradient, expected_gradient, rtol, "gradient")
    assert gradient.dtype == x.dtype
    np.testing.assert_array_equal(x, before)


# a single pixel has no neighbors: there the gradient is 0 everywhere
@pytest.mark.parametrize(("loss", "in_torch", "shape"), [case for case in CASES if case.id != "tv 2x5x1x1"])
def test_a_gradient_off_by_a_thousandth_in_one_entry_is_seen(loss, in_torch, shape):
    def spoilt(x):
        value, gradient = loss(x)
        gradient = np.array(gradient)
        gradient.flat[np.abs(gradient).argmax()] *= 1.001
        return value, gradient

    assert not npgrad.gradcheck(spoilt, randoms(shape, 1), tolerance=1e-12)
    with pytest.raises(AssertionError, match="gradient: off by"):
        same_as_torch(spoilt, in_torch, randoms(shape, 1), 1e-10)


def test_small_examples_by_hand():
    assert losses.content_loss(2, np.array([1.0, 2.0]), np.array([0.0, 4.0]))[0] == 2 * (1 + 4)
    image = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])
    assert losses.tv_loss(image, 1)[0] == 3**2 + 6**2 + 1**2 + 4**2
    gram = losses.gram_matrix(np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]]), normalize=False)
    np.testing.assert_array_equal(gram, [[[5, 11], [11, 25]]])
    np.testing.assert_allclose(losses.cross_entropy(np.zeros((3, 5)), 0)[0], np.log(5))
    assert losses.score(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 0])[0] == 2 + 3


def test_a_mask_of_ones_changes_nothing_and_one_of_zeros_gives_no_nan():
    F = randoms((2, 3, 4, 5), 1)
    assert_close(losses.gram_matrix(F, mask=np.ones((4, 5))), losses.gram_matrix(F), 1e-14)
    assert not losses.gram_matrix(F, mask=np.zeros((4, 5))).any()


def test_style_loss_leaves_layers_without_a_weight_alone():
    F = {"a": randoms((1, 2, 3, 3), 1), "b": randoms((1, 4, 2, 2), 2)}
    targets = {name: np.zeros((1, f.shape[1], f.shape[1])) for name, f in F.items()}
    value, gradients = losses.style_loss(F, targets, {"b": 2.0})
    assert list(gradients) == ["b"] and value == 2 * np.sum(losses.gram_matrix(F["b"]) ** 2)
    assert losses.style_loss(F, targets, {}) == (0.0, {})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_do_not_overflow(dtype):
    logits = np.array([[1e30, -1e30, 0], [1000, 999, -1000]], dtype)
    value, gradient = losses.cross_entropy(logits, [0, 1])
    np.testing.assert_allclose(value, (0 + np.log(1 + np.e)) / 2, rtol=1e-6)
    p = np.e / (1 + np.e)
    np.testing.assert_allclose(gradient, [[0, 0, 0], [p / 2, -p / 2, 0]], rtol=1e-6)
    assert losses.cross_entropy(logits, 1)[0] > 1e29


def test_weights_of_float64_leave_float32_what_it_is():
    x, weight = randoms((1, 3, 4, 4), 1, np.float32), np.float64(0.1)
    style = losses.style_loss({"a": x}, {"a": np.zeros((1, 3, 3), np.float32)}, {"a": weight},
                              {"a": np.full((4, 4), 0.5)})[1]  # fmt: skip
    gradients = [losses.content_loss(weight, x, x + 1)[1], losses.tv_loss(x, weight)[1], style["a"],
                 losses.l2_loss(x, weight)[1]]  # fmt: skip
    assert [g.dtype for g in gradients] == [np.float32] * 4


X, LOGITS = np.zeros((1, 3, 4, 4)), np.zeros((2, 5))
REFUSED = [
    (lambda: losses.content_loss(1, X, X[0]), InputError, "expected shape (1, 3, 4, 4), found (3, 4, 4)"),
    (lambda: losses.content_loss("1", X, X), InputError, "content_loss: weight: expected a finite number, found '1'"),
    (lambda: losses.tv_loss(X, np.nan), InputError, "tv_loss: weight: expected a finite number, found nan"),
    (lambda: losses.tv_loss(X.astype(np.uint8), 1), InputError, "tv_loss: expected floats, found uint8"),
    (lambda: losses.tv_loss(X[0], 1), InputError, "expected images (N, C, H, W), found shape (3, 4, 4)"),
    (lambda: losses.gram_matrix(X[0]), InputError, "expected features (N, C, H, W), found shape (3, 4, 4)"),
    (lambda: losses.gram_matrix(X, mask=np.ones((4, 5))), InputError, "expected a mask (4, 4), found (4, 5)"),
    (lambda: losses.gram_matrix_backward(X, X), InputError, "expected dgram (1, 3, 3), found (1, 3, 4, 4)"),
    (lambda: losses.style_loss({"a": X}, {"a": X}, {"a": 1}), InputError, "target at a: expected shape (1, 3, 3)"),
    (lambda: losses.style_loss({"fire2": X}, {}, {"fire3": 1}), UnknownName, "no layer in features 'fire3'"),
    (lambda: losses.style_loss({"a": X}, {}, {"a": 1}), UnknownName, "no layer in targets 'a'"),
    (lambda: losses.style_loss({"a": X}, {"a": X}, {"a": 1}, {}), UnknownName, "no layer in masks 'a'"),
    (lambda: losses.cross_entropy(LOGITS[0], 0), InputError, "expected logits (N, classes), found shape (5,)"),
    (lambda: losses.cross_entropy(LOGITS[:0], 0), InputError, "expected logits (N, classes), found shape (0, 5)"),
    (lambda: losses.cross_entropy(LOGITS, 5), TargetError, f"target: {AN_INDEX} 4, found 5 to 5"),
    (lambda: losses.cross_entropy(LOGITS, [0, -1]), TargetError, f"target: {AN_INDEX} 4, found -1 to 0"),
    (lambda: losses.cross_entropy(LOGITS, [0, 1, 2]), InputError, "expected a class index, or 2, found int64 of"),
    (lambda: losses.score(LOGITS, 1.5), InputError, "expected a class index, or 2, found float64 of shape ()"),
    (lambda: losses.score(LOGITS, "cat"), InputError, "score: target: expected a class index, or 2"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(call, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1


BYTES = np.zeros((1, 3, 4, 4), np.uint8)
FLOATS = "expected floats, found uint8 of shape (1, 3, 4, 4)"
NUMBER = "expected a finite number, found '1'"
INDEX = "target: expected a class index, or 2, found float64 of shape ()"
LINES = [  # each begins with the name of what refuses
    (lambda: losses.content_loss(1, BYTES, X), f"content_loss: {FLOATS}"),
    (lambda: losses.content_loss(1, X, BYTES), f"content_loss: {FLOATS}"),
    (lambda: losses.content_loss(1, X, X[0]),
     "content_loss: original: expected shape (1, 3, 4, 4), found (3, 4, 4)"),
    (lambda: losses.content_loss("1", X, X), f"content_loss: weight: {NUMBER}"),
    (lambda: losses.gram_matrix(BYTES), f"gram_matrix: {FLOATS}"),
    (lambda: losses.style_loss({"a": X}, {"a": X}, {"a": "1"}), f"style_loss: weight at a: {NUMBER}"),
    (lambda: losses.style_loss({"a": X}, {"a": X}, {"a": 1}),
     "style_loss: target at a: expected shape (1, 3, 3), found (1, 3, 4, 4)"),
    (lambda: losses.tv_loss(BYTES, 1), f"tv_loss: {FLOATS}"),
    (lambda: losses.tv_loss(X, "1"), f"tv_loss: weight: {NUMBER}"),
    (lambda: losses.tv_loss(X, True), "tv_loss: weight: expected a finite number, found True"),
    (lambda: losses.l2_loss(BYTES, 1), f"l2_loss: {FLOATS}"),
    (lambda: losses.l2_loss(X, "1"), f"l2_loss: weight: {NUMBER}"),
    (lambda: losses.cross_entropy(LOGITS[0], 0), "cross_entropy: expected logits (N, classes), found shape (5,)"),
    (lambda: losses.cross_entropy(LOGITS, 1.5), f"cross_entropy: {INDEX}"),
    (lambda: losses.score(LOGITS[0], 0), "score: expected logits (N, classes), found shape (5,)"),
    (lambda: losses.score(LOGITS, 1.5), f"score: {INDEX}"),
    (lambda: losses.score(LOGITS, True), "score: target: expected a class index, or 2, found bool of shape ()"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "line"), LINES, ids=range(len(LINES)))
def test_the_whole_line_of_a_refusal(call, line):
    with pytest.raises(InputError) as refusal:
        call()
    assert str(refusal.value) == line


def test_targets_out_of_range_say_whose_they_are():
    for loss in losses.cross_entropy, losses.score:
        with pytest.raises(TargetError) as refusal:
            loss(LOGITS, [0, 5])
        assert str(refusal.value) == f"{loss.__name__}: target: {AN_INDEX} 4, found 0 to 5"


@pytest.fixture(scope="module")
def photos(shared, real_model):
    """Two photos, the second one the first's style, and their features: float64 values that float32 can hold."""
    images = [shared / "images" / f"{name}.jpg" for name in ("tubingen", "Egyptian_cat")]
    x = real_model.preprocess(images)
    tape = real_model.forward(x, upto="fire5")
    return x, {name: tape[name] for name in ("relu1", "fire2", "fire3", "fire4", "fire5")}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_on_real_photos_and_their_features(photos, dtype, rtol):
    x, features = photos
    content, painted = ({name: f[i : i + 1].astype(dtype) for name, f in features.items()} for i in (0, 1))
    weights = {"relu1": 20000.0, "fire3": 500.0, "fire4": 12.0, "fire5": 1.0}
    targets = {name: losses.gram_matrix(painted[name]) for name in weights}

    same_as_torch(lambda x: losses.tv_loss(x, 0.05), lambda x: 0.05 * torch_tv(x), x.astype(dtype), rtol)
    same_as_torch(
        lambda f: losses.content_loss(0.05, f, painted["fire2"]),
        lambda f: 0.05 * ((f - torch.tensor(painted["fire2"])) ** 2).sum(), content["fire2"], rtol,
    )  # fmt: skip
    value, gradients = losses.style_loss(content, targets, weights)
    leaves = {name: torch.tensor(content[name], dtype=torch.float64, requires_grad=True) for name in weights}
    expected = sum(
        weight * ((torch_gram(leaves[name]) - torch_gram(torch.tensor(painted[name]).double())) ** 2).sum()
        for name, weight in weights.items()
    )
    expected.backward()
    assert_close(value, expected.item(), rtol)
    for name, leaf in leaves.items():
        gram = torch_gram(leaf.detach()).numpy()
        assert_close(losses.gram_matrix(content[name]), gram, rtol, f"Gram matrix of {name}")
        assert_close(gradients[name], leaf.grad.numpy(), rtol, f"gradient at {name}")
        assert gradients[name].dtype == dtype


def test_a_small_mask_is_divided_by_what_it_is():
    features = np.ones((1, 1, 2, 2))
    mask = np.full((2, 2), 0.1)
    assert losses.gram_matrix(features, mask=mask).item() == pytest.approx(1)
