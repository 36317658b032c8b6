"""Feature inversion: the homework's steps in torch, what each layer keeps, checkpoints, and what is refused."""

import tracemalloc

import numpy as np
import pytest
import torch
from messages import A_NUMBER, A_WHOLE_NUMBER, OTHER_SETTINGS
from torch_nets import activations, small_net, torch_names, torch_twin

import npgrad
from npgrad.synthesis import _style_images as images
from npgrad.synthesis.inversion import _correlation, invert_features


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model():
    return small_net()


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(0)
    smooth = images.resized(rng.normal(size=(1, 3, 5, 6)), (33, 40))
    return smooth + 0.05 * rng.normal(size=smooth.shape)


def stop_after(count):
    def callback(step, image, values):
        if step == count:
            raise KeyboardInterrupt

    return callback


def in_torch(model, x, layer, noise, content_weight, tv_weight, steps, until=None):
    """The same by autograd and torch's Adam."""
    net, name = torch_twin(model), torch_names(model)[layer]
    target = activations(net, torch.tensor(x))[name].detach()
    img = torch.tensor(noise, requires_grad=True)
    optimizer, history = torch.optim.Adam([img], lr=3.0), []
    for t in range(until or steps):
        if t < 0.95 * steps:
            img.data.clamp_(-1.5, 1.5)
        optimizer.zero_grad()
        content = content_weight * ((activations(net, img)[name] - target) ** 2).sum()
        down, across = img[:, :, 1:] - img[:, :, :-1], img[:, :, :, 1:] - img[:, :, :, :-1]
        (content + tv_weight * ((down**2).sum() + (across**2).sum())).backward()
        if t == int(0.9 * steps):
            optimizer = torch.optim.Adam([img], lr=0.1)
        optimizer.step()
        history.append(content.item())
    return img.detach().numpy(), history


@pytest.mark.sampled(1)
@pytest.mark.parametrize("layer", ["fire2", "fire6", "conv1", "fire3.squeeze"])
@pytest.mark.parametrize(("steps", "until"), [(200, 20), (20, 20)])
def test_the_homeworks_steps_in_torch(model, x, layer, steps, until):
    found = invert_features(
        model, x, layer, content_weight=6e-2, tv_weight=2e-2, steps=steps, rng=4, callback=stop_after(until)
    )
    noise = np.random.default_rng(4).random(x.shape)
    expected, history = in_torch(model, x, layer, noise, 6e-2, 2e-2, steps, until)
    np.testing.assert_allclose(found.image, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.losses["content"], history, rtol=1e-8)


def test_by_default_the_loss_is_relative(model, x):
    found = invert_features(model, x, "fire4", steps=20, callback=stop_after(20))
    activation = model.forward(x)["fire4"]
    content_weight = x.size / np.sum(activation**2)
    tv_weight = 0.15 * x[0, 0].size / activation[0, 0].size
    noise = np.random.default_rng(0).random(x.shape)
    expected, _ = in_torch(model, x, "fire4", noise, content_weight, tv_weight, 20)
    np.testing.assert_allclose(found.image, expected, rtol=0, atol=1e-8)
    again = invert_features(model, x, "fire4", content_weight=content_weight, tv_weight=tv_weight, steps=20)
    np.testing.assert_array_equal(again.image, found.image)
    alone = invert_features(model, x, "fire4", content_weight=0.1, steps=3)
    plain = invert_features(model, x, "fire4", content_weight=0.1, tv_weight=2e-2, steps=3)
    np.testing.assert_array_equal(alone.image, plain.image)


@pytest.mark.exhaustive
def test_deeper_layers_keep_less(real_model, shared):
    """With the real weights, the correlation with the original falls from layer to layer."""
    x = npgrad.course.preprocess(shared / "images" / "tubingen.jpg", 48)
    kept = [
        invert_features(real_model, x, layer).correlation for layer in ("fire2", "fire4", "fire6", "fire9")
    ]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 0.9
    assert kept[3] < 0.5


def test_real_weights_take_the_homeworks_steps(real_model, shared):
    model = real_model.astype(np.float64)
    x = npgrad.course.preprocess(shared / "images" / "kitten.jpg", 48).astype(np.float64)
    found = invert_features(model, x, "fire2", content_weight=6e-2, tv_weight=2e-2, callback=stop_after(20))
    noise = np.random.default_rng(0).random(x.shape)
    expected, _ = in_torch(model, x, "fire2", noise, 6e-2, 2e-2, 200, 20)
    np.testing.assert_allclose(found.image, expected, rtol=0, atol=1e-8)


def test_what_the_result_says(model, x):
    found = invert_features(model, x, "features.3", steps=20)
    assert found.layer == "fire2"
    assert found.correlation == pytest.approx(np.corrcoef(x.ravel(), found.image.ravel())[0, 1])
    a, a0 = model.forward(found.image)["fire2"], model.forward(x)["fire2"]
    assert found.relative_error == pytest.approx(np.sum((a - a0) ** 2) / np.sum(a0**2))
    same = invert_features(model, x, "fire2", start="content", steps=0)
    assert (same.correlation, same.relative_error, same.steps) == (pytest.approx(1), 0, 0)
    assert _correlation(np.ones(4), np.arange(4.0)) == 0


def test_any_layer_to_the_logits(model, x):
    for layer in ("relu1", "pool3", "fire9.expand3x3_relu", "conv10", model.layer_names()[-1]):
        found = invert_features(model, x, layer, steps=2)
        assert np.isfinite(found.image).all(), layer


def test_lbfgs(model, x):
    found = invert_features(model, x, "fire2", optimizer="lbfgs", steps=30)
    assert found.correlation > 0.5
    assert found.losses["content"][-1] < 0.3 * found.losses["content"][0]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("options", "at"), [({"steps": 20}, 18), ({"steps": 60, "optimizer": "lbfgs"}, 54)])
def test_interrupted_and_resumed_to_the_same_bits(model, x, tmp_path, options, at):
    path, single, x = tmp_path / "run.ckpt", model.astype(np.float32), x[..., :24, :26].astype(np.float32)
    before = x.copy()
    whole = invert_features(single, x, "fire4", **options)
    part = invert_features(single, x, "fire4", **options, checkpoint=path, callback=stop_after(at))
    assert (part.interrupted, part.steps) == (True, at)
    rest = invert_features(single, x, "fire4", **options, checkpoint=path)
    np.testing.assert_array_equal(rest.image, whole.image)
    assert rest.losses == whole.losses
    assert rest.image.dtype == np.float32
    np.testing.assert_array_equal(x, before)
    for change in (
        {"layer": "fire5"},
        {"tv_weight": 9.0},
        {"content_weight": 9.0},
        {"rng": 3},
        {"x": x + 1e-3},
    ):
        with pytest.raises(npgrad.InputError, match=OTHER_SETTINGS):
            invert_features(single, **{"x": x, "layer": "fire4", **options, **change}, checkpoint=path)


@pytest.mark.exhaustive
def test_memory_does_not_grow_with_steps(model, x):
    def peak(steps):
        tracemalloc.start()
        invert_features(model, x, "fire4", steps=steps)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(50)  # what is imported and cached by it
    assert peak(200) < peak(50) + 15 * x.nbytes  # 150 steps; Python's own objects take four images' size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "fier3"}, "no layer 'fier3'; nearest: fire3"),
        ({"layer": "input"}, "layer: expected one of the network's, found 'input'"),
        ({"optimizer": "adm"}, "no optimizer 'adm'; nearest: adam"),
        ({"tv_weight": -1.0}, f"tv_weight: {A_NUMBER} >= 0, found -1.0"),
        ({"content_weight": "much"}, f"content_weight: {A_NUMBER} >= 0, found 'much'"),
        ({"steps": -1}, f"steps: {A_WHOLE_NUMBER} >= 0, found -1"),
        ({"start": "nosuch.png"}, "nosuch.png: no such file"),
        ({"x": np.zeros((2, 3, 30, 30))}, "x: expected one image"),
        ({"x": "nosuch.jpg"}, "nosuch.jpg: no such file"),
        ({"rng": -1}, "rng: expected a Generator"),
    ],
)
def test_bad_input_in_one_line(model, x, options, message):
    with pytest.raises(npgrad.NpgradError, match=message) as caught:
        invert_features(model, **{"x": x, "layer": "fire4", **options})
    assert "\n" not in str(caught.value)


def test_a_dead_layer_cannot_be_inverted(model, x):
    dead = model.with_parameters({"conv1.bias": np.full(64, -1e6)})
    with pytest.raises(npgrad.InputError, match="0 everywhere at relu1"):
        invert_features(dead, x, "relu1")
