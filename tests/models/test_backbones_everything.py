"""Whatever works on SqueezeNet works on the other networks: every attribution, image and measure."""

import inspect

import backbones
import checks
import numpy as np
import pytest
from made_once import MadeOnce
from small_backbones import MAKERS, graph, images

import npgrad
from npgrad import attribution, evaluation, synthesis
from npgrad.attribution._copies import gradient_of_scores
from npgrad.attribution._narrow import narrowed
from npgrad.attribution._patches import Rescoring
from npgrad.cli import main
from npgrad.cli._methods import METHODS
from npgrad.layers import (
    Conv2d,
    GlobalAvgPool2d,
    Graph,
    Residual,
)

TARGETS = [1, 3]


# the default layer of maps: the last with a spatial size; and one with few channels, for methods that try each of them
LAST = {"alexnet": "avgpool", "resnet18": "conv5_2", "mobilenet_v2": "relu2", "graph": "/clip"}
NARROW = {"alexnet": "conv1", "resnet18": "conv2_2", "mobilenet_v2": "bottleneck2", "graph": "/relu6"}
MIDDLE = {
    "alexnet": "conv3",
    "resnet18": "conv3_1.bn2",
    "mobilenet_v2": "bottleneck6.project",
    "graph": "/left",
}


# AlexNet has 60 million weights.
QUICK = [pytest.param(name, marks=pytest.mark.exhaustive) if name == "alexnet" else name for name in MAKERS]


@pytest.fixture(scope="module")
def models():
    """The networks with random biases and statistics, so that none is forgotten unseen; in float32."""
    return MadeOnce(MAKERS, lambda name: _alive(MAKERS[name](5)))


def _alive(model):
    rng, changed = np.random.default_rng(7), {}
    for name, array in model.network.arrays(buffers=True).items():
        if name.endswith(("bias", "running_mean")):
            changed[name] = rng.normal(0, 0.1, array.shape).astype(array.dtype)
        elif name.endswith("running_var"):
            changed[name] = rng.uniform(0.5, 1.5, array.shape).astype(array.dtype)
    return model.with_parameters(changed)


def options_of(method, name, model):
    """What makes a method quick, and what it needs."""
    mask = attribution.grid(images(name).shape[2:], (2, 2))
    neuron = {}
    if method.startswith("neuron"):  # one that counts for both images
        view = attribution.every_layer(model, images(name), TARGETS)[MIDDLE[name]]
        both = np.abs(view.gradient * view.activation).prod(axis=0)
        neuron = {
            "layer": MIDDLE[name],
            "neuron": tuple(map(int, np.unravel_index(both.argmax(), both.shape))),
        }
    return {
        "integrated_gradients": {"n_steps": 3},
        "layer_integrated_gradients": {"n_steps": 3},
        "layer_conductance": {"n_steps": 3},
        "internal_influence": {"n_steps": 3},
        "smoothgrad": {"n_samples": 2},
        "gradient_shap": {"n_samples": 2},
        "layer_gradient_shap": {"n_samples": 2},
        "occlusion": {"window": 21, "stride": 19},
        "rise": {"n_samples": 20},
        "blur_ig": {"n_steps": 3},
        "guided_ig": {"n_steps": 3},
        "xrai": {"n_steps": 3, "n_segments": (20, 5)},
        "feature_ablation": {"mask": mask},
        "feature_permutation": {"mask": mask},
        "layer_ablation": {"mask": np.zeros((1, 1), int)},
        "layer_feature_permutation": {"mask": np.zeros((1, 1), int)},
        "lime": {"mask": mask, "n_samples": 20},
        "shapley_values": {"mask": mask},
        "shapley_value_sampling": {"mask": mask, "n_samples": 3},
        "kernel_shap": {"mask": mask, "n_samples": 20},
        "score_cam": {"layer": NARROW[name]},
        "kpca_cam": {"layer": NARROW[name]},  # deeper, random activations are nearly constant
        "fem": {"k": 0.5},  # of few pixels
        "ablation_cam": {"layer": NARROW[name]},
        "neuron_gradient": neuron,
        "neuron_guided_backprop": neuron,
        "neuron_deconvolution": neuron,
        "neuron_deep_lift": neuron,
        "neuron_feature_ablation": {**neuron, "mask": mask},
        "neuron_gradient_shap": {**neuron, "n_samples": 2},
        "neuron_integrated_gradients": {**neuron, "n_steps": 3},
        "neuron_conductance": {**neuron, "n_steps": 3},
    }.get(method, {})


def takes_images(function):
    return callable(function) and list(inspect.signature(function).parameters)[:2] == ["model", "x"]


EVERY = [name for name in attribution.__all__ if takes_images(getattr(attribution, name))]
# two give more than an array; a Hessian may be 0
ARRAYS = [name for name in EVERY if name not in ("every_layer", "feature_factorization", "hvp")]
MAPS = ["aug_smooth"] + [
    name
    for name in METHODS
    if {"cam", "excitation", "fem"} & set(name.split("_")) and name != "guided_grad_cam"
]
AT_A_LAYER = [name for name in EVERY if name.startswith("layer_") or name == "internal_influence"]
# one random stream serves all images in turn, so an image alone is drawn other samples
DRAWN_TOGETHER = (
    "smoothgrad",
    "gradient_shap",
    "neuron_gradient_shap",
    "layer_gradient_shap",
    "feature_permutation",
    "layer_feature_permutation",
    "lime",
    "kernel_shap",
    "shapley_value_sampling",
)


def test_no_method_is_left_out():
    assert set(METHODS) < set(EVERY) and len(EVERY) == len(METHODS) + 13


LARGE = ("alexnet", "resnet18")  # each method meets one of them, and with the slow tests both


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(name, method, marks=pytest.mark.slow if name == LARGE[number % 2] else ())
        for name in MAKERS
        for number, method in enumerate(ARRAYS)
    ],
)
def test_every_attribution(name, method, models):
    model, x, options = models[name], images(name), options_of(method, name, models[name])
    before, function = x.copy(), getattr(attribution, method)
    both = function(model, x, TARGETS, **options)
    expected = x.shape
    if method in AT_A_LAYER and method != "layer_cam":
        expected = model.forward(x)[LAST[name]].shape
    elif method in MAPS:
        shape = model.forward(x)[options.get("layer", LAST[name])].shape
        expected = (2, *shape[2:])
    elif method in ("full_grad", "rise", "xrai"):
        expected = (2, *x.shape[2:])
    assert (both.shape, both.dtype) == (expected, np.float32)
    assert np.isfinite(both).all()
    one_pixel = (name, method) == (
        "alexnet",
        "aug_smooth",
    )  # at its last layer, and a map is scaled by its range
    assert one_pixel or (both[0].any() and both[1].any())
    assert np.array_equal(x, before)
    if method == "ablation_cam":  # of small differences of scores float32 leaves too few digits
        model, x = model.astype(np.float64), x.astype(np.float64)
        both = function(model, x, TARGETS, **options)
    if method not in DRAWN_TOGETHER:
        checks.assert_close(both[1:], function(model, x[1:], TARGETS[1], **options), 1e-4)


@pytest.mark.parametrize("name", QUICK)
def test_every_layer_at_once(name, models):
    model, x = models[name], images(name)
    views = attribution.every_layer(model, x, TARGETS)
    assert list(views) == model.layer_names()
    assert all(
        np.isfinite(view.activation).all() and np.isfinite(view.gradient).all() for view in views.values()
    )
    checks.assert_close(views[LAST[name]].grad_cam, attribution.grad_cam(model, x, TARGETS), 1e-6)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", QUICK)
def test_maps_are_made_at_the_last_layer_with_a_spatial_size(name, models):
    model, x = models[name], images(name)
    assert model.map_layer(model.forward(x)) == LAST[name]
    explicit = attribution.grad_cam(model, x, TARGETS, layer=LAST[name])
    assert np.array_equal(attribution.grad_cam(model, x, TARGETS), explicit)


# Parts of the work that are left out where they cannot matter.


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MAKERS)
def test_what_a_change_cannot_reach_is_not_computed_and_not_missed(name, models):
    """Occlusion's scores, in float64, are those of the whole pass, through strides and shortcuts."""
    model, rng = models[name].astype(np.float64), np.random.default_rng(3)
    x = images(name, 1, np.float64)
    score = Rescoring(model, x, 3)
    checks.assert_close(score.clean, model(x)[0, 3], 1e-12)
    for _ in range(8):
        (top, bottom), (left, right) = (np.sort(rng.integers(0, side + 1, 2)) for side in x.shape[2:])
        changed = x.copy()
        changed[:, :: rng.integers(1, 3), top:bottom, left:right] = rng.normal()
        checks.assert_close(score(changed), model(changed)[0, 3], 1e-12, f"{top}:{bottom}, {left}:{right}")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_blocks_are_looked_at_through_windows(name, models):
    """Up to the mean over the whole image: what a change can reach in a block is computed again, not the rest."""
    score = Rescoring(models[name], images(name, 1), 0)
    whole = [layer for place, layer, _ in score._nodes if place not in score._fields]
    assert isinstance(whole[0], GlobalAvgPool2d)
    blocks = [place for place, layer, _ in score._nodes if isinstance(layer, Residual)]
    assert len(blocks) == {"resnet18": 8}.get(name, 10) and score._fields.keys() >= set(blocks)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MAKERS)
def test_classes_nobody_asks_for_are_left_out(name, models):
    model, x = models[name].astype(np.float64), images(name, 2, np.float64)
    small, places = narrowed(model, [3, 3])
    checks.assert_close(small(x)[:, places[0]], model(x)[:, 3], 1e-12)
    assert small(x).shape[1] == (5 if name == "graph" else 1)  # of a graph all outputs are computed
    expected = np.concatenate(
        [attribution.neuron_gradient(model, x, layer=model.layer_names()[-1], neuron=3)]
    )
    checks.assert_close(gradient_of_scores(model, x, np.array([3, 3])), expected, 1e-11)


# Images.


def _total(result, *parts):
    """What was made smaller, step by step."""
    return np.sum([result.losses[part] for part in parts], axis=0)


def whole(result, x):
    """The image of a result is one, and finite."""
    assert result.image.shape == x.shape and result.image.dtype == x.dtype
    assert np.isfinite(result.image).all() and not np.array_equal(result.image, x)
    return result


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MAKERS)
def test_every_image(name, models):
    model, x = models[name], images(name, 1)
    before, low, high = x.copy(), NARROW[name], LAST[name]
    target = int(model(x)[0].argsort()[-2])
    assert whole(synthesis.make_fooling_image(model, x, target, learning_rate=1), x).reached
    for attack in (synthesis.fgsm, synthesis.pgd):
        whole(attack(model, x, epsilon=0.02), x)
    small = whole(synthesis.smallest_perturbation(model, x, target), x)
    assert small.reached and model(small.image).argmax() == target
    seen = whole(synthesis.create_class_visualization(model, 2, size=x.shape[2], num_iterations=4), x)
    assert seen.steps == 4
    for layer in (low, high):
        inverted = whole(synthesis.invert_features(model, x, layer, steps=3, optimizer="lbfgs"), x)
        assert _total(inverted, "content", "tv")[-1] < _total(inverted, "content", "tv")[0]
        dreamt = whole(synthesis.deep_dream(model, x, layer, octaves=1, steps=2, max_jitter=1), x)
        assert dreamt.losses["activation"][-1] > 0
    style = np.random.default_rng(4).normal(size=x.shape).astype(x.dtype)
    styled = synthesis.style_transfer(
        model, x, style, content_layer=MIDDLE[name], style_layers=(low, high), style_weights=(100, 10),
        content_weight=1e-2, tv_weight=1e-3, steps=3, optimizer="lbfgs",
    )  # fmt: skip
    losses = _total(whole(styled, x), "content", "style", "tv")
    assert losses[-1] < losses[0]
    assert np.array_equal(x, before)


def test_the_homeworks_presets_name_squeezenets_layers_and_gatys_names_vggs(models):
    x = images("resnet18", 1)
    resnet = models["resnet18"]
    with pytest.raises(npgrad.UnknownName, match="no layer 'fire2'"):
        synthesis.style_transfer(resnet, x, x, preset="starry_night", steps=1)
    layers = {"content_layer": "conv2_1", "style_layers": ["conv1"], "style_weights": [1.0]}
    for given in ({}, {"content_layer": "conv1"}, layers):
        assert synthesis.style_transfer(resnet, x, x, **given, steps=1).steps == 1
    with pytest.raises(npgrad.UnknownName, match="no layer 'conv4_2'"):
        synthesis.style_transfer(npgrad.models.squeezenet1_1(5), x, x, preset="gatys", steps=1)


def test_gatys_counts_as_the_authors_do():
    """content_loss and style_loss with the preset's weights are multiples of means over entries, 1 to 1e3 / C^2."""
    preset, rng, content, style = synthesis.PRESETS["gatys"], np.random.default_rng(0), 0.0, 0.0
    F, P = rng.normal(size=(2, 1, 512, 24, 24))  # conv4_2 at 192 px
    content, _ = npgrad.losses.content_loss(preset["content_weight"], F, P)
    unit = content / np.mean((F - P) ** 2)
    for layer, weight, channels in zip(
        preset["style_layers"], preset["style_weights"], (64, 128, 256, 512, 512), strict=True
    ):
        F, P = rng.normal(size=(2, 1, channels, 5, 6))
        target = {layer: npgrad.losses.gram_matrix(P)}
        style, _ = npgrad.losses.style_loss({layer: F}, target, {layer: weight})
        F, P = (a.reshape(channels, -1) for a in (F, P))
        expected = 1e3 / channels**2 * np.mean(((F @ F.T - P @ P.T) / F.shape[1]) ** 2)
        np.testing.assert_allclose(style / unit, expected, rtol=1e-12)


@pytest.mark.exhaustive
def test_vgg19_paints_with_the_preset_gatys():
    model = npgrad.Model(_vgg19_below_fc())
    x, style = np.random.default_rng(0).normal(size=(2, 1, 3, 32, 40)).astype(np.float32)
    options = {"image_size": 32, "style_size": 32, "steps": 3, "optimizer": "lbfgs"}
    found = synthesis.style_transfer(model, x, style, preset="gatys", **options)
    assert _total(found, "content", "style")[-1] < 0.9 * _total(found, "content", "style")[0]
    unasked = synthesis.style_transfer(model, x, style, **options)
    assert np.array_equal(unasked.image, found.image)


def _vgg19_below_fc():
    """VGG-19's convolutions with random weights; its fully connected layers are large, and not needed."""
    layers = dict(backbones.skeleton("vgg19").network.layers)
    rng, kept = np.random.default_rng(0), {}
    for name, layer in layers.items():
        if name == "avgpool":
            break
        if isinstance(layer, Conv2d):
            filters, channels = layer.weight.shape[:2]
            layer = Conv2d.init(channels, filters, 3, padding=1, rng=rng)
        kept[name] = layer
    return npgrad.layers.Sequential(kept)


# Measures.


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MAKERS)
def test_every_measure(name, models):
    model, x = models[name], images(name)
    before, shown = x.copy(), attribution.saliency(model, x, TARGETS)
    mask = np.zeros(x.shape[2:], bool)
    mask[5:20, 5:20] = True
    found = {
        "deletion": evaluation.deletion_auc(model, x, shown, TARGETS, n_steps=4),
        "insertion": evaluation.insertion_auc(model, x, shown, TARGETS, n_steps=4),
        "road": evaluation.road(model, x, shown, TARGETS, fractions=(0.3, 0.7)),
        "infidelity": evaluation.infidelity(model, x, shown, TARGETS, n_samples=3),
        "sensitivity": evaluation.sensitivity_max(attribution.saliency, model, x, TARGETS, n_samples=2),
        "pointing": evaluation.pointing_game(shown, mask),
        "energy": evaluation.energy_inside(shown, mask),
        "overlap": evaluation.best_iou(shown, mask),
        "top pixels": evaluation.top_k_intersection(shown, mask),
        "sum": evaluation.completeness(model, x, shown, TARGETS),
        "sets": evaluation.sensitivity_n(model, x, shown, TARGETS, fractions=(0.3,), n_samples=3),
        "sparse": evaluation.sparseness(shown),
        "patches": evaluation.selectivity(model, x, shown, TARGETS, window=16),
        "other logit": evaluation.random_logit(model, x, attribution.saliency, TARGETS),
    }
    for measure, values in found.items():
        assert values.shape == (2,) and np.isfinite(values).all(), measure
    assert found["deletion"].min() > 0 and found["insertion"].max() < 1
    assert np.array_equal(x, before)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "graph"])
def test_the_randomization_goes_down_through_blocks(name, models):
    model, x = models[name], images(name, 1)
    kept = {key: array.copy() for key, array in model.network.arrays(buffers=True).items()}
    found = evaluation.randomization(model, x, attribution.saliency)
    own = [part for part in model.network.parts() if any(key.startswith(f"{part}.") for key in kept)]
    assert found.layers == ("original", *own[::-1])
    assert found.spearman.shape == found.ssim.shape == (len(own) + 1, 1)
    assert found.spearman[0] == 1 and np.isfinite(found.spearman).all() and np.isfinite(found.ssim).all()
    assert abs(found.spearman[-1, 0]) < 0.6  # strides alone make some pixels count more
    assert checks.same_bits(model.network.arrays(buffers=True), kept)
    assert all(
        row.startswith(part) for row, part in zip(str(found).splitlines()[1:], found.layers, strict=True)
    )


# Commands.


@pytest.mark.exhaustive
def test_layers_of_resnet50_are_the_published_ones(capsys):
    assert main(["layers", "--arch", "resnet50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        "conv1",
        "Conv2d",
        "64",
        "x",
        "112",
        "x",
        "112",
        "9,408",
        "118,013,952",
        "3,136",
        "KiB",
    ]
    assert lines[5].startswith("  conv2_1.conv1 ")
    assert lines[-1].split()[:3] == ["total", "25,557,032", "4,089,184,256"]


def test_commands_take_a_graph(tmp_path, capsys, monkeypatch):
    """Its names have slashes and may have dots; only what is inside a composite is set in."""
    monkeypatch.chdir(tmp_path)
    network = graph().network
    nodes = {name.replace("/conv1", "/a.0/conv1"): node for name, node in network.nodes.items()}
    nodes["/bn1"] = (nodes["/bn1"][0], "/a.0/conv1")
    seen = npgrad.images.Preprocessing(resize=45, crop=40)
    npgrad.Model(Graph(nodes), preprocessing=seen).save("net.h5")
    photo = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    npgrad.images.save_image(photo, "photo.png")
    assert main(["layers", "--weights", "net.h5"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("/a.0/conv1 ")
    for command in (
        "gradcheck --size 17 --entries 1",
        "attribute photo.png --method grad_cam -o map.png",
        "attribute photo.png --method internal_influence --n-steps 2 --save-array influence.npy -o influence.png",
        "fool photo.png --target 2 --margin 0.1 -o fooled.png",
        "invert photo.png --layer /relu6 --steps 2 -o inverted.png",
        "style photo.png photo.png --content-layer /conv2 --style-layers /relu1,/relu6 --style-weights 9,1 --steps 2 "
        "--size 40 -o styled.png",
    ):
        assert main([*command.split(), "--weights", "net.h5"]) == 0, command
    assert np.ptp(np.load("influence.npy")) > 0  # in the middle, where it is not the same everywhere
