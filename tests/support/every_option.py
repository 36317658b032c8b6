"""Every attribution method, rule of LRP and measure, found by looking at the modules, and all combinations of options.

A call is (function, options); an option that has one entry per image is an `Each`, of which `run` picks some images.
"""

import dataclasses
import inspect
from itertools import product
from typing import NamedTuple

import numpy as np
from drawn_nets import CLASSES, SIDES, drawn_net

from npgrad import attribution, evaluation
from npgrad._parallel import threads
from npgrad.attribution import grid, lrp_rules
from npgrad.attribution._quadrature import RULES as QUADRATURE
from npgrad.errors import InputError
from npgrad.layers import BatchNorm2d, Conv2d, Linear
from npgrad.layers.composite import walk_layers

IMAGES = 5


class Each(NamedTuple):
    """An option with one entry per image."""

    values: np.ndarray


def found(module, *needed):
    """{name: function} of all functions of a module that have these parameters."""
    public = {name: getattr(module, name) for name in module.__all__}
    return {
        name: function
        for name, function in public.items()
        if inspect.isfunction(function) and set(needed) <= inspect.signature(function).parameters.keys()
    }


OF_BATCHES = ("feature_permutation", "layer_feature_permutation")  # whose images exchange their features
METHODS = found(attribution, "model", "x")
del METHODS["feature_factorization"]  # of all images together
MEASURES = found(evaluation, "model", "x") | found(evaluation, "attribution")

rng = np.random.default_rng(0)
NOISE = rng.normal(size=(IMAGES, 3, *SIDES))
PIECES = rng.integers(0, 5, (IMAGES, 1, *SIDES))
OBJECTS_OF_ALL = Each(rng.random((IMAGES, *SIDES)) < 0.4)
FEW = {"n_steps": 3, "n_samples": 3, "window": 4, "stride": 3, "fractions": (0.2, 0.6), "neuron": (0, 0, 0)}
CHOICES = {  # by the name of the option, or where it means something else also of the function; beside the default
    "baseline": (0.25, Each(NOISE)),
    "channels": ("sum",),
    "distance": ("euclidean",),
    "fraction": (1.0,),
    "kernel_width": (20.0,),
    "kind": ("squares", "variance"),
    "layer": ("conv1",),
    "mask": (Each(PIECES),),
    "max_distance": (0.5,),
    "method": QUADRATURE[1:],
    "noise": (0.4,),
    "order": ("most", "least"),
    "penalty": ("ridge",),
    "resize": ("bilinear", "bicubic"),
    "scaling": ("layer",),
    "tolerance": (2,),
    ("integrated_gradients", "tolerance"): (),
    "vector": (Each(NOISE),),
    ("grad_cam_plus_plus", "epsilon"): (0.1,),
    ("hvp", "layer"): ("input",),
    ("aug_smooth", "method"): ("saliency",),
    ("smoothgrad", "method"): ("saliency", "gradient_shap", "kernel_shap"),
    ("shapley_values", "mask"): (Each(PIECES),),
    ("kernel_shap", "mask"): (Each(PIECES), None),
    ("gradient_shap", "baseline"): (0.25, NOISE[:2]),
    ("deep_lift_shap", "baseline"): (0.25, NOISE[:2]),
    ("layer_gradient_shap", "baseline"): (0.25, NOISE[:2]),
    ("layer_deep_lift_shap", "baseline"): (0.25, NOISE[:2]),
    ("neuron_gradient_shap", "baseline"): (0.25, NOISE[:2]),
    ("layer_ablation", "baseline"): (0.25,),
    ("layer_ablation", "mask"): (),
    ("layer_feature_permutation", "mask"): (),
    ("feature_permutation", "mask"): (grid(SIDES, 2),),
    ("xrai", "baseline"): (0.25, NOISE[:2]),
    ("finer_cam", "weighting"): ("pytorch-grad-cam",),
    ("insertion_auc", "baseline"): (0.25, Each(NOISE)),
    ("deletion_auc", "baseline"): ("blur", Each(NOISE)),
    ("infidelity", "noise"): (lambda image, rng: image * rng.random(image.shape),),
    ("sensitivity_max", "radius"): (lambda image, rng: image.std() * rng.random(image.shape),),
    ("sensitivity_max", "method"): (attribution.gradient_shap,),
    ("randomization", "method"): (attribution.grad_cam,),
    ("random_logit", "method"): (attribution.grad_cam,),
    ("random_logit", "similarity"): ("spearman",),
    ("selectivity", "baseline"): ("blur", Each(NOISE)),
}
ALWAYS = {  # in place of the default, which takes too long or does not exist
    "lime": {"n_samples": 12, "mask": grid(SIDES, (3, 2))},
    "shapley_values": {"mask": grid(SIDES, 2)},
    "kernel_shap": {"n_samples": 12, "mask": grid(SIDES, (4, 3))},
    "feature_ablation": {"mask": grid(SIDES, 3)},
    "neuron_feature_ablation": {"mask": grid(SIDES, 3)},
    "feature_permutation": {"mask": grid(SIDES, 3)},
    "layer_ablation": {"mask": np.zeros((1, 1), int)},
    "layer_feature_permutation": {"mask": np.zeros((1, 1), int)},
    "xrai": {"n_segments": (12, 4)},
    "sensitivity_max": {"method": attribution.saliency},
    "random_logit": {"method": attribution.saliency},
    "randomization": {"method": attribution.input_x_gradient, "layers": ["last", "conv1"]},
}


def combinations(name, function, every=True):
    """The dicts of options to call a function with; only the first if not `every`."""
    known = inspect.signature(function).parameters
    options = {key: value for key, value in {**FEW, **ALWAYS.get(name, {})}.items() if key in known}
    if "attribution" in known:
        options["attribution"] = Each(NOISE)
        if "mask" in known:
            options["mask"] = OBJECTS_OF_ALL
    if not every:
        return [options]
    values = {}
    for key, parameter in known.items():
        more = CHOICES.get((name, key), CHOICES.get(key, ()))
        if isinstance(parameter.default, bool):
            values[key] = (False, True)
        elif more and options.get(key) is not OBJECTS_OF_ALL:
            values[key] = (options.get(key, parameter.default), *more)
    combined = [{**options, **dict(zip(values, some, strict=True))} for some in product(*values.values())]
    return [one for one in combined if one.get("multiply_by_inputs", True) or not one.get("return_delta")]


def rules(model):
    """Every rule of LRP with every combination of options, each also merged with the BatchNorms of the model."""
    values = {
        "epsilon": (1e-9, 0.1, 0.0),
        "relative": (0.0, 0.25),
        "gamma": (0.25, 2.0),
        "low": (-5.0,),
        "high": (5.0,),
    }
    values |= {"alpha": (2.0, 1.0), "beta": (1.0, 0.0)}
    norms = {name: norm for name, norm in walk_layers(model.network) if isinstance(norm, BatchNorm2d)}
    layers = model.layer_names()
    for kind in (getattr(lrp_rules, name) for name in lrp_rules.__all__):
        if not inspect.isclass(kind) or kind in (lrp_rules.Rule, lrp_rules.Merged, lrp_rules.FixedScale):
            continue
        fields = {own.name: values.get(own.name, (False, True)) for own in dataclasses.fields(kind)}
        for some in product(*fields.values()):
            try:
                rule = kind(**dict(zip(fields, some, strict=True)))
            except InputError:  # alpha - beta is not 1
                continue
            merged = {
                layers[layers.index(name) - 1]: lrp_rules.Merged(rule, norm) for name, norm in norms.items()
            }
            yield {Conv2d: rule, Linear: rule} | merged | dict.fromkeys(norms, lrp_rules.pass_through)


def net(seed, **options):
    """{"model", "x", "target"} of a drawn network, for `run`; the targets are not the top classes."""
    model, x = drawn_net(seed, **options)
    return {
        "model": model,
        "x": Each(x),
        "target": Each(np.random.default_rng(seed).integers(0, CLASSES, IMAGES)),
    }


def run(function, rows, options):
    """The arrays in a function's result for some of the images: [(len(rows), ...), ...]."""
    known = inspect.signature(function).parameters
    picked = {key: value.values[rows] if isinstance(value, Each) else value for key, value in options.items()}
    result = function(**{key: value for key, value in picked.items() if key in known or "options" in known})
    if isinstance(result, evaluation.Randomization):
        result = (result.spearman.T, result.ssim.T)
    if isinstance(result, dict):
        result = [array for view in result.values() for array in view if array is not None]
    arrays = list(result) if isinstance(result, (tuple, list)) else [result]
    curves = (
        evaluation.deletion_auc,
        evaluation.insertion_auc,
        evaluation.selectivity,
        evaluation.sensitivity_n,
    )
    if function in curves and len(arrays) == 3:
        del arrays[1]  # the fractions, which may be as many as the images
    return [array for array in arrays if len(array) == len(rows)]


def check_alone(function, options, rows, rtol=1e-9):
    """Some images by themselves, any of `rows`, give what they give in the whole batch."""
    together = run(function, list(range(IMAGES)), options)
    assert together
    for some in rows:
        alone = run(function, some, options)
        # of all arrays: the error of a sum is nothing but rounding, as are attributions that cancel
        scale = max(1e-4, *(np.nan_to_num(np.abs(array)).max() for array in alone))
        for one, every in zip(alone, together, strict=True):
            assert one.shape == every[some].shape
            assert np.array_equal(np.isnan(one), np.isnan(every[some]))
            off = np.nan_to_num(np.abs(one - every[some])).max()
            assert off <= max(rtol * scale, 1e-30), f"{some}: off by {off:.3g}, the largest is {scale:.3g}"


def in_parts_of(images, monkeypatch):
    """Make the networks process at most this many of the drawn images at a time."""
    monkeypatch.setattr(threads, "PIXELS", images * SIDES[0] * SIDES[1])
