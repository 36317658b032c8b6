"""Every public function with numbers, options and names that it cannot use: the message names the argument."""

import warnings
from collections import Counter

import numpy as np
import pytest
from every_function import CLASSES, FUNCTIONS, INF, INSIDE, MODEL, NAN, SIDE, X, call, parameters, refused

import npgrad
from npgrad import attribution, evaluation
from npgrad.attribution import methods
from npgrad.io import known_weights
from npgrad.models import registry

WHOLE = [0, -1, 1.5, True, "5", NAN, INF, (2,), np.array([1, 2])]
POSITIVE = [0, -1, NAN, INF, "x", True, (1,)]
NOT_NEGATIVE = [-1, NAN, INF, "x", True]
BAD = {  # parameter: values that no function takes for it
    "samples_at_once": WHOLE, "max_features": WHOLE,
    "n_steps": WHOLE, "n_samples": WHOLE, "batch_size": WHOLE, "num_iterations": [-1, 1.5, True, "5", NAN],
    "max_iter": [-1, 1.5, True, "5"], "octaves": WHOLE, "blur_every": [-1, 1.5, "x"], "max_jitter": [-1, 1.5, "x"],
    "steps": [-1, 1.5, True, "5", NAN], "noise": NOT_NEGATIVE, "noise_absolute": NOT_NEGATIVE, "radius": NOT_NEGATIVE,
    "window": [0, -1, 1.5, True, (2,), (1, 2, 3, 4), "ab", (99, 2, 2), SIDE + 1, (2, SIDE + 1)],
    "stride": [0, -1, 1.5, True, (2,), (1, 2, 3, 4), "ab"], "rng": [-1, "x", 1.5, [0.5]],
    "layer": ["conv22", "", 5, ("conv1",), ["conv1", "conv2"]], "resize": ["soft", 5, ["bilinear"]],
    "kind": ["middle", 5, None, ["mean"]],
    "baseline": [NAN, "x", np.zeros(7), np.full(3, INF), [None], np.zeros((2, 2, 3, SIDE, SIDE))],
    "mask": [np.zeros((SIDE, SIDE)), np.zeros((3, 3), int), "x", [None]],
    "neuron": [(99, 0, 0), (0, 0), "x", (0, 0, 0.5), -99, (0, 1, 99)],
    "fractions": [(), (-0.1,), (1.5,), (NAN,), "x", 5],
    "n_components": WHOLE, "factors": [(), "x", 5, (NAN,), ("a",)],
    "vector": [NAN, "x", np.zeros(7), [None]], "similarity": ["l2", 5, ["ssim"]],
    "order": ["best", 5], "epsilon": NOT_NEGATIVE, "norm": ["l7", 5], "optimizer": ["sgdd", 5, ["adam"]],
    "learning_rate": [-1, NAN, INF, "x"], "octave_scale": [0, -1, NAN, "x"], "margin": [NAN, "x"],
    "cells": WHOLE, "probability": [*POSITIVE, 1.1], "max_sigma": POSITIVE, "fraction": [*POSITIVE, 1.1],
    "max_distance": [*NOT_NEGATIVE, 1.1], "n_segments": [5, (), "x", (0,), (1.5,), [True]], "smallest": WHOLE,
    "dilation": [-1, 1.5, True, "5", NAN], "channels": ["mean", 5, ["max"]],
    "kernel_width": POSITIVE, "alpha": NOT_NEGATIVE, "distance": ["taxi"], "penalty": ["ridges"],
    "content_weight": NOT_NEGATIVE, "tv_weight": NOT_NEGATIVE, "content_layer": ["conv22", 5, ["conv1"]],
    "style_layers": [["conv22"], [], 5],
    "style_weights": [[1, 2], ["x"], [NAN]], "image_size": WHOLE, "style_size": WHOLE, "size": [0, -1, 1.5, "x"],
    "scaling": ["none", 5, ["layer"]],
    "step_size": [-1, NAN, "x"], "upto": ["conv22", 5, ["conv1"]], "start": ["nothing", 5],
}  # fmt: skip
# A method's own name, or a rule of integration: which it is, the function says.
BAD_METHODS = {
    name: ["nothing", 5, ["nothing"]] for name, f in FUNCTIONS.items() if "method" in parameters(f)
}
SEVERAL_LAYERS = (
    *("layer_activation", "layer_gradient_x_activation", "layer_integrated_gradients", "layer_conductance"),
    *("internal_influence", "layer_deep_lift", "layer_gradient_shap", "layer_deep_lift_shap", "layer_lrp"),
    *(name for name in FUNCTIONS if {"cam", "fem"} & set(name.split("_")) and name != "guided_grad_cam"),
)
SHARED = Counter(key for function in FUNCTIONS.values() for key in parameters(function))
CASES = [  # of an argument that many functions have, which one check refuses, each has half of the values
    (name, key, value)
    for i, (name, function) in enumerate(FUNCTIONS.items())
    for key in parameters(function)
    if (name, key) != ("Model.forward", "rng")  # NumPy says it
    for j, value in enumerate(BAD_METHODS.get(name, []) if key == "method" else BAD.get(key, []))
    if not (key == "layer" and name in SEVERAL_LAYERS and isinstance(value, (list, tuple)))
    if (i + j) % 2 == 0 or SHARED[key] < 6
]
OTHER_WORDS = {
    "layer": ["layer", "name"], "upto": ["layer", "upto"], "content_layer": ["layer"], "style_layers": ["layer"],
    "kind": ["kind", "mean"], "start": ["start", "nothing", "image"], "method": ["method"],
    "neuron": ["neuron", "place"],
}  # fmt: skip


@pytest.mark.sampled(120)
@pytest.mark.parametrize(
    ("name", "key", "value"), CASES, ids=[f"{n}-{k}-{str(v)[:24]!r}" for n, k, v in CASES]
)
def test_an_argument_that_cannot_be_used(name, key, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(
            (npgrad.NpgradError, TypeError), lambda: call(name, **{key: value}), OTHER_WORDS.get(key, [key])
        )


@pytest.mark.parametrize("name", ["best_iou", "energy_inside", "pointing_game", "top_k_intersection"])
def test_maps_and_masks(name):
    function, maps = getattr(evaluation, name), np.ones((2, SIDE, SIDE))
    assert np.isfinite(function(maps, INSIDE)).all()
    bad_maps = [
        None,
        "x",
        1.0,
        maps[0],
        maps[None, None],
        maps.astype(object),
        np.full_like(maps, NAN),
        maps[:0],
    ]
    for bad in bad_maps:
        refused(npgrad.NpgradError, lambda bad=bad: function(bad, INSIDE), ["attribution"])
    for bad in (
        None,
        "x",
        1.0,
        INSIDE[:3],
        INSIDE[None, None, None],
        INSIDE.astype(float),
        np.zeros((3, SIDE, SIDE), bool),
    ):
        refused(npgrad.NpgradError, lambda bad=bad: function(maps, bad), ["mask"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: npgrad.load("squeezenet1_2"), ["nearest: squeezenet1_0, squeezenet1_1"]),
        (lambda: npgrad.load("/no/such/file.h5"), ["/no/such/file.h5"]),
        (lambda: MODEL.forward(X)["conv22"], ["nearest: conv2"]),
        (lambda: MODEL.forward(X).backward({"conv22": X}), ["nearest: conv2"]),
        (lambda: MODEL.forward(X).backward(np.ones((2, CLASSES), np.float32), at=("conv22",)), ["nearest: conv2"]),
        (lambda: MODEL.class_index("bea"), ["nearest: bee"]),
        (lambda: MODEL.with_parameters({"conv1.wight": 1}), ["nearest: conv1.weight"]),
        (lambda: attribution.smoothgrad(MODEL, X, method="salience"), ["saliency"]),
    ],
)  # fmt: skip
def test_an_unknown_name_gets_the_nearest(call, words):
    refused(npgrad.NpgradError, call, words)


def test_a_list_is_no_name():
    for find in (registry.create, methods.function_of, known_weights.get, MODEL.layer):
        refused(npgrad.NpgradError, lambda find=find: find(["saliency"]), ["no ", "expected one name"])
    tape = MODEL.forward(X)
    assert ["conv1"] not in tape and 5 not in tape and "conv1" in tape
