"""The model-randomization sanity check, and the two measures of similarity that it uses."""

import warnings

import numpy as np
import pytest
from captum_nets import TARGETS, pairs, squeezenets
from scipy import stats
from torch_nets import small_net

from npgrad import Model, layers
from npgrad._targets import scores
from npgrad.attribution import grad_cam, saliency
from npgrad.errors import InputError, UnknownName
from npgrad.evaluation import Randomization, randomization
from npgrad.evaluation.randomization import spearman, ssim

PAIRS = {pair.name: pair for pair in pairs()}
NET = PAIRS["fires"]


def test_an_explanation_of_the_network_falls_and_one_of_the_image_does_not():
    result = randomization(NET.model, NET.x, saliency, TARGETS)
    assert isinstance(result, Randomization)
    assert result.layers == ("original", "conv5", "fire4", "fire3", "fire2", "conv1")
    assert result.spearman.shape == result.ssim.shape == (6, 3)
    np.testing.assert_allclose(result.spearman[0], 1)
    np.testing.assert_allclose(result.ssim[0], 1)
    assert result.spearman[1:].max() < 0.95
    assert result.spearman[-1].max() < 0.6
    assert result.ssim[-1].max() < 0.6
    edges = randomization(NET.model, NET.x, lambda model, x, target: np.abs(np.diff(x)), TARGETS)
    np.testing.assert_allclose(edges.spearman, 1)
    np.testing.assert_allclose(edges.ssim, 1)


def test_layers_are_reinitialized_one_after_the_other_and_the_model_is_untouched():
    seen = []

    def method(model, x, targets):
        seen.append((model, list(targets)))
        return saliency(model, x, targets)

    before = {name: array.copy() for name, array in NET.model.parameters().items()}
    randomization(NET.model, NET.x, method, TARGETS, layers=["fire4", "conv1"])
    for name, array in NET.model.parameters().items():
        np.testing.assert_array_equal(array, before[name])
    assert [targets for _, targets in seen] == [TARGETS] * 3
    fire, both = (
        {name for name, array in model.parameters().items() if not np.array_equal(array, before[name])}
        for model, _ in seen[1:]
    )
    assert seen[0][0] is NET.model
    assert fire == {name for name in before if name.startswith("fire4.")}
    assert both == fire | {"conv1.weight", "conv1.bias"}
    for name in fire:  # re-initialized only once
        np.testing.assert_array_equal(seen[1][0].parameters()[name], seen[2][0].parameters()[name])


def test_the_new_weights_have_he_s_size_and_no_biases():
    seen = []

    def method(model, x, targets):
        seen.append(model)
        return saliency(model, x, targets)

    randomization(NET.model, NET.x, method, TARGETS, layers=["fire3", "conv1"])
    new = seen[-1].parameters()
    assert new["conv1.weight"].std() == pytest.approx(np.sqrt(2 / 27), rel=0.15)
    assert new["fire3.expand3x3.weight"].std() == pytest.approx(np.sqrt(2 / 36), rel=0.15)
    assert not new["conv1.bias"].any()
    assert new["conv1.weight"].dtype == np.float64


def test_batch_norm_is_reset_to_the_identity(rng):
    network = layers.Sequential(
        {
            "conv1": layers.Conv2d.init(3, 4, 3, rng=1),
            "bn1": layers.BatchNorm2d(*rng.random((4, 4)) + 0.5),
            "relu1": layers.ReLU(),
            "conv2": layers.Conv2d.init(4, 2, 1, rng=2),
            "pool": layers.GlobalAvgPool2d(),
            "flatten": layers.Flatten(),
        }
    )
    seen = []

    def method(model, x, targets):
        seen.append(model.parameters())
        return saliency(model, x, targets)

    model = Model(network).astype(np.float64)
    result = randomization(model, rng.normal(size=(1, 3, 8, 8)), method)
    assert result.layers == ("original", "conv2", "bn1", "conv1")
    np.testing.assert_array_equal(seen[2]["bn1.weight"], 1)
    np.testing.assert_array_equal(seen[2]["bn1.bias"], 0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(4))
def test_a_final_relu_that_random_weights_shut_is_opened(seed):
    """Else every second class would score 0 and leave nothing to compare."""
    model, x = squeezenets()[0].model, squeezenets()[0].x
    seen, options = [], {"layers": ["conv10", "fire9"], "rng": seed}

    def method(model, x, targets):
        seen.append(scores(model, model(x), targets))
        return saliency(model, x, targets)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = randomization(model, x, method, TARGETS, **options)
        seen.clear()
        for i, target in enumerate(TARGETS):  # whatever the others need
            alone = randomization(model, x[i : i + 1], method, target, **options)
            np.testing.assert_allclose(result.spearman[:, i], alone.spearman[:, 0], rtol=1e-12)
            np.testing.assert_allclose(result.ssim[:, i], alone.ssim[:, 0], rtol=1e-9)
    assert len(seen) == 9 and np.min(seen) > 0
    assert result.spearman.min() > -1
    assert (result.spearman[1:] != 0).all()


def test_maps_of_a_layer_aliases_and_options():
    model = small_net()
    x = np.random.default_rng(0).normal(size=(2, 3, 67, 67))
    top = model(x).argmax(axis=1)
    result = randomization(model, x, grad_cam, top, layers=["classifier.1", "fire9"], layer="fire5")
    assert result.layers == ("original", "conv10", "fire9")
    assert result.spearman[-1].max() < 0.99
    np.testing.assert_allclose(result.spearman[0], 1)


def test_the_seed_decides_and_progress_counts_layers():
    calls = []
    first = randomization(
        NET.model, NET.x, saliency, TARGETS, rng=1, progress=lambda *args: calls.append(args)
    )
    again = randomization(NET.model, NET.x, saliency, TARGETS, rng=np.random.default_rng(1))
    other = randomization(NET.model, NET.x, saliency, TARGETS, rng=2)
    np.testing.assert_array_equal(first.spearman, again.spearman)
    assert not np.array_equal(first.spearman, other.spearman)
    assert calls == [(k, 5) for k in range(1, 6)]


def test_it_prints_as_a_table():
    result = Randomization(
        ("original", "conv1"), np.array([[1.0, 1], [0.25, 0.75]]), np.array([[1, 1], [0, 0.5]])
    )
    assert str(result).splitlines() == [
        "layer       spearman  ssim",
        "original       1.000  1.00",
        "conv1          0.500  0.25",
    ]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"layers": ["fire22"]}, UnknownName, "no layer 'fire22'; nearest: fire2"),
        ({"layers": ["relu1"]}, InputError, "relu1 has no weights"),
        ({"layers": []}, InputError, "layers: expected at least one"),
        ({"target": 9}, IndexError, "0 to 4"),
        ({"rng": "dice"}, InputError, "rng"),
        ({"method": lambda model, x, target: np.zeros(5)}, InputError, "method: expected attributions"),
    ],
)
def test_arguments_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        randomization(**{"model": NET.model, "x": NET.x, "method": saliency, **options})


def test_a_network_without_weights_has_nothing_to_reinitialize():
    model = Model(
        layers.Sequential({"pool": layers.GlobalAvgPool2d(), "flatten": layers.Flatten()}), classes="abc"
    )
    with pytest.raises(InputError, match="no layer of this network has weights"):
        randomization(model, NET.x, saliency, 0)


# the measures of similarity


def test_spearman_is_scipys_with_and_without_ties(rng):
    for a in (rng.normal(size=(7, 9)), rng.integers(0, 4, size=(7, 9))):
        b = a + rng.normal(size=(7, 9))
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b, axis=None).statistic, rel=1e-12)
        assert spearman(a, -a) == pytest.approx(-1)
        assert spearman(a, np.ones_like(a)) == 0


def test_ssim_is_its_equation_pixel_by_pixel(rng):
    a, b = rng.random((13, 12)), rng.random((13, 12))
    a, b = a * 5, a + 0.5 * b  # the scale does not matter
    offsets = range(-5, 6)
    window = np.exp(-np.array([[i * i + j * j for j in offsets] for i in offsets]) / (2 * 1.5**2))
    window /= window.sum()
    p, q = (np.pad(one / one.max(), 5, mode="symmetric") for one in (a, b))
    total = 0
    for i in range(13):
        for j in range(12):
            u, v = p[i : i + 11, j : j + 11], q[i : i + 11, j : j + 11]
            mu, mv = (window * u).sum(), (window * v).sum()
            uu, vv = (window * (u - mu) ** 2).sum(), (window * (v - mv) ** 2).sum()
            uv = (window * (u - mu) * (v - mv)).sum()
            total += (2 * mu * mv + 1e-4) * (2 * uv + 9e-4) / ((mu**2 + mv**2 + 1e-4) * (uu + vv + 9e-4))
    assert ssim(a, b) == pytest.approx(total / (13 * 12), rel=1e-10)
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a, np.ones_like(a)) == 0
