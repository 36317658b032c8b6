"""Every public function that takes a model and images, found by looking at the modules, and how to call each."""

import dataclasses
import inspect

import numpy as np
import pytest

import npgrad
from npgrad import attribution, evaluation, layers, synthesis
from npgrad.attribution import grid
from npgrad.attribution.methods import METHODS

CLASSES, SIDE = 4, 16
NAN, INF = float("nan"), float("inf")


def little_model():
    rng = np.random.default_rng(0)
    parts = {
        "conv1": layers.Conv2d.init(3, 4, 3, rng=rng),
        "relu1": layers.ReLU(),
        "pool1": layers.MaxPool2d(3, 2),
        "conv2": layers.Conv2d.init(4, CLASSES, 3, rng=rng),
        "mean": layers.GlobalAvgPool2d(),
    }
    return npgrad.Model(layers.Sequential(parts), classes=["ant", "bee", "cat", "dog"]).astype(np.float32)


MODEL = little_model()
X = np.random.default_rng(1).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
MASK = grid((SIDE, SIDE), 2)
INSIDE = MASK == 0
FEW = {  # as little work as a function can do
    "n_components": 2,
    "n_steps": 2, "n_samples": 3, "num_iterations": 1, "steps": 1, "max_iter": 1, "octaves": 1, "max_jitter": 1,
    "window": 6, "stride": 5, "mask": MASK, "neuron": (0, 1, 1), "fractions": (0.5,), "size": SIDE,
    "image_size": SIDE, "style_size": SIDE, "blur_every": 1,
}  # fmt: skip
OPTIONS = {  # what has no default, or another meaning
    "deep_dream": {"layer": "conv2"},
    "invert_features": {"layer": "conv2"},
    "make_fooling_image": {"target": 1},
    "style_transfer": {"style_layers": ["relu1"], "style_weights": [1.0], "content_layer": "conv2", "masks": None},
    "layer_ablation": {"mask": None},
    "layer_feature_permutation": {"mask": None},
    "lime": {"n_samples": 8},
    "kernel_shap": {"n_samples": 8},
    "random_logit": {"method": attribution.saliency},
    "randomization": {"method": attribution.saliency, "n_steps": None},
    "sensitivity_max": {"method": attribution.saliency},
    "create_class_visualization": {"target": 1, "layer": None, "channel": None, "neuron": None},
}  # fmt: skip


def parameters(function):
    return inspect.signature(function).parameters


def taking_x():
    """{name: function} of all that take a model and an array of images."""
    found = {"Model": npgrad.Model.__call__, "Model.forward": npgrad.Model.forward, "Model.predict": predict}
    for module in (attribution, synthesis, evaluation):
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function) and {"model", "x"} <= parameters(function).keys():
                found[name] = function
    return found


def predict(model, x):
    return model.predict(x)


FUNCTIONS = taking_x()
FUNCTIONS["style_transfer"] = synthesis.style_transfer
TAKING_X = list(FUNCTIONS)
FUNCTIONS["create_class_visualization"] = synthesis.create_class_visualization
WITH_TARGET = [
    name
    for name, function in FUNCTIONS.items()
    if "target" in parameters(function)
    # these take a target as all do, and have no use for it
    and not (name in METHODS and METHODS[name].blind)
    and name
    not in (
        "neuron_gradient",
        "neuron_guided_backprop",
        "neuron_integrated_gradients",
        "neuron_deconvolution",
        "neuron_deep_lift",
        "neuron_feature_ablation",
        "neuron_gradient_shap",
    )
]


def images(name):
    """Two images, or the one that is changed step by step."""
    return X[:1] if name in synthesis.__all__ else X


def call(name, x=None, **changes):
    """The function with as little work as it can do, and the changes. x: a tuple of one, or None."""
    [x] = [images(name)] if x is None else x
    function = FUNCTIONS[name]
    known = parameters(function)
    options = {key: value for key, value in FEW.items() if key in known}
    options = {**options, **OPTIONS.get(name, {}), **changes}
    options = {key: value for key, value in options.items() if key in known}
    if "attribution" in known:
        options["attribution"] = np.ones_like(X)
    if name == "style_transfer":
        options = {"content": x, "style": X[:1], **options}
    elif "x" in known:
        options["x"] = x
    first = "model" if "model" in known else "self"
    return function(**{first: MODEL}, **options)


def numbers(result):
    """All arrays in a result, in order."""
    if isinstance(result, np.ndarray):
        return [result]
    if isinstance(result, npgrad.Tape) or hasattr(result, "output"):
        return [result.output]
    if hasattr(result, "image"):
        return [result.image]
    if isinstance(result, dict):
        return [array for value in result.values() for array in numbers(value)]
    if isinstance(result, (tuple, list)):
        return [array for value in result for array in numbers(value)]
    if dataclasses.is_dataclass(result):
        return numbers([getattr(result, field.name) for field in dataclasses.fields(result)])
    return [np.array(result)] if isinstance(result, (int, float, np.number)) else []


def refused(error, call, words):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable() and len(message) < 900
    assert any(word in message for word in words), message
