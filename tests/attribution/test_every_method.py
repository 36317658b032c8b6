"""What holds for every attribution method, and for its documentation."""

import doctest
import importlib
import inspect
import pkgutil
import re
import warnings

import numpy as np
import pytest
from checks import additions_in, assert_rounding
from messages import A_WHOLE_NUMBER, AN_INDEX

import npgrad
from npgrad import attribution
from npgrad.attribution import grid, saliency
from npgrad.attribution._by_name import BY_NAME
from npgrad.cli._methods import METHODS
from npgrad.models import squeezenet1_1

NEURONS = (
    "neuron_deconvolution",
    "neuron_deep_lift",
    "neuron_gradient",
    "neuron_feature_ablation",
    "neuron_gradient_shap",
    "neuron_guided_backprop",
    "neuron_integrated_gradients",
    "neuron_conductance",
)
MASK = grid((40, 40), (3, 3))
OPTIONS = {
    "integrated_gradients": {"n_steps": 4},
    "layer_integrated_gradients": {"n_steps": 4},
    "layer_conductance": {"n_steps": 4},
    "internal_influence": {"n_steps": 4},
    "fem": {"k": 1.0},  # of four pixels
    "smoothgrad": {"n_samples": 3},
    "gradient_shap": {"n_samples": 3},
    "layer_gradient_shap": {"n_samples": 3},
    "occlusion": {"window": 15, "stride": 12},
    "rise": {"n_samples": 30},
    "blur_ig": {"n_steps": 4},
    "guided_ig": {"n_steps": 4},
    "xrai": {"n_steps": 4, "n_segments": (20, 5)},
    "feature_ablation": {"mask": MASK},
    "feature_permutation": {"mask": MASK},
    "layer_feature_permutation": {"layer": "pool1", "mask": grid((9, 9), 3)},
    "layer_ablation": {"layer": "pool1", "mask": grid((9, 9), 3)},
    "lime": {"mask": MASK, "n_samples": 30},
    "shapley_values": {"mask": grid((40, 40), 2)},
    "shapley_value_sampling": {"mask": MASK, "n_samples": 3},
    "kernel_shap": {"mask": MASK, "n_samples": 30},
    "neuron_gradient": {"layer": "fire4", "neuron": (3, 1, 1)},
    "neuron_guided_backprop": {"layer": "fire4", "neuron": (3, 1, 1)},
    "neuron_deconvolution": {"layer": "fire4", "neuron": (3, 1, 1)},
    "neuron_feature_ablation": {"layer": "fire4", "neuron": (3, 1, 1), "mask": MASK},
    "neuron_deep_lift": {"layer": "fire4", "neuron": (3, 1, 1)},
    "neuron_gradient_shap": {"layer": "fire4", "neuron": (3, 1, 1), "n_samples": 2},
    "neuron_integrated_gradients": {"layer": "fire4", "neuron": (3, 1, 1), "n_steps": 4},
    "neuron_conductance": {"layer": "fire4", "neuron": (3, 1, 1), "n_steps": 4},
}
OF_BATCHES = ("feature_permutation", "layer_feature_permutation")  # whose images exchange their features
EVERY = [*METHODS, *NEURONS, *OF_BATCHES]
DIFFERENCES = (  # of scores, which may be much larger
    *("occlusion", "feature_ablation", "layer_ablation", "neuron_feature_ablation", *OF_BATCHES),
    *("rise", "lime", "kernel_shap", "shapley_values", "shapley_value_sampling"),
)


@pytest.fixture(scope="module")
def model():
    model = squeezenet1_1(num_classes=5, rng=1)
    return model.with_parameters({"conv10.bias": np.full(5, 2, np.float32)})  # no class is dead


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, 3, 40, 40)).astype(np.float32)


def call(name, model, x, target, **options):
    return getattr(attribution, name)(model, x, target, **{**OPTIONS.get(name, {}), **options})


@pytest.mark.parametrize("name", EVERY)
def test_gives_a_finite_array_of_the_inputs_precision(name, model, x):
    a = call(name, model, x, [1, 3])
    assert a.dtype == np.float32
    assert len(a) == 2
    assert np.isfinite(a).all()
    assert a.any()


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", EVERY)
def test_leaves_model_and_input_untouched(name, model, x):
    before_x, before = x.copy(), saliency(model, x, [1, 3])
    first = call(name, model, x, [1, 3])
    np.testing.assert_array_equal(call(name, model, x, [1, 3]), first)
    np.testing.assert_array_equal(saliency(model, x, [1, 3]), before)
    np.testing.assert_array_equal(x, before_x)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", [name for name in EVERY if name not in OF_BATCHES])
def test_every_image_is_explained_by_itself(name, model, x):
    both = call(name, model, x, [1, 3])
    for i, target in enumerate((1, 3)):
        alone = call(name, model, x[i : i + 1], target)
        np.testing.assert_allclose(both[i : i + 1], alone, rtol=0, atol=1e-5 * np.abs(alone).max())


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name", [n for n in EVERY if "batch_size" in inspect.signature(getattr(attribution, n)).parameters]
)
def test_the_size_of_batches_changes_rounding_alone(name, model, x):
    first = call(name, model, x, [1, 3], batch_size=1)
    scale = np.abs(model(x)).max() if name in DIFFERENCES else None
    for size in (3, 50):
        assert_rounding(call(name, model, x, [1, 3], batch_size=size), first, additions_in(model), scale)
    for bad in (0, -1, 1.5, True):
        with pytest.raises(npgrad.InputError, match=f"batch_size: {A_WHOLE_NUMBER} >= 1"):
            call(name, model, x, [1, 3], batch_size=bad)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "name", [n for n in EVERY if "progress" in inspect.signature(getattr(attribution, n)).parameters]
)
def test_progress_ends_at_the_total(name, model, x):
    calls = []
    call(name, model, x, [1, 3], progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1]
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.sampled(13)
@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].blind])
def test_a_dead_class_gives_zeros_and_one_warning(name, model, x):
    dead = model.with_parameters({"conv10.bias": np.full(5, -1e6, np.float32)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        a = call(name, dead, x, [1, 3])
    assert [str(w.message)[:12] for w in caught] == ["the score of"]
    assert caught[0].filename == __file__
    if (
        name != "score_cam"
    ):  # its weights are of the softmax over channels: equal, not zero, where all scores are
        assert not a.any()
    assert np.isfinite(a).all()


ASK_NO_CLASS = (
    *(name for name, method in METHODS.items() if method.blind),
    "neuron_gradient",
    "neuron_guided_backprop",
    "neuron_deconvolution",
    "neuron_deep_lift",
    "neuron_feature_ablation",
    "neuron_gradient_shap",
    "neuron_integrated_gradients",
)


@pytest.mark.sampled(20)
@pytest.mark.parametrize("name", [name for name in EVERY if name not in ASK_NO_CLASS])
@pytest.mark.parametrize("target", [5, -1])
def test_a_target_out_of_range(name, target, model, x):
    with pytest.raises(IndexError, match=f"{AN_INDEX} 4"):
        call(name, model, x, target)


def test_smoothgrad_knows_every_method_by_name():
    no_methods = {
        "composite_by_position",
        "every_layer",
        "feature_factorization",
        "grid",
        "hvp",
        "resize_map",
        "superpixels",
    }
    assert BY_NAME.keys() | {"aug_smooth", "smoothgrad"} == set(attribution.__all__) - no_methods
    assert all(getattr(attribution, name) is function for name, function in BY_NAME.items())


@pytest.mark.parametrize("name", attribution.__all__)
def test_every_parameter_is_annotated_and_documented(name):
    signature = inspect.signature(getattr(attribution, name))
    doc = inspect.getdoc(getattr(attribution, name))
    section = re.search(r"^Parameters\n-+\n(.*?)^Returns\n-+\n", doc, re.DOTALL | re.MULTILINE)[1]
    documented = ", ".join(re.findall(r"^\**(\w[\w, ]*?)(?: : .*)?$", section, re.MULTILINE)).split(", ")
    assert documented == list(signature.parameters)
    assert all(one.annotation is not inspect.Parameter.empty for one in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty


MODULES = [
    "npgrad.rules",
    *(module.name for module in pkgutil.iter_modules(attribution.__path__, "npgrad.attribution.")),
]
EXAMPLES = [
    test
    for name in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples_print_what_they_say(example):
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
