"""Class visualization: the homework's loop is torch's own, the waves' gradients are right, it is seen."""

import warnings

import numpy as np
import pytest
import torch
from checks import assert_close
from messages import A_NUMBER, A_WHOLE_NUMBER, AN_INDEX, OTHER_SETTINGS
from scipy.ndimage import gaussian_filter1d
from torch_nets import activations, small_net, torch_names, torch_twin

from npgrad import InputError, Model, layers
from npgrad.errors import TargetError, UnknownName
from npgrad.images import save_image
from npgrad.synthesis._aim import Aim
from npgrad.synthesis.class_visualization import create_class_visualization

SIDE = 33
METHODS = ("pixels", "fourier")
STEPS = {"pixels": 30, "fourier": 35}  # enough for small images of the real network
AIMS = {
    "class": {"target": 4},
    "channel": {"layer": "fire4", "channel": 7},
    "neuron": {"layer": "fire4", "channel": 0, "neuron": (1, 2)},
}
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Torch's second thread makes such small networks slower, and very slow where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def net():
    return small_net()


def visualize(net, aim=None, **options):
    return create_class_visualization(
        net, **{"size": SIDE, "num_iterations": 6, **(aim or AIMS["class"]), **options}
    )


def torch_loop(
    net, aim, steps, l2_reg=None, learning_rate=25, blur_every=10, max_jitter=16, contrast=0, seed=3
):
    """The homework's loop in torch, by autograd: (image after every step, score at every step)."""
    twin, names, rng = torch_twin(net), torch_names(net), np.random.default_rng(seed)
    l2_reg = l2_reg or (1e-3 if "target" in aim else 0)
    image, images, scores = torch.tensor(rng.standard_normal((1, 3, SIDE, SIDE))), [], []
    for t in range(steps):
        ox, oy = (int(o) for o in rng.integers(0, max_jitter, size=2, endpoint=True))
        image = torch.roll(image, (oy, ox), (2, 3)).requires_grad_()
        if "target" in aim:
            logits = twin(image)[0]
            score = logits[aim["target"]]
            others = torch.cat([logits[: aim["target"]], logits[aim["target"] + 1 :]])
        else:
            y = activations(twin, image)[names[aim["layer"]]][0, aim["channel"]]
            score = y[aim["neuron"]] if "neuron" in aim else y.mean()
        loss = l2_reg * torch.sum(image**2)
        if contrast:
            loss = loss + contrast * torch.logsumexp(others, 0)
        (score - loss).backward()
        image = image.detach() + learning_rate * image.grad / image.grad.norm()
        image = torch.roll(image, (-oy, -ox), (2, 3))
        for c in range(3):
            image[:, c].clamp_(float(-MEAN[c] / STD[c]), float((1 - MEAN[c]) / STD[c]))
        if t % blur_every == 0:
            image = torch.tensor(
                gaussian_filter1d(gaussian_filter1d(image.numpy(), 0.5, axis=2), 0.5, axis=3)
            )
        images.append(image.numpy().copy()), scores.append(score.item())
    return images, scores


@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
def test_twenty_steps_are_torchs(net, aim):
    expected, scores = torch_loop(net, aim, 20)
    seen = []
    result = visualize(
        net, aim, num_iterations=20, rng=3, callback=lambda t, image, losses: seen.append(image)
    )
    assert min(map(abs, scores)) > 0, "a dead score has another gradient"
    for found, image in zip(seen, expected, strict=True):
        assert_close(found, image, 1e-8)
    np.testing.assert_allclose(result.losses["score"], scores, rtol=1e-8)
    assert result.draws == 1 and result.target == aim.get("target")


def test_the_other_options_are_torchs(net):
    options = {"l2_reg": 0.05, "learning_rate": 3.0, "blur_every": 3, "max_jitter": 2}
    expected, _ = torch_loop(net, AIMS["class"], 8, **options)
    assert_close(visualize(net, num_iterations=8, rng=3, **options).image, expected[-1], 1e-8)


@pytest.mark.parametrize("contrast", [0.6, 1.0])
def test_a_contrast_is_torchs(net, contrast):
    expected, scores = torch_loop(net, AIMS["class"], 8, contrast=contrast)
    result = visualize(net, num_iterations=8, rng=3, contrast=contrast)
    assert_close(result.image, expected[-1], 1e-8)
    np.testing.assert_allclose(result.losses["score"], scores, rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lead", [-3000.0, -90.0, 0.0, 90.0, 3000.0])
def test_a_contrast_is_that_of_the_others_however_far_the_class_is_ahead(lead, dtype):
    fc = layers.Linear.init(12, 5, rng=0)
    start = Model(layers.Sequential({"flat": layers.Flatten(), "fc": fc}))
    bias = np.array([0, 0, lead, 0, 0], dtype)
    model = start.with_parameters({"fc.weight": fc.weight.astype(dtype), "fc.bias": bias})
    x = np.random.default_rng(1).standard_normal((1, 3, 2, 2)).astype(dtype)
    score, dx = Aim(model, target=2, contrast=0.7).gradient(x)
    w, others = torch.tensor(fc.weight.astype(np.float64)), [0, 1, 3, 4]
    p = torch.softmax(w[others] @ torch.tensor(x.reshape(-1), dtype=torch.float64), 0)
    assert_close(dx.ravel(), (w[2] - 0.7 * p @ w[others]).numpy(), 1e-12 if dtype == np.float64 else 1e-5)
    assert score == model(x)[0, 2]


def test_a_contrast_lowers_the_other_classes(net):
    plain, contrasted = (
        visualize(net, method="fourier", num_iterations=25, contrast=contrast) for contrast in (0.0, 1.0)
    )
    assert contrasted.probability > plain.probability
    default = visualize(net, method="fourier", num_iterations=5)
    assert (default.image == visualize(net, method="fourier", num_iterations=5, contrast=0.6).image).all()
    homework = visualize(net, num_iterations=5)
    assert (homework.image == visualize(net, num_iterations=5, contrast=0.0).image).all()


@pytest.mark.parametrize("aim", [AIMS["channel"], {"target": "4 - 5"}])
def test_only_a_class_has_a_contrast(net, aim):
    with pytest.raises(InputError, match="contrast: expected one of more than two exclusive classes, found "):
        visualize(net, aim, contrast=1.0)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
@pytest.mark.parametrize("method", METHODS)
def test_it_climbs(net, aim, method):
    result = visualize(net, aim, method=method, num_iterations=25, l2_reg=0.0)
    begin = result.losses["score"][0]
    assert result.score > max(begin, 0), (begin, result.score)
    assert result.image.shape == (1, 3, SIDE, SIDE) and result.image.dtype == np.float64
    if "target" in aim:
        logits = net(result.image)[0]
        assert result.target == 4 and result.score == logits[4]
        assert result.probability == pytest.approx(np.exp(logits[4]) / np.exp(logits).sum())
        assert "class 4, probability" in repr(result)
    else:
        y = net.forward(result.image, upto=aim["layer"])[aim["layer"]][0, aim["channel"]]
        assert result.score == pytest.approx(y[aim["neuron"]] if "neuron" in aim else y.mean())
        assert result.target is None and result.probability is None and "score" in repr(result)
    pixels = result.image * STD[:, None, None] + MEAN[:, None, None]
    assert pixels.min() >= -1e-12 and pixels.max() <= 1 + 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_bits_in_float32(net, method):
    small = net.astype(np.float32)
    one, two = (visualize(small, method=method, rng=rng) for rng in (5, np.random.default_rng(5)))
    assert one.image.dtype == np.float32
    np.testing.assert_array_equal(one.image, two.image)
    assert not np.array_equal(one.image, visualize(small, method=method, rng=6).image)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [1, 4])
def test_interrupted_and_resumed_it_has_the_same_bits(net, tmp_path, method, step):
    net, seen = net.astype(np.float32), {}

    def interrupt(t, image, losses):
        seen[t] = image
        if t == step:
            raise KeyboardInterrupt

    path = tmp_path / "run.ckpt"
    whole = visualize(net, method=method, rng=1)
    first = visualize(net, method=method, rng=1, callback=interrupt, checkpoint=path)
    assert first.interrupted and first.steps == step and first.image is seen[step]
    rest = visualize(net, method=method, rng=1, checkpoint=path)
    assert not rest.interrupted and rest.steps == 6 and rest.losses == whole.losses
    np.testing.assert_array_equal(rest.image, whole.image)
    changed = [
        {"target": 5}, {"learning_rate": 0.5}, {"l2_reg": 0.5}, {"max_jitter": 3}, {"rng": 2}, {"contrast": 0.3},
        {"size": 40}, {"method": METHODS[1 - METHODS.index(method)]},
    ]  # fmt: skip
    for options in changed:
        with pytest.raises(InputError, match=OTHER_SETTINGS):
            visualize(net, **{"method": method, "rng": 1, "checkpoint": path, **options})


def gated(bias):
    """Two classes behind a ReLU and another layer; only images bright enough have a gradient at all."""
    weight = np.full((2, 3, 5, 5), 0.05)
    conv = layers.Conv2d(weight, np.array([bias, bias]))
    parts = {"conv": conv, "relu": layers.ReLU(), "mean": layers.GlobalAvgPool2d(),
             "linear": layers.Linear(np.eye(2), np.ones(2))}  # fmt: skip
    return Model(layers.Sequential(parts))


def test_noise_without_a_gradient_is_drawn_again():
    with pytest.warns(UserWarning, match="drawn again, [0-9]+ times in all") as record:
        result = create_class_visualization(gated(-0.5), 0, size=5, num_iterations=3, max_jitter=0, rng=1)
    assert result.draws == 7 and len(record) == 1 and record[0].filename == __file__
    rng = np.random.default_rng(1)
    sums = [0.05 * rng.standard_normal((1, 3, 5, 5)).sum() - 0.5 for _ in range(7)]
    assert max(sums[:6]) < 0 < sums[6] and result.losses["score"][0] == pytest.approx(sums[6] + 1)
    with pytest.raises(InputError, match="20 images of noise, and the gradient is 0 on each"):
        create_class_visualization(gated(-1e6), 0, size=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a ReLU at the end is opened, so the first noise will do
        assert (
            create_class_visualization(gated(-1e6), layer="relu", channel=0, size=5, num_iterations=1).draws
            == 1
        )


def test_a_dead_neuron_is_woken_up(net):
    x = np.zeros((1, 3, SIDE, SIDE))
    y = net.forward(x, upto="fire4")["fire4"]
    channel, row, column = np.argwhere(y[0] == 0)[0]
    aim = Aim.at(net, None, "fire4", int(channel), (int(row), int(column)))
    score, dx = aim.gradient(x)
    assert score == 0 and dx.any()


@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
def test_an_aims_gradient_is_the_slope_of_its_score(net, aim, rng):
    aim = Aim.at(net, aim.get("target"), *(aim.get(key) for key in ("layer", "channel", "neuron")))
    x, d, h = rng.normal(size=(1, 3, SIDE, SIDE)), rng.normal(size=(1, 3, SIDE, SIDE)), 1e-20
    score, dx = aim.gradient(x)
    slope = aim.gradient(x + 1j * h * d)[0].imag / h
    assert score != 0 and np.sum(dx * d) == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({}, InputError, "expected a target, or a layer with a channel; found neither"),
        ({"target": 1, "layer": "fire2"}, InputError, "a layer with a channel; found both"),
        ({"target": 1, "channel": 2}, InputError, "channel and neuron belong to a layer; found a target"),
        ({"target": 10}, TargetError, "10"),
        ({"target": "zebra"}, UnknownName, "no class 'zebra'"),
        ({"layer": "fire2"}, InputError, f"channel: {A_WHOLE_NUMBER} >= 0, found None"),
        ({"layer": "fier2", "channel": 1}, UnknownName, "nearest: fire2"),
        ({"layer": "fire2", "channel": 128}, InputError, f"channel: {AN_INDEX} 127 at fire2, found 128"),
        (
            {"layer": "fire2", "channel": 1, "neuron": 3},
            InputError,
            r"neuron: expected \(row, column\), found 3",
        ),
        (
            {"layer": "fire2", "channel": 1, "neuron": (0, 7)},
            InputError,
            f"column: {AN_INDEX} 6 at fire2, found 7",
        ),
        (
            {"layer": "fire2", "channel": 1, "neuron": (0, -1)},
            InputError,
            f"neuron: {A_WHOLE_NUMBER} >= 0",
        ),
        (
            {"layer": "input", "channel": 1},
            InputError,
            "layer: expected a layer of the network, found 'input'",
        ),
        ({"target": 1, "method": "waves"}, UnknownName, "no method 'waves'"),
        ({"target": 1, "size": 0}, InputError, "size: expected one or two whole numbers >= 1, found 0"),
        ({"target": 1, "size": 5}, InputError, "this network takes images of at least 17x17 px"),
        ({"target": 1, "contrast": -1}, InputError, f"contrast: {A_NUMBER} >= 0, found -1"),
        ({"target": 1, "l2_reg": -1}, InputError, f"l2_reg: {A_NUMBER} >= 0, found -1"),
        (
            {"target": 1, "learning_rate": np.nan},
            InputError,
            f"learning_rate: {A_NUMBER} >= 0, found nan",
        ),
        ({"target": 1, "num_iterations": 2.5}, InputError, f"num_iterations: {A_WHOLE_NUMBER} >= 0"),
        ({"target": 1, "blur_every": 0}, InputError, f"blur_every: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"target": 1, "max_jitter": -1}, InputError, f"max_jitter: {A_WHOLE_NUMBER} >= 0, found -1"),
        ({"target": 1, "rng": "dice"}, InputError, "rng: expected a Generator"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_mistakes_are_said_in_one_line(net, method, options, error, message):
    with pytest.raises(error, match=message) as caught:
        create_class_visualization(net, **{"size": 31, "method": method, **options})
    assert "\n" not in str(caught.value)


def test_no_steps_give_the_noise_back(net):
    result = visualize(net, num_iterations=0, rng=2)
    np.testing.assert_array_equal(result.image, np.random.default_rng(2).standard_normal((1, 3, SIDE, SIDE)))
    assert result.steps == 0 and result.losses == {}


@pytest.mark.exhaustive
@pytest.mark.parametrize("target", [76, 130, 366, 604])
@pytest.mark.parametrize("method", METHODS)
def test_a_saved_image_is_seen_as_its_class(real_model, tmp_path, method, target):
    """Small and with few steps, to be quick; at full size and length the probability is higher still."""
    result = create_class_visualization(
        real_model, target, method=method, size=128, num_iterations=STEPS[method]
    )
    save_image(real_model.deprocess(result.image)[0], tmp_path / "seen.png")
    [[(best, _, probability)]] = real_model.predict(
        real_model.preprocess(tmp_path / "seen.png", resize=False), top=1
    )
    assert best == target and probability > 0.9
    assert result.probability == pytest.approx(probability, abs=0.02)
