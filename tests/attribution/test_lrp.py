"""LRP against Captum, and what all its rules have in common."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from captum.attr import LRP, LayerLRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close, same_bits
from messages import A_NUMBER
from torch import nn

from npgrad import InputError, Model, UnknownName
from npgrad.attribution.lrp import composite_by_position, layer_lrp, lrp
from npgrad.attribution.lrp_rules import AlphaBeta, Epsilon, Flat, Gamma, WSquare, ZBox, ZPlus
from npgrad.layers import Affine, Conv2d, Flatten, GlobalAvgPool2d, Linear, Pad, ReLU, Sequential

ALL = [*pairs(), squeezenets()[1]]
LARGEST_LAST = [*ALL[:-1], pytest.param(ALL[-1], marks=pytest.mark.exhaustive)]
pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")  # Captum's
ids = {"ids": lambda pair: pair.name}


def captum_lrp(pair, x, rule=None, layer=None):
    """Captum's LRP with `rule()` at every layer with weights (None: its default)."""
    for module in pair.net.modules():
        if rule is not None and isinstance(module, (nn.Conv2d, nn.Linear)):
            module.rule = rule()
    method = LRP(pair.net) if layer is None else LayerLRP(pair.net, pair.layer(layer))
    return method.attribute(torch.tensor(x), target=torch.tensor(TARGETS)).detach().numpy()


@dataclass(frozen=True)
class CaptumsAlpha1Beta0(Gamma):
    """Captum's reading of alpha 1, beta 0: only the weights are cut, not the contributions."""

    def __call__(self, record, relevance):
        layer = dataclasses.replace(record.layer, weight=np.maximum(record.layer.weight, 0))
        y, cache = layer.forward(record.x)
        cut = dataclasses.replace(record, layer=layer, y=y, cache=cache)
        return Epsilon()(cut, relevance)


def zero_bias(rule, **options):
    return lambda: rule(set_bias_to_zero=True, **options)


COMPARED = {  # name: (our rules, Captum's rule, whether x has to be >= 0)
    "default": (None, None, False),
    "gamma": (Gamma(), GammaRule, False),
    "z+": (ZPlus(), zero_bias(Alpha1_Beta0_Rule), True),
    "epsilon": ({Conv2d: Epsilon(0.01), Linear: Epsilon(0.01)}, lambda: EpsilonRule(0.01), False),
    "gamma without bias": (Gamma(0.4, bias=False), zero_bias(GammaRule, gamma=0.4), False),
    "alpha beta": (AlphaBeta(1, 0, bias=False), zero_bias(Alpha1_Beta0_Rule), True),
    "as captum has it": (CaptumsAlpha1Beta0(), Alpha1_Beta0_Rule, False),
}


@pytest.mark.parametrize("pair", LARGEST_LAST, **ids)
def test_equals_captum(pair):
    small = not pair.name.startswith("squeezenet")
    for name, (ours, captums, nonnegative) in COMPARED.items():
        if small or name in ("default", "gamma", "z+"):
            x = np.abs(pair.x) if nonnegative else pair.x
            assert_close(lrp(pair.model, x, TARGETS, rules=ours), captum_lrp(pair, x, captums), 1e-9, name)


@pytest.mark.parametrize("pair", LARGEST_LAST, **ids)
def test_layers_equal_captum(pair):
    for name in pair.model.layer_names():
        if name.startswith("conv") or name.endswith(("2.squeeze", "8.expand3x3")):
            found = layer_lrp(pair.model, pair.x, TARGETS, layer=name)
            assert_close(found, captum_lrp(pair, pair.x, layer=name), 1e-9, name)


def test_a_rule_by_name_wins_and_the_default_layer_is_the_last_fire():
    pair = ALL[4]
    pair.net.fire3.squeeze.rule = GammaRule(0.7)
    expected = captum_lrp(pair, pair.x)
    rules = {"fire3.squeeze": Gamma(0.7), Conv2d: Epsilon()}
    assert_close(lrp(pair.model, pair.x, TARGETS, rules), expected, 1e-9)
    default = layer_lrp(pair.model, pair.x, TARGETS)
    assert np.array_equal(default, layer_lrp(pair.model, pair.x, TARGETS, layer="fire4"))
    assert default.shape == pair.model.forward(pair.x)["fire4"].shape


def test_composite_by_position():
    _, model, _, x = squeezenets()[0]
    rules = composite_by_position(model)
    assert list(rules) == ["conv10", "conv1", *list(rules)[2:]] and len(rules) == 26
    kinds = {name: (type(rule).__name__, getattr(rule, "relative", None)) for name, rule in rules.items()}
    assert kinds["conv1"] == ("ZBox", None)
    assert kinds["conv10"] == ("Epsilon", 0)
    assert kinds["fire2.squeeze"] == kinds["fire5.expand3x3"] == ("Gamma", None)
    assert kinds["fire6.squeeze"] == kinds["fire9.expand3x3"] == ("Epsilon", 0.25)
    white = model.preprocess(np.full((227, 227, 3), 255, np.uint8))
    np.testing.assert_allclose(rules["conv1"].high, white[0, :, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(
        rules["conv1"].low, model.preprocess(0 * model.deprocess(white)[0])[0, :, 0, 0]
    )
    assert np.isfinite(lrp(model, np.clip(x, -1.7, 2.2), TARGETS, rules=rules)).all()
    with pytest.raises(InputError, match="composite_by_position"):
        composite_by_position(Model(Sequential({"relu": ReLU()})))


@pytest.mark.parametrize("first", [Flatten(), Affine(2.0, -1.0), Pad(1), None], ids=repr)
def test_the_box_of_pixels_is_used_for_pixels_alone(first, rng):
    """The weights of another input than the image would get a box that is not its range, or of other channels."""
    layer = Linear(rng.normal(size=(5, 48))) if isinstance(first, Flatten) else Conv2d.init(3, 5, 3, rng=1)
    parts = {"first": first, "w": layer, "relu": ReLU(), "mean": GlobalAvgPool2d(), "fc": Linear.init(5, 2)}
    if isinstance(first, Flatten):
        del parts["mean"]
    model = Model(Sequential({name: part for name, part in parts.items() if part})).astype(np.float64)
    rules, x = composite_by_position(model), rng.normal(size=(2, 3, 4, 4))
    assert isinstance(rules["w"], ZBox if first is None or isinstance(first, Pad) else WSquare)
    relevance = lrp(model, np.clip(x, -1.7, 2.2), [0, 1], rules=rules)
    assert relevance.shape == x.shape and np.isfinite(relevance).all() and relevance.any()


def test_composite_finds_the_cats_face(real_model, shared):
    x = real_model.preprocess(shared / "images" / "Egyptian_cat.jpg")
    relevance, delta = lrp(real_model, x, 285, composite_by_position(real_model), return_delta=True)
    positive = np.maximum(relevance[0].sum(axis=0), 0)
    face = positive[30:180, 35:190]  # 45 % of the image, with eyes, nose and mouth
    assert face.sum() > 0.8 * positive.sum()
    assert -real_model(x)[0, 285] < delta < 0  # the middle layers' epsilon keeps a part


def test_each_image_is_explained_alone_and_the_top_class_is_the_default():
    pair = ALL[4]
    rules = {"conv1": ZBox(-9, 9), "fire2.squeeze": Epsilon(relative=0.3), "fire3.squeeze": AlphaBeta()}
    together = lrp(pair.model, pair.x, TARGETS, rules)
    for i, target in enumerate(TARGETS):
        assert_close(together[i : i + 1], lrp(pair.model, pair.x[i : i + 1], target, rules), 1e-12)
    top = pair.model(pair.x).argmax(axis=1)
    assert np.array_equal(lrp(pair.model, pair.x), lrp(pair.model, pair.x, top))


def test_float32_stays_float32_and_nothing_is_changed():
    pair = ALL[4]
    model, x = pair.model.astype(np.float32), pair.x.astype(np.float32)
    before, copy = {k: v.copy() for k, v in model.parameters().items()}, x.copy()
    for rule in (None, Epsilon(relative=0.1), Gamma(), AlphaBeta(), ZPlus(), ZBox(-9, 9), WSquare(), Flat()):
        found = lrp(model, x, TARGETS, rule)
        assert found.dtype == np.float32 and np.isfinite(found).all()
        assert np.array_equal(found, lrp(model, x, TARGETS, rule))
    assert same_bits(model.parameters(), before) and np.array_equal(x, copy)
    assert_close(lrp(model, x, TARGETS, ZPlus()), lrp(pair.model, pair.x, TARGETS, ZPlus()), 1e-4)


@pytest.mark.parametrize("method", [lrp, layer_lrp])
def test_a_dead_class_gives_zeros_and_one_warning(method):
    pair = ALL[4]
    bias = pair.model.parameters()["conv5.bias"].copy()
    bias[0] = -100
    model = pair.model.with_parameters({"conv5.bias": bias})
    for rule in (None, ZPlus(), AlphaBeta(epsilon=0), Flat()):
        with pytest.warns(UserWarning, match="class 0 is exactly 0") as caught:
            found = method(model, pair.x, [0, 1, 2], rules=rule)
        assert len(caught) == 1 and caught[0].filename == __file__
        assert (found[0] == 0).all() and np.isfinite(found).all() and found[1].any()


def test_mistakes_are_named():
    model, x = ALL[4].model, ALL[4].x
    for make, message in [
        (lambda: Epsilon(-1), f"Epsilon epsilon: {A_NUMBER} >= 0"),
        (lambda: Epsilon(relative=np.nan), "Epsilon relative"),
        (lambda: Gamma(-0.1), "Gamma gamma"),
        (lambda: Gamma("a"), "Gamma gamma"),
        (lambda: AlphaBeta(2, 2), "AlphaBeta: expected alpha - beta = 1, found 2 - 2"),
        (lambda: AlphaBeta(0, -1), "AlphaBeta beta"),
        (lambda: ZBox(1, -1), "ZBox: expected low <= high"),
        (lambda: Flat(epsilon=-1), "Flat epsilon"),
        (lambda: lrp(model, x, rules={"pool1": Gamma()}), "pool1: Gamma is a rule for Conv2d and Linear"),
        (lambda: lrp(model, x, rules={"conv1": ZBox((0, 0), (1, 1))}), "ZBox: expected one number, or 3,"),
    ]:
        with pytest.raises(InputError, match=message):
            make()
    with pytest.raises(UnknownName, match="nearest: fire4"):
        layer_lrp(model, x, layer="fire44")
    for rules in (np.negative, [], {"conv1": 3}):
        with pytest.raises(InputError, match="^rules: expected"):
            lrp(model, x, rules=rules)
