"""Attributions of larger networks: equal to Captum's, and complete through residual blocks.

Random weights and statistics, in float64.
"""

import backbones
import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import Pair, captums_gradient_shap, inject, noise_drawn
from made_once import MadeOnce
from small_backbones import graph
from torch import nn

import npgrad
from benchmarks import torch_networks
from npgrad import attribution
from npgrad.attribution.gradient_shap import draw
from npgrad.attribution.lrp_rules import Epsilon, Gamma, Merged, ZBox, ZPlus
from npgrad.layers import AvgPool2d, BatchNorm2d, Conv2d, Linear, ReLU6

TARGETS = [2, 0, 3]  # as in captum_nets
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations"),  # Captum's own
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
    pytest.mark.filterwarnings("ignore:.*Setting forward, backward hooks and attributes on non-linear"),
]


class Backbone(Pair):
    """A network twice, its torch modules found by npgrad's names."""

    def layer(self, name):
        theirs = {own: name for name, own in self.model.aliases.items()}
        return self.net.get_submodule(theirs[name])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """{name: the network twice, and three images}"""

    def make(name):
        if name == "vgg11":
            both = backbones.narrow_vgg(name)
        else:
            both = backbones.pair(name, tmp_path_factory.mktemp(name), num_classes=5)
        return Backbone(name, *both, IMAGES)

    return MadeOnce(NAMES, make)


SIDE = 32
IMAGES = np.random.default_rng(1).normal(size=(3, 3, SIDE, SIDE))
NAMES = ["resnet18", "vgg11"]
BASELINE = np.random.default_rng(3).normal(scale=0.1, size=(3, 3, SIDE, SIDE))  # at 0 whole windows tie
BANDS = np.repeat(np.arange(4), 8)[:, None].repeat(SIDE, axis=1)
STEPS = {"n_steps": 2, "baseline": BASELINE}
THEIR_STEPS = {"n_steps": 2, "baselines": torch.tensor(BASELINE)}
WINDOWS = {"window": 20, "stride": 15, "baseline": 0.5}
THEIR_WINDOWS = {"sliding_window_shapes": (3, 20, 20), "strides": (3, 15, 15), "baselines": 0.5}

# our method and options, Captum's and its options, and how near: Captum rounds some numbers to float32
OF_THE_INPUT = {
    "saliency": ({}, C.Saliency, {}, 1e-10),
    "input_x_gradient": ({}, C.InputXGradient, {}, 1e-10),
    "guided_backprop": ({}, C.GuidedBackprop, {}, 1e-10),
    "deconvolution": ({}, C.Deconvolution, {}, 1e-10),
    "integrated_gradients": (STEPS, C.IntegratedGradients, THEIR_STEPS, 1e-7),
    "occlusion": (WINDOWS, C.Occlusion, THEIR_WINDOWS, 1e-7),
    "feature_ablation": ({"mask": BANDS}, C.FeatureAblation, {"feature_mask": torch.tensor(BANDS)}, 1e-10),
}
OF_A_LAYER = {
    "grad_cam": ({}, C.LayerGradCam, {}, 1e-10),
    "guided_grad_cam": ({}, C.GuidedGradCam, {}, 1e-10),
    "layer_activation": ({}, C.LayerActivation, {}, 1e-10),
    "layer_gradient_x_activation": ({}, C.LayerGradientXActivation, {}, 1e-10),
    "layer_integrated_gradients": (STEPS, C.LayerIntegratedGradients, THEIR_STEPS, 1e-7),
    "layer_conductance": (STEPS, C.LayerConductance, THEIR_STEPS, 1e-8),
    "internal_influence": (STEPS, C.InternalInfluence, THEIR_STEPS, 1e-7),
}
OF_A_NEURON = {
    "neuron_gradient": ({}, C.NeuronGradient, {}, 1e-10),
    "neuron_guided_backprop": ({}, C.NeuronGuidedBackprop, {}, 1e-10),
    "neuron_integrated_gradients": (STEPS, C.NeuronIntegratedGradients, THEIR_STEPS, 1e-7),
    "neuron_conductance": (STEPS, C.NeuronConductance, {**THEIR_STEPS, "method": "gausslegendre"}, 1e-7),
}
LAYERS = {  # of a branch, of a shortcut, and of a whole block
    "resnet18": ["conv3_1.conv1", "conv4_1.shortcut_bn", "conv4_2"],
    "vgg11": ["conv4_1"],
}
NO_TARGET = (C.LayerActivation, C.NeuronGradient, C.NeuronGuidedBackprop, C.NeuronIntegratedGradients)


def captum(pair, captums, *layer, **options):
    """Captum's attributions, as an array."""
    if captums not in NO_TARGET:
        options["target"] = torch.tensor(TARGETS)
    found = captums(pair.net, *layer).attribute(pair.tensor().requires_grad_(), **options)
    return found.detach().numpy()


@pytest.mark.exhaustive
@pytest.mark.parametrize("method", OF_THE_INPUT)
@pytest.mark.parametrize("name", NAMES)
def test_attributions_of_the_input_are_captums(name, method, pairs):
    pair, (ours, theirs, options, rtol) = pairs[name], OF_THE_INPUT[method]
    found = getattr(attribution, method)(pair.model, pair.x, TARGETS, **ours)
    checks.assert_close(found, captum(pair, theirs, **options), rtol)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_smoothgrad_is_captums_on_the_same_samples(name, pairs, monkeypatch):
    pair = pairs[name]
    inject(monkeypatch, pair.x + 0.2 * noise_drawn(3, pair.x, 2))
    expected = C.NoiseTunnel(C.Saliency(pair.net)).attribute(
        pair.tensor(), nt_samples=2, target=TARGETS, abs=False
    )
    found = attribution.smoothgrad(pair.model, pair.x, TARGETS, n_samples=2, noise_absolute=0.2, rng=3)
    checks.assert_close(found, expected.numpy(), 1e-8)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_gradient_shap_is_captums_on_the_same_samples(name, pairs, monkeypatch):
    pair = pairs[name]
    samples = list(draw(pair.x, BASELINE, 2, 0.3, np.random.default_rng(9)))
    expected = captums_gradient_shap(pair, samples, monkeypatch)
    found = attribution.gradient_shap(pair.model, pair.x, TARGETS, BASELINE, n_samples=2, noise=0.3, rng=9)
    checks.assert_close(found, expected, 1e-10)


@pytest.mark.exhaustive
@pytest.mark.parametrize("method", OF_A_LAYER)
@pytest.mark.parametrize("name", NAMES)
def test_attributions_of_layers_are_captums(name, method, pairs):
    pair, (ours, theirs, options, rtol) = pairs[name], OF_A_LAYER[method]
    for layer in LAYERS[name]:
        found = getattr(attribution, method)(pair.model, pair.x, TARGETS, layer=layer, **ours)
        expected = captum(pair, theirs, pair.layer(layer), **options)
        checks.assert_close(found.reshape(expected.shape), expected, rtol, layer)


@pytest.mark.exhaustive
@pytest.mark.parametrize("method", OF_A_NEURON)
@pytest.mark.parametrize("name", NAMES)
def test_attributions_of_neurons_are_captums(name, method, pairs):
    pair, (ours, theirs, options, rtol) = pairs[name], OF_A_NEURON[method]
    layer = LAYERS[name][0]
    gradient = attribution.every_layer(pair.model, pair.x[:1], TARGETS[:1])[layer].gradient[0]
    neuron = tuple(map(int, np.unravel_index(np.abs(gradient).argmax(), gradient.shape)))  # one that counts
    expected = captum(pair, theirs, pair.layer(layer), neuron_selector=neuron, **options)
    found = getattr(attribution, method)(pair.model, pair.x, TARGETS, layer=layer, neuron=neuron, **ours)
    assert expected.any()
    checks.assert_close(found, expected, rtol)


# DeepLIFT. Captum's is right where no max pool follows a ReLU, so the pools become means on both sides.


def with_average_pools(pair):
    """The same network with average pools; the torch network is another object with the same modules in it."""
    pools = [name for name in pair.model.network.parts() if name.startswith("pool")]
    if pair.name == "resnet18":
        kind, net = AvgPool2d(3, stride=2, padding=1), torch_networks.ResNet("resnet18", 5).eval()
        for key, module in pair.net.named_children():
            setattr(net, key, module)
        net.maxpool, pools = nn.AvgPool2d(3, stride=2, padding=1), ["pool1"]
    else:
        features = [nn.AvgPool2d(2) if isinstance(m, nn.MaxPool2d) else m for m in pair.net.features]
        kind, net = AvgPool2d(2), torch_networks.Classic(features, 7, list(pair.net.classifier)).eval()
    parts = {**pair.model.network.parts(), **dict.fromkeys(pools, kind)}
    model = npgrad.Model(pair.model.network.with_parts(parts), aliases=pair.model.aliases)
    return Backbone(pair.name, model, net, pair.x)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_deep_lift_is_captums(name, pairs):
    pair = with_average_pools(pairs[name])
    found = attribution.deep_lift(pair.model, pair.x, TARGETS, baseline=BASELINE)
    checks.assert_close(found, captum(pair, C.DeepLift, baselines=torch.tensor(BASELINE)), 1e-10)
    for layer in LAYERS[name]:
        found = attribution.layer_deep_lift(pair.model, pair.x, TARGETS, layer=layer)
        checks.assert_close(found, captum(pair, C.LayerDeepLift, pair.layer(layer)), 1e-10, layer)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Deep networks with random statistics, and a Graph; in float64."""
    folder = tmp_path_factory.mktemp("others")

    def make(name):
        return (
            graph().astype(np.float64) if name == "graph" else backbones.pair(name, folder, num_classes=5)[0]
        )

    return MadeOnce(["resnet50", "mobilenet_v2", "graph"], make)


ALL = [
    "resnet18",
    pytest.param("vgg11", marks=pytest.mark.exhaustive),
    pytest.param("resnet50", marks=pytest.mark.exhaustive),
    "mobilenet_v2",
    "graph",
]
PASSED = {  # by everything: layers that leave no way around them
    "resnet18": ["bn1", "conv2_2", "conv3_1", "conv5_2", "pool5"],
    "resnet50": ["relu1", "conv2_1", "conv4_3", "conv5_3"],
    "mobilenet_v2": ["relu1", "bottleneck1", "bottleneck3", "bottleneck15", "relu2"],
    "vgg11": ["pool1", "relu3_2", "avgpool", "fc6"],
    "graph": ["/relu1", "/pool", "/clip", "/mean"],
}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("2 - 0", lambda y: y[:, 2] - y[:, 0]),
        ("- 3", lambda y: -y[:, 3]),
        ("prob(1)", lambda y: y.softmax(1)[:, 1]),
    ],
)
def test_targets_that_are_expressions_equal_captum_with_a_wrapped_forward(target, value, pairs):
    pair = pairs["resnet18"]

    def forward(x):
        return value(pair.net(x))

    for name, method, tolerance in (
        ("saliency", C.Saliency, 1e-8),
        ("input_x_gradient", C.InputXGradient, 1e-8),
        ("integrated_gradients", C.IntegratedGradients, 1e-7),
    ):
        ours, theirs = (STEPS, THEIR_STEPS) if name == "integrated_gradients" else ({}, {})
        expected = method(forward).attribute(pair.tensor().requires_grad_(), **theirs).detach().numpy()
        found = getattr(attribution, name)(pair.model, pair.x, target, **ours)
        checks.assert_close(found, expected, tolerance, name)
    for options in ({}, {"baseline": BASELINE}):
        found, delta = attribution.deep_lift(pair.model, pair.x, target, return_delta=True, **options)
        assert found.any() and np.abs(delta).max() < 1e-9


def asked(name, pairs, others):
    """(model, images, targets)"""
    model = pairs[name].model if name in pairs else others[name]
    return model, IMAGES[:2], TARGETS[:2]


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["zero", "corner"])
@pytest.mark.parametrize("name", ALL)
def test_deep_lift_is_complete(name, kind, pairs, others):
    """Through residual blocks, ReLU6 and pools after ReLUs: attributions sum to F(x) - F(x0), at every layer."""
    model, x, targets = asked(name, pairs, others)
    if name in ("mobilenet_v2", "graph"):
        x = 10 * x  # so that ReLU6 is at its ceiling in places
        assert any((r.y == 6).any() for r in model.forward(x) if isinstance(r.layer, ReLU6))
    baseline = np.zeros_like(x)
    if kind == "corner":  # most differences from the reference are then 0
        baseline = x.copy()
        baseline[:, :, 8:20, 8:20] = 0.25
    change = (model(x) - model(baseline))[[0, 1], targets]
    found, delta = attribution.deep_lift(model, x, targets, baseline=baseline, return_delta=True)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), change, rtol=1e-9)
    np.testing.assert_allclose(delta, 0, atol=1e-9 * np.abs(change).min())
    for layer in PASSED[name]:
        found = attribution.layer_deep_lift(model, x, targets, layer=layer, baseline=baseline)
        np.testing.assert_allclose(found.reshape(2, -1).sum(axis=1), change, rtol=1e-9, err_msg=layer)


# LRP.


class Sum(nn.Module):
    """A residual block whose sum is a module, as Captum's LRP asks for."""

    def __init__(self, block):
        super().__init__()
        from captum.attr._utils.custom_modules import Addition_Module

        self.block, self.add = block, Addition_Module()

    def forward(self, x):
        b = self.block
        y = b.bn2(b.conv2(b.relu1(b.bn1(b.conv1(x)))))
        return b.relu2(self.add(y, x if b.downsample is None else b.downsample(x)))


def with_sums(pair):
    """ResNet-18 with its sums as modules."""
    if pair.name != "resnet18":
        return pair
    net = torch_networks.ResNet("resnet18", 5).eval()
    for key, module in pair.net.named_children():
        stage = key.startswith("layer")
        setattr(net, key, nn.Sequential(*map(Sum, module)) if stage else module)
    return Backbone(pair.name, pair.model, net, pair.x)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_lrp_is_captums(name, pairs):
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, GammaRule

    pair = with_sums(pairs[name])
    rules = [(None, None), (Gamma(), GammaRule)]
    if name == "resnet18":  # whose pixels are made positive, where Captum's two readings of the rule are one
        rules.append((ZPlus(), lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True)))
    for ours, theirs in rules:
        one = pair._replace(x=np.abs(pair.x))
        for module in pair.net.modules():
            if theirs is not None and isinstance(module, (nn.Conv2d, nn.Linear)):
                module.rule = theirs()
        found = attribution.lrp(one.model, one.x, TARGETS, rules=ours)
        checks.assert_close(found, captum(one, C.LRP), 1e-9, str(ours))


def without_shifts(model):
    """The model with every bias and BatchNorm's mean 0: nothing keeps relevance for itself."""
    learned = model.network.arrays(buffers=True)
    return model.with_parameters(
        {k: 0 * a for k, a in learned.items() if k.endswith(("bias", "running_mean"))}
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ALL)
def test_lrp_conserves(name, pairs, others):
    """Without biases the relevances sum to the score: at the input, and at every layer that all must pass."""
    model, x, _ = asked(name, pairs, others)
    model = without_shifts(model)
    score = model(x).max(axis=1)
    for rules in (None, Epsilon(0)) if name == "resnet18" else (Epsilon(0),):
        relevance, delta = attribution.lrp(model, x, rules=rules, return_delta=True)
        np.testing.assert_allclose(relevance.sum(axis=(1, 2, 3)), score, rtol=1e-6)
        np.testing.assert_allclose(delta / score, 0, atol=1e-6)
        for layer in PASSED[name]:
            found = attribution.layer_lrp(model, x, layer=layer, rules=rules)
            np.testing.assert_allclose(found.reshape(2, -1).sum(axis=1), score, rtol=1e-6, err_msg=layer)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("resnet18", ("conv3_1.bn2", "conv3_1.shortcut_bn")),
        ("resnet50", ("conv4_1.relu2", "conv4_1.shortcut")),
        ("graph", ("/left", "/right")),
    ],
)
def test_what_lrp_sends_down_both_ways_is_the_whole(name, ways, pairs, others):
    model, x, _ = asked(name, pairs, others)
    model = without_shifts(model)
    parts = [attribution.layer_lrp(model, x, layer=way, rules=Epsilon(0)).sum(axis=(1, 2, 3)) for way in ways]
    whole = model(x).max(axis=1)
    if name == "graph":  # what goes past both is the third way, into the concatenation
        whole = attribution.layer_lrp(model, x, layer="/relu6", rules=Epsilon(0)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-6)
    assert all((np.abs(part) > 1e-3 * np.abs(whole)).all() for part in parts)


@pytest.mark.parametrize("name", ALL)
def test_lrp_conserves_with_the_shares_of_the_biases(name, pairs, others):
    """With biases, BatchNorm's shift among them, what they keep and what arrives are the score together."""
    model, x, targets = asked(name, pairs, others)
    shares = []

    def watched(record, relevance):
        z, layer = record.y, record.layer
        own = layer.forward(np.zeros_like(record.x))[0]  # what it gives for nothing: its bias or shift
        share = np.divide(own, z, out=np.zeros_like(z), where=z != 0)
        shares.append((share * relevance).reshape(len(x), -1).sum(axis=1))
        return Epsilon(1e-14)(record, relevance)

    rules = dict.fromkeys((Conv2d, Linear, BatchNorm2d), watched)
    relevance = attribution.lrp(model, x, targets, rules=rules)
    total = relevance.sum(axis=(1, 2, 3)) + np.sum(shares, axis=0)
    np.testing.assert_allclose(total, model(x)[[0, 1], targets], rtol=1e-6)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ALL)
def test_composite_by_position(name, pairs, others):
    model, x, targets = asked(name, pairs, others)
    rules = attribution.composite_by_position(model)
    weighted = [n for n in model.layer_names() if isinstance(model.layer(n), (Conv2d, Linear))]
    norms = [n for n in model.layer_names() if isinstance(model.layer(n), BatchNorm2d)]
    assert sorted(rules) == sorted([*weighted, *norms])
    assert sum(isinstance(rule, Merged) for rule in rules.values()) == len(norms)
    first, last = rules[weighted[0]], rules[weighted[-1]]
    assert isinstance(getattr(first, "rule", first), ZBox) and last == Epsilon()
    x = np.clip(x, -1.7, 2.2)
    relevance = attribution.lrp(model, x, targets, rules=rules)
    size = np.abs(relevance).sum(axis=(1, 2, 3)) / np.abs(model(x)[[0, 1], targets])
    assert relevance.any(axis=(1, 2, 3)).all() and (size < 100).all()  # nothing blows up


def test_a_merged_rule_is_that_of_the_merged_convolution(pairs):
    model, x = pairs["resnet18"].model, pairs["resnet18"].x
    record = model.forward(x).records["conv3_1.conv1"]
    norm = model.layer("conv3_1.bn1")
    scale = norm.weight / np.sqrt(norm.running_var + norm.eps)
    weight = record.layer.weight * scale[:, None, None, None]
    merged = Conv2d(weight, norm.bias - scale * norm.running_mean, record.layer.stride, record.layer.padding)
    tape = npgrad.Model(merged).forward(record.x)
    relevance = np.random.default_rng(0).normal(size=record.y.shape)
    for rule in (Epsilon(relative=0.2), Gamma(), Gamma(signed=True), ZPlus()):
        found = Merged(rule, norm)(record, relevance)
        checks.assert_close(found, rule(tape.records["layer"], relevance), 1e-9, str(rule))


def test_signed_gamma_is_its_formula():
    """One output at a time: contributions of its own sign count 1 + gamma times."""
    rng = np.random.default_rng(0)
    fc, x, relevance = Linear(rng.normal(size=(6, 8)), rng.normal(size=6)), *rng.normal(size=(2, 1, 8))
    record, relevance = npgrad.Model(fc).forward(x).records["layer"], relevance[:, :6]
    expected = np.zeros(8)
    for k in range(6):
        z = x[0] * fc.weight[k]
        z = np.where(z * record.y[0, k] > 0, 1.5 * z, z)
        expected += z / (z.sum() + fc.bias[k]) * relevance[0, k]
    assert (record.y < 0).any() and (record.y > 0).any()
    checks.assert_close(Gamma(0.5, signed=True)(record, relevance)[0], expected, 1e-8)
    positive = npgrad.Model(fc).forward(np.abs(x)).records["layer"]
    open_ = relevance * (positive.y > 0)
    checks.assert_close(Gamma(0.5, signed=True)(positive, open_), Gamma(0.5)(positive, open_), 1e-12)
