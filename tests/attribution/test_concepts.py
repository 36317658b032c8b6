"""Concept activation vectors against scikit-learn's classifiers, and TCAV against torch's autograd."""

import warnings

import numpy as np
import pytest
import torch
from captum_nets import pairs
from checks import assert_close
from messages import A_NUMBER, A_WHOLE_NUMBER, AN_INDEX
from PIL import Image
from scipy.stats import ttest_ind
from sklearn.linear_model import LogisticRegression, Ridge

import npgrad
from npgrad import ImageError, InputError, Model, UnknownName
from npgrad.attribution.concepts import concept_vector, examples, tcav
from npgrad.attribution.concepts.vectors import fitted
from npgrad.layers import Conv2d, Flatten, Linear, Sequential
from npgrad.scenes import CLASSES, of_class, scene

NET = {pair.name: pair for pair in pairs()}["fires"]
LAYER = "fire4"


def clouds(rng, d, m=(20, 15), apart=1.0):
    """Activations of two kinds of images, and y."""
    A = rng.normal(size=(sum(m), d)) * rng.uniform(0.1, 3, d) + 5
    A[: m[0]] += apart * rng.normal(size=d)
    return A, np.repeat([1.0, 0.0], m)


@pytest.mark.parametrize("d", [1, 4, 200])
@pytest.mark.parametrize("alpha", [1e-3, 0.01, 1.0])
@pytest.mark.parametrize("apart", [0.1, 3.0])
def test_the_logistic_classifier_is_scikit_learns(d, alpha, apart, rng):
    A, y = clouds(rng, d, apart=apart)
    w, b = fitted(A, y, "logistic", alpha)
    square = ((A - A.mean(axis=0)) ** 2).sum(axis=1).mean()
    theirs = LogisticRegression(
        C=1 / (len(y) * alpha * square), solver="newton-cholesky", tol=1e-14, max_iter=1000
    ).fit(A - A.mean(axis=0), y)
    np.testing.assert_allclose(w, theirs.coef_[0], rtol=1e-6, atol=1e-7 * np.abs(w).max())
    p = 1 / (1 + np.exp(-(A @ w + b)))  # where the gradient is 0
    gradient = (A - A.mean(axis=0)).T @ (p - y) / len(y) + alpha * square * w
    assert np.abs(gradient).max() < 1e-10 * np.abs(A).max()
    assert abs((p - y).mean()) < 1e-10


@pytest.mark.parametrize("d", [1, 4, 200])
def test_the_least_squares_classifier_is_scikit_learns(d, rng):
    A, y = clouds(rng, d)
    square = ((A - A.mean(axis=0)) ** 2).sum(axis=1).mean()
    theirs = Ridge(alpha=len(y) * 0.02 * square, solver="cholesky", tol=1e-14).fit(A, 2 * y - 1)
    w, b = fitted(A, y, "least_squares", 0.02)
    np.testing.assert_allclose(w, theirs.coef_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(b, theirs.intercept_, rtol=1e-8)


def test_a_vector_does_not_depend_on_the_scale_of_the_activations(rng):
    A, y = clouds(rng, 7)
    for classifier in ("logistic", "least_squares"):
        w, b = fitted(A, y, classifier, 0.01)
        large, offset = fitted(1e100 * A, y, classifier, 0.01)
        np.testing.assert_allclose(1e100 * large, w, rtol=1e-6)
        np.testing.assert_allclose(offset, b, rtol=1e-6)
    far = np.where(y[:, None] > 0, 1e3, -1e3) + A  # far apart: no overflow
    assert np.isfinite(fitted(far, y, "logistic", 1e-6)[0]).all()


def with_and_without(rng, n=30):
    """Images of noise with a bright square somewhere, and images of noise."""
    x = rng.normal(size=(2, n, *NET.x.shape[1:]))
    for image in x[0]:
        top, left = rng.integers(0, 20, 2)
        image[:, top : top + 8, left : left + 8] += 3
    return x


def test_a_vector_points_to_its_concept(rng):
    concept, others = with_and_without(rng)
    for classifier in ("logistic", "least_squares"):
        found = concept_vector(NET.model, concept, others, LAYER, classifier)
        A, B = (NET.model.forward(x)[LAYER] for x in (concept, others))
        assert found.layer == LAYER and found.vector.shape == A.shape[1:]
        np.testing.assert_allclose((found.vector**2).sum(), 1, rtol=1e-12)
        assert (A * found.vector).sum(axis=(1, 2, 3)).mean() > (B * found.vector).sum(axis=(1, 2, 3)).mean()
        assert 0.7 < found.accuracy <= 1
    same = concept_vector(NET.model, concept, others, LAYER, rng=np.random.default_rng(0), batch_size=3)
    again = concept_vector(NET.model, concept, others, LAYER)
    assert_close(same.vector, again.vector, 1e-9)
    assert concept_vector(NET.model, concept, others).layer == NET.model.map_layer(NET.model.forward(concept))
    flat = concept_vector(NET.model, concept, others, "pool5")
    assert flat.vector.ndim in (1, 3)


def test_the_held_out_examples_take_no_part(rng):
    """Nothing can be learned of noise: the accuracy is about 1/2, though the kept examples are separated."""
    x = rng.normal(size=(60, *NET.x.shape[1:]))
    found = [concept_vector(NET.model, x[:30], x[30:], "input", rng=seed).accuracy for seed in range(20)]
    assert abs(np.mean(found) - 0.5) < 0.1
    assert np.isnan(concept_vector(NET.model, x[:2], x[30:], "input").accuracy)


def test_scores_are_those_of_torch(rng):
    """S of every image and vector by autograd; the vectors are those of concept_vector, drawn in the same order."""
    concept, others = with_and_without(rng, 12)
    x = rng.normal(size=(9, *NET.x.shape[1:]))
    target = rng.integers(0, 5, 9)
    found = tcav(NET.model, x, target, {"square": concept}, others, LAYER, n_runs=4, rng=3)
    kept = []
    hook = NET.layer(LAYER).register_forward_hook(lambda module, args, y: kept.append(y))
    logits = NET.net(torch.tensor(x).requires_grad_())
    hook.remove()
    dA = torch.autograd.grad(logits[torch.arange(9), torch.tensor(target)].sum(), kept[0])[0].numpy()
    rng = np.random.default_rng(3)
    expected = {"square": [], None: []}
    for name in expected:
        for _ in range(4):
            order = rng.permutation(12)
            negative = others[order[:6]]
            positive = others[order[6:]] if name is None else concept[rng.permutation(12)[:6]]
            v = concept_vector(NET.model, positive, negative, LAYER, rng=rng).vector
            expected[name].append(((dA * v).sum(axis=(1, 2, 3)) > 0).mean())
    np.testing.assert_allclose(found.scores["square"], expected["square"], atol=1e-12)
    np.testing.assert_allclose(found.random, expected[None], atol=1e-12)
    p = ttest_ind(expected["square"], expected[None]).pvalue
    np.testing.assert_allclose(found.p["square"], p, rtol=1e-9)
    assert found.accuracies["square"].shape == (4,)


def brightness_net(side=12):
    """Class 0 scores by the brightness of the first channel, class 1 by its negative, class 2 by another."""
    weight = np.zeros((3, 2, side, side))
    weight[0, 0], weight[1, 0], weight[2, 1] = 1, -1, 1
    conv = Conv2d(np.array([[[[1.0]], [[0.0]], [[0.0]]], [[[0.0]], [[1.0]], [[1.0]]]]), np.zeros(2))
    return Model(
        Sequential({"conv": conv, "flatten": Flatten(), "fc": Linear(weight.reshape(3, -1), np.zeros(3))})
    )


def test_a_concept_that_a_class_uses(rng):
    model = brightness_net()
    x, random = rng.normal(size=(10, 3, 12, 12)), rng.normal(size=(60, 3, 12, 12))
    bright = rng.normal(size=(25, 3, 12, 12)) + np.array([2.0, 0, 0])[:, None, None]
    calls = []
    found = [
        tcav(model, x, target, {"bright": bright, "random too": rng.normal(size=(25, 3, 12, 12))}, random, "conv",
             progress=lambda done, total: calls.append((done, total)))
        for target in (0, 1, "0 - 1")
    ]  # fmt: skip
    assert (found[0].scores["bright"] == 1).all() and (found[1].scores["bright"] == 0).all()
    assert (found[2].scores["bright"] == 1).all()
    for one in found:
        assert "bright" in one.significant() and one.accuracies["bright"].mean() > 0.95
        assert 0.1 < one.random.mean() < 0.9
        lines = str(one).split("\n")
        assert [line.split()[0] for line in lines] == ["concept", "bright", "random", "random"]
    assert calls[-1] == (60, 60) and len(calls) == 180
    same = tcav(model, x, 0, {"bright": bright}, random, "conv", n_runs=3)
    alone = tcav(model, x[:1], 0, {"bright": bright}, random, "conv", n_runs=3)
    np.testing.assert_array_equal(same.accuracies["bright"], alone.accuracies["bright"])


def test_drawn_concepts():
    images = of_class("striped", 3, seed=5, size=48)
    expected, index = [], 0
    while len(expected) < 3:
        image, label, _ = scene(index, 5, 48)
        if CLASSES[label] == "striped":
            expected.append(image)
        index += 1
    assert all(np.array_equal(a, b) for a, b in zip(images, expected, strict=True))


@pytest.mark.exhaustive
def test_the_bundled_network_uses_the_textures_it_was_trained_on():
    """Stripes raise the score of striped things, and rings do not."""
    model = npgrad.load()
    make = {name: examples(model, of_class(name, 20, seed=9)) for name in ("striped", "ring")}
    x = examples(model, of_class("striped", 12, seed=10))
    random = examples(model, [scene(i, 11)[0] for i in range(50)])
    found = tcav(model, x, "striped", make, random, n_runs=8)
    assert found.scores["striped"].mean() > 0.9 and "striped" in found.significant()
    assert found.scores["ring"].mean() < 0.5 and "ring" not in found.significant()


def test_examples_of_folders_and_arrays(tmp_path, rng):
    model = Model(NET.model.network, preprocessing=npgrad.Preprocessing(resize=33, crop=33))
    photos = rng.integers(0, 256, (3, 40, 36, 3), np.uint8)
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    expected = model.preprocess(list(photos))
    for given in (tmp_path, str(tmp_path), list(photos), [tmp_path / f"{i}.png" for i in range(3)]):
        np.testing.assert_array_equal(examples(model, given), expected)
    assert examples(model, expected) is expected
    (tmp_path / "3.png").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="1 of 4 images skipped"):
        np.testing.assert_array_equal(examples(model, tmp_path), expected)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "3.png").write_bytes(b"damaged")
    with pytest.raises(ImageError):
        examples(model, tmp_path / "bad")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in it"):
        examples(model, tmp_path / "empty")


X = np.random.default_rng(0).normal(size=(6, *NET.x.shape[1:]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tcav(NET.model, X, 0, {}, X, LAYER), InputError, "concepts: expected {name: images}, found {}"),
        (lambda: tcav(NET.model, X, 0, X, X, LAYER), InputError, "concepts: expected {name: images}"),
        (lambda: tcav(NET.model, X, 0, {"a": X[:1]}, X, LAYER), InputError, "a: expected at least 2 images, found 1"),
        (lambda: tcav(NET.model, X, 0, {"a": "folder"}, X, LAYER), InputError, "a: expected preprocessed images"),
        (lambda: tcav(NET.model, X, 0, {"a": X}, X[:3], LAYER), InputError, "random: expected at least 4"),
        (lambda: tcav(NET.model, X, 0, {"a": X[..., :20]}, X, LAYER), InputError, "a: expected images whose"),
        (lambda: tcav(NET.model, X, 9, {"a": X}, X, LAYER), npgrad.TargetError, f"{AN_INDEX} 4"),
        (lambda: tcav(NET.model, X, 0, {"a": X}, X, "fier4"), UnknownName, "nearest: fire4"),
        (lambda: tcav(NET.model, X, 0, {"a": X}, X, n_runs=1), InputError, f"n_runs: {A_WHOLE_NUMBER} >= 2"),
        (lambda: tcav(NET.model, X, 0, {"a": X}, X, classifier="svm"), InputError, "classifier: expected one of"),
        (lambda: tcav(NET.model, X, 0, {"a": X}, X, alpha=0), InputError, f"alpha: {A_NUMBER} > 0"),
        (lambda: concept_vector(NET.model, X, X[..., :20], LAYER), InputError, "others: expected activations"),
        (lambda: concept_vector(NET.model, 0 * X, 0 * X, LAYER), InputError, "concept: expected images with different"),
        (lambda: concept_vector(NET.model, X, X, alpha="x"), InputError, f"alpha: {A_NUMBER} > 0"),
        (lambda: of_class("stripes", 2), InputError, "name: expected one of ring, triangle"),
        (lambda: of_class("striped", 0), InputError, f"n: {A_WHOLE_NUMBER}"),
    ],
)  # fmt: skip
def test_refused_arguments(call, error, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=words):
            call()
