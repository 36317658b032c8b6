"""A network that takes another input gives the same results: probabilities, attributions, and images made by steps.

The other network is the first one rewritten exactly: its first convolution has no padding, so its weights and bias can
absorb the difference of the inputs.
"""

import json
import warnings

import numpy as np
import pytest

import npgrad
from npgrad import Model, Preprocessing, attribution, layers, synthesis
from npgrad.attribution import methods
from npgrad.errors import InputError
from npgrad.images.preprocessing import IMAGENET
from npgrad.io.formats import hdf5
from npgrad.models.summary import summarize

TIMES = 50.0  # the other network's input is this many times larger
OTHER = Preprocessing(
    mean=(100.0, 120.0, 130.0), std=tuple(255 / TIMES * np.array(IMAGENET["std"][::-1])), scale=1, channels="BGR",
    resize=30, crop=24,
)  # fmt: skip


def network(weight, bias):
    rng = np.random.default_rng(1)
    return layers.Sequential(
        {
            "conv": layers.Conv2d(weight, bias),
            "relu": layers.ReLU(),
            "pool": layers.MaxPool2d(2),
            "conv2": layers.Conv2d(rng.normal(size=(5, 6, 3, 3)) / 5, rng.normal(size=5)),
            "relu2": layers.ReLU(),
            "mean": layers.GlobalAvgPool2d(),
        }
    )


@pytest.fixture(scope="module")
def usual():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(6, 3, 3, 3)) / 3, rng.normal(size=6)
    return Model(network(weight, bias), list("abcde"), Preprocessing(resize=30, crop=24))


def rewritten(usual):
    """The same network for the input that OTHER describes."""
    weight, bias = usual.parameters()["conv.weight"], usual.parameters()["conv.bias"]
    mean, std = (np.array(IMAGENET[name]) for name in ("mean", "std"))
    offset = (255 * mean - np.array(OTHER.mean)[::-1]) / np.array(OTHER.std)[
        ::-1
    ]  # of the other input, where x is 0
    assert np.allclose(255 * std / np.array(OTHER.std)[::-1], TIMES)
    folded = weight / TIMES
    bias = bias - np.einsum("fchw,c->f", folded, offset)
    return Model(network(folded[:, ::-1].copy(), bias), list("abcde"), OTHER)


@pytest.fixture(scope="module")
def other(usual):
    return rewritten(usual)


@pytest.fixture(scope="module")
def in_order(other):
    """The other network with its channels in the usual order, in which random numbers are drawn."""
    weight = other.parameters()["conv.weight"][:, ::-1].copy()
    return other.with_parameters({"conv.weight": weight}).with_preprocessing(
        mean=OTHER.mean[::-1], std=OTHER.std[::-1], scale=1, channels="RGB"
    )


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(2)
    return np.kron(rng.integers(0, 256, (8, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)


def in_pixels(model, x):
    """Values 0 to 1 in RGB, (N, 3, H, W), neither clipped nor rounded."""
    seen = model.preprocessing
    pixels = x * np.reshape(seen.pixel_std, (1, 3, 1, 1)) + np.reshape(seen.pixel_mean, (1, 3, 1, 1))
    return pixels[:, ::-1] if seen.channels == "BGR" else pixels


def both(usual, other, photo):
    """[(model, x)] of the same photo, in float64, where rounding decides nothing."""
    inputs = []
    for model in (usual, other):
        exact = in_pixels(usual, usual.preprocess(photo).astype(np.float64))
        seen = model.preprocessing
        exact = exact[:, ::-1] if seen.channels == "BGR" else exact
        x = (exact - np.reshape(seen.pixel_mean, (1, 3, 1, 1))) / np.reshape(seen.pixel_std, (1, 3, 1, 1))
        assert np.allclose(x, model.preprocess(photo), atol=1e-4)
        inputs.append((model, x))
    return inputs


def test_probabilities_are_the_same(usual, other, photo):
    a, b = usual.predict(photo), other.predict(photo)
    assert [one[:2] for one in a[0]] == [one[:2] for one in b[0]]
    assert np.allclose([one[2] for one in a[0]], [one[2] for one in b[0]], atol=1e-5)
    for model, x in both(usual, other, photo):
        assert np.array_equal(model.deprocess(x), usual.deprocess(usual.preprocess(photo)))


@pytest.mark.parametrize("name", ["lrp", "deep_lift_shap", "integrated_gradients"])
def test_attributions_with_pixels_in_their_rules_or_baselines_are_the_same(usual, other, photo, name):
    """z-box goes from black to white, and baselines are gray levels; 0 is another color for each network."""
    maps = []
    for model, x in both(usual, other, photo):
        options = methods.defaults(name, model, x)
        if name == "deep_lift_shap":
            options["baseline"] = options["baseline"][1:]  # black and white
        elif name != "lrp":
            options["baseline"] = np.reshape(
                -np.array(model.preprocessing.mean) / model.preprocessing.std, (3, 1, 1)
            )
        found = methods.function_of(name)(model, x, 1, **options)
        maps.append(found[:, ::-1] if model is other and found.ndim == 4 else found)
    assert np.abs(maps[0]).max() > 1e-3
    assert np.allclose(maps[0], maps[1], atol=1e-9 * np.abs(maps[0]).max())


RUNS = {
    "fgsm": lambda m, x: synthesis.fgsm(m, x, 2, targeted=True, epsilon=4 / 255),
    "pgd": lambda m, x: synthesis.pgd(m, x, 2, targeted=True, steps=4, norm="l2", epsilon=0.4),
    "smallest": lambda m, x: synthesis.smallest_perturbation(m, x, 2, steps=5),
    "ascent": lambda m, x: synthesis.make_fooling_image(m, x, 2, clip=True, max_iter=6),
    "dream": lambda m, x: synthesis.deep_dream(m, x, "relu", octaves=1, steps=3),
    "pixels": lambda m, x: synthesis.create_class_visualization(m, 1, num_iterations=12, max_jitter=2),
    "a layer's pixels": lambda m, x: synthesis.create_class_visualization(
        m, layer="relu", channel=1, num_iterations=3, max_jitter=2, l2_reg=0.1
    ),
    "fourier": lambda m, x: synthesis.create_class_visualization(
        m, 1, method="fourier", num_iterations=5, max_jitter=2
    ),
    "inversion": lambda m, x: synthesis.invert_features(m, x, "relu", steps=30),
    "style": lambda m, x: synthesis.style_transfer(
        m, x, in_own_units(m), content_layer="conv", content_weight=0.1, style_layers=("conv", "conv2"),
        style_weights=(10, 3), tv_weight=0.1, steps=20, start="noise", original_colors=True,
    ),
}  # fmt: skip


def in_own_units(model):
    pixels = np.random.default_rng(4).random((1, 3, 20, 22))
    seen = model.preprocessing
    pixels = pixels[:, ::-1] if seen.channels == "BGR" else pixels
    return (pixels - np.reshape(seen.pixel_mean, (1, 3, 1, 1))) / np.reshape(seen.pixel_std, (1, 3, 1, 1))


@pytest.mark.parametrize("name", RUNS)
def test_images_made_by_steps_are_the_same(usual, other, in_order, photo, name):
    if name in ("pixels", "a layer's pixels", "inversion", "style"):
        other = in_order
    results = [RUNS[name](model, x) for model, x in both(usual, other, photo)]
    found = [in_pixels(model, result.image) for model, result in zip((usual, other), results, strict=True)]
    assert np.abs(found[0] - found[0].mean()).max() > 0.05
    assert np.allclose(found[0], found[1], atol=1e-6), name
    if name in ("fgsm", "pgd"):
        assert (
            results[0].largest_change == pytest.approx(results[1].largest_change)
            and results[0].largest_change
        )


GRAY = Preprocessing(mean=0.13, std=0.31, channels="gray", crop=(20, 28))


@pytest.fixture(scope="module")
def gray():
    weight = np.random.default_rng(0).normal(size=(6, 1, 3, 3)) / 2
    return Model(network(weight, np.zeros(6)), list("abcde"), GRAY)


@pytest.mark.parametrize("name", RUNS)
def test_a_network_of_one_channel_and_a_rectangle(gray, photo, name):
    x = gray.preprocess(photo).astype(np.float64)
    assert x.shape == (1, 1, 20, 28)
    if name == "style":
        result = synthesis.style_transfer(
            gray, photo, photo, content_layer="conv", content_weight=0.1, style_layers="conv", style_weights=1,
            tv_weight=0, steps=3, start="noise", original_colors=True, image_size=12,
        )  # fmt: skip
    else:
        result = RUNS[name](gray, x)
    assert result.image.shape[1] == 1 and np.isfinite(result.image).all()
    shown = gray.deprocess(result.image)
    assert shown.shape[3] == 3 and (np.ptp(shown, axis=3) == 0).all()


def test_every_method_explains_a_network_of_one_channel(gray, photo):
    from npgrad.attribution.explain import answer as explain
    from npgrad.attribution.request import Request

    for name in methods.METHODS:
        options = {"window": 8, "stride": 6} if name == "occlusion" else {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="nothing to show")
            explanation = explain(gray, photo, Request(name, 1, options, bare=True))
            assert explanation.image.size == (56, 40), name
        assert np.isfinite(explanation.array).all(), name


def test_channels_follow_the_network(gray, usual):
    assert (gray.in_channels, usual.in_channels) == (1, 3)
    assert Model(gray.network).preprocessing == Preprocessing(channels="gray")
    assert Model(usual.network).preprocessing == Preprocessing()
    grouped = layers.Conv2d(np.ones((4, 1, 3, 3)), None, groups=4)
    assert Model(layers.Sequential({"norm": layers.BatchNorm2d.init(4), "conv": grouped})).in_channels == 4
    assert Model(grouped).in_channels == 4 and Model(layers.Linear(np.ones((2, 3)), None)).in_channels is None
    with pytest.raises(InputError, match="channels: expected 3, as the network takes; found gray"):
        usual.with_preprocessing(channels="gray")
    with pytest.raises(InputError, match="channels: expected 1"):
        gray.with_preprocessing(Preprocessing())
    assert gray.with_preprocessing(mean=0.5).preprocessing.channels == "gray"
    assert [row.shape for row in summarize(gray)][0] == (6, 18, 26)


def test_the_file_keeps_it_and_the_first_version_is_read(tmp_path, gray, other):
    for model in (gray, other, gray.with_preprocessing(pad=True, interpolation="bicubic")):
        model.save(tmp_path / "net.h5")
        assert npgrad.load(tmp_path / "net.h5").preprocessing == model.preprocessing
    assumed = Model(gray.network, preprocessing=Preprocessing(channels="gray", assumed=True))
    assert hdf5.from_bytes(hdf5.to_bytes(assumed), "net.h5").preprocessing.assumed


def first_version(model, monkeypatch):
    """The bytes of a file of version 1, in which every network takes RGB."""
    old = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "resize": 40, "crop": 32}
    with monkeypatch.context() as patched:
        patched.setattr(hdf5, "VERSION", 1)
        patched.setattr(hdf5, "_header", lambda sha256, version=1, real=hdf5._header: real(sha256, version))
        patched.setattr(Preprocessing, "to_json", lambda self: json.loads(json.dumps(old)))
        return hdf5.to_bytes(model)


def test_the_first_version_could_not_say_gray(gray, usual, monkeypatch):
    data = first_version(usual, monkeypatch)
    assert data.startswith(b"npgrad weights, version 1\n")
    found = hdf5.from_bytes(data, "net.h5").preprocessing
    assert found == Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 40, 32) and not found.assumed
    found = hdf5.from_bytes(first_version(gray, monkeypatch), "net.h5").preprocessing
    assert found == Preprocessing(channels="gray", resize=40, crop=32) and found.assumed


def test_the_range_of_the_input_is_the_networks_own(other, usual):
    large = np.random.default_rng(0).uniform(0, 25, (1, 3, 24, 24))
    other(large)  # no warning, which would be an error
    other.forward(large)
    with pytest.warns(UserWarning, match="as pixels do"):
        usual(large)
    with pytest.warns(UserWarning, match="values from 0 to 1, but this network takes .* up to 135"):
        other.predict(large / 25)
    usual.predict(large / 25)
    assert attribution.saliency(other, large).shape == large.shape
