"""Judges of Part 2's losses (Q2.1 to Q2.3) and of extract_features (Q2.4). How: see grading_maps."""

import ast
import inspect
import textwrap
import time

import numpy as np

from npgrad.course import style
from npgrad.course.grading.calls import Wrong, array, close, compare, number, tolerance
from npgrad.course.grading.cases import network, images

SIDE = 400  # of the image by which tv_loss is timed
SLOW = 0.05, 10  # seconds, and times what plain array operations take

WEIGHT = {
    "no": "the weight is missing",
    "square": "the weight is squared",
    "half": "found half of what is right: Gatys has a factor 1/2 in front of the sum, the homework none",
    "twice": "found twice what is right: is every difference counted two times?",
}
CONTENT = {
    "reduce": {"mean": "found the mean of the squared differences, expected their sum"},
    "power": {
        "absolute": "found the sum of absolute differences, expected of squared ones",
        "root": "found the norm of the difference, expected its square: the sum of the squared differences",
        "late": "the differences are added up and then squared, expected each one squared first",
        "no": "the differences are not squared",
    },
    "weight": WEIGHT,
}


def content_loss(content_weight, content_current, content_original, reduce="sum", power="", weight=""):
    """content_weight * sum of squared differences."""
    return _weighted(content_weight, _sums([content_current - content_original], reduce, power), weight)


def judge_content_loss(answer):
    """content_loss(content_weight, content_current, content_original)."""
    for shape, dtype, weight in (((1, 5, 7, 9), "float64", 6e-2), ((1, 4, 6, 3), "float32", 7.0)):
        current, original = np.random.default_rng(shape[1]).normal(0.3, 1, (2, *shape)).astype(dtype)
        arguments = {"content_weight": weight, "content_current": current, "content_original": original}
        where = f"features of shape {shape}, {dtype}, weight {weight:g}"
        compare(number(answer(arguments, where=where), where), content_loss, arguments, CONTENT, where)


GRAM = {
    "divide": {
        "no": "not normalized: expected the product divided by C*H*W",
        "HW": "divided by H*W alone, expected by C*H*W",
        "C": "divided by C alone, expected by C*H*W",
        "NCHW": "divided by N*C*H*W, expected by C*H*W: each image has a Gram matrix of its own",
        "always": "normalize=False has no effect, expected the product undivided",
        "2": "divided by 2*C*H*W, expected by C*H*W",
    },
    "layout": {
        "NC": "the images of a batch are mixed: found (N*C, N*C), expected (N, C, C), one matrix an image",
        "C": "the images of a batch are mixed: found one matrix (C, C) of all images, expected (N, C, C)",
        "C reshaped": "the images of a batch are mixed by a reshape to (C, ...), expected (N, C, H*W)",
        "sum": "the images' Gram matrices are added up, expected one each, (N, C, C)",
        "mean": "found the mean of the images' Gram matrices, expected one each, (N, C, C)",
        "first": "found the first image's Gram matrix alone, expected (N, C, C)",
        "pixels": "found the products of pixels, (N, H*W, H*W), expected those of channels, (N, C, C)",
        "reshaped": "a reshape to (N, H*W, C) mixes channels and pixels, expected rows of channels (N, C, H*W)",
        "centered": "the channels' means are subtracted (a covariance), expected the plain product",
    },
}


def gram_matrix(features, normalize=True, divide="", layout=""):
    """F F^T / (C*H*W), (N, C, C)."""
    N, C, H, W = features.shape
    F = features.reshape(N, C, -1)
    G = {
        "": lambda: F @ F.transpose(0, 2, 1),
        "NC": lambda: F.reshape(N * C, -1) @ F.reshape(N * C, -1).T,
        "C": lambda: np.einsum("ncp,ndp->cd", F, F),
        "C reshaped": lambda: (
            np.ascontiguousarray(F).reshape(C, -1) @ np.ascontiguousarray(F).reshape(C, -1).T
        ),
        "sum": lambda: (F @ F.transpose(0, 2, 1)).sum(axis=0, keepdims=True),
        "mean": lambda: (F @ F.transpose(0, 2, 1)).mean(axis=0),
        "first": lambda: F[0] @ F[0].T,
        "pixels": lambda: F.transpose(0, 2, 1) @ F,
        "reshaped": lambda: np.einsum("npc,npd->ncd", *[np.ascontiguousarray(F).reshape(N, -1, C)] * 2),
        "centered": lambda: np.einsum("ncp,ndp->ncd", *[F - F.mean(axis=2, keepdims=True)] * 2),
    }[layout]()
    if not normalize and divide != "always":
        return G
    sizes = {"no": 1, "HW": H * W, "C": C, "NCHW": N * C * H * W, "2": 2 * C * H * W}
    return G / sizes.get(divide, C * H * W)


def judge_gram_matrix(answer):
    """gram_matrix(features, normalize=True)."""
    for shape, dtype in (((3, 5, 6, 8), "float64"), ((1, 4, 7, 5), "float32"), ((2, 6, 3, 3), "float64")):
        features = np.random.default_rng(shape[1]).normal(0.2, 1, shape).astype(dtype)
        where = f"features of shape {shape}, {dtype}"
        found = answer({"features": features}, where=where)
        compare(found, gram_matrix, {"features": features}, GRAM, where)
        where += ", normalize=False"
        found = answer({"features": features}, {"normalize": False}, where)
        compare(found, gram_matrix, {"features": features, "normalize": False}, GRAM, where)


STYLE = {
    "layers": {
        "order": "the features are taken in their own order, expected those of the layers in style_layers",
        "sorted": "the layers are taken in rising order, expected in the order of style_layers, as the targets are",
        "first": "only the first style layer counts, expected the sum over all: does the loop return early?",
        "last": "only the last style layer counts, expected the sum over all",
        "mean": "found the mean over the layers, expected the sum",
    },
    "weights": {
        "no": "the weights in style_weights are missing",
        "first": "every layer has the first weight, expected each its own",
        "square": "the weights are squared",
        "half": WEIGHT["half"],
        "Gatys": "divided by 4 as well, as Gatys does; expected the weight times the sum alone",
    },
    "reduce": {"mean": "found the mean of the squared differences of the Gram matrices, expected their sum"},
    "power": {
        "absolute": "found the absolute differences of the Gram matrices, expected the squared ones",
        "root": "found the norm of the Gram matrices' difference, expected its square",
    },
    "gram": {
        "no": "the Gram matrices in it are not normalized",
        "HW": "the Gram matrices in it are divided by H*W alone, expected by C*H*W",
    },
}


def style_loss(
    feats, style_layers, style_targets, style_weights, layers="", weights="", reduce="sum", power="", gram=""
):
    """Sum over layers of weight * sum (G - A)^2."""
    order = {"order": range(len(style_layers)), "sorted": sorted(style_layers)}.get(layers, style_layers)
    terms = []
    for layer, target, weight in zip(order, style_targets, style_weights, strict=True):
        G = gram_matrix(feats[layer], divide=gram)
        if G.shape != target.shape:
            return np.nan
        factors = {"no": 1, "first": style_weights[0], "square": weight**2}
        factors |= {"half": weight / 2, "Gatys": weight / 4}
        terms.append(factors.get(weights, weight) * _sums([G - target], reduce, power))
    return {"first": terms[0], "last": terms[-1], "mean": np.mean(terms)}.get(layers, sum(terms))


def judge_style_loss(answer):
    """style_loss(feats, style_layers, style_targets, style_weights)."""
    for dtype, layers, weights in (("float64", [3, 0, 2], [300.0, 20.0, 7.0]), ("float32", [1, 4], [5, 700])):
        rng = np.random.default_rng(len(layers))
        feats = [rng.normal(size=(1, 5, 4 + i, 6)).astype(dtype) for i in range(5)]
        targets = [gram_matrix(rng.normal(size=(1, 5, 6, 6)).astype(dtype)) for _ in layers]
        arguments = {
            "feats": feats,
            "style_layers": layers,
            "style_targets": targets,
            "style_weights": weights,
        }
        where = f"style_layers {layers}, style_weights {weights}, {dtype}"
        compare(number(answer(arguments, where=where), where), style_loss, arguments, STYLE, where)


TV = {
    "edges": {
        "roll": "it wraps around: the first row and column are compared with the last, which are no neighbors",
        "zeros": "the edges are compared with zeros outside of the image, expected neighbors inside alone",
    },
    "directions": {
        "down": "only the differences down are counted, expected down and across",
        "across": "only the differences across are counted, expected down and across",
        "channels": "the differences are taken along other axes, expected along height and width (axes 2 and 3)",
        "crossed": "the differences down and across are added before they are squared, expected each squared",
    },
    "power": {
        "absolute": "found absolute differences, expected squared ones",
        "root": "found the norm of the differences, expected its square: the sum of the squared differences",
        "late": "the differences are added up and then squared, expected each one squared first",
    },
    "reduce": {"mean": "found the mean of the squared differences, expected their sum"},
    "channels": {"first": "only the first channel is counted, expected all three"},
    "weight": {**WEIGHT, "half": "found half of what is right: the homework has no factor 1/2"},
}


def tv_loss(img, tv_weight, edges="", directions="", power="", reduce="sum", channels="", weight=""):
    """tv_weight * sum of squared differences of neighbors, down and across."""
    img = img[:, :1] if channels == "first" else img
    axes = (1, 2) if directions == "channels" else (2, 3)
    if edges == "zeros":
        img = np.pad(img, ((0, 0), (0, 0), (1, 1), (1, 1)))
    if edges == "roll":
        parts = [np.roll(img, 1, axis) - img for axis in axes]
    else:
        parts = [np.diff(img, axis=axis) for axis in axes]
    if directions == "crossed" and parts[0].ndim == 4:
        parts = [parts[0][..., : parts[1].shape[3]] + parts[1][:, :, : parts[0].shape[2]]]
    parts = {"down": parts[:1], "across": parts[1:]}.get(directions, parts)
    return _weighted(tv_weight, _sums(parts, reduce, power), weight)


def judge_tv_loss(answer):
    """tv_loss(img, tv_weight), vectorized."""
    for shape, dtype, weight in (((1, 3, 9, 7), "float64", 2e-2), ((1, 3, 6, 11), "float32", 3.0)):
        img = np.random.default_rng(shape[2]).normal(0.4, 1, shape).astype(dtype)
        arguments, where = (
            {"img": img, "tv_weight": weight},
            f"img of shape {shape}, {dtype}, weight {weight:g}",
        )
        compare(number(answer(arguments, where=where), where), tv_loss, arguments, TV, where)
    line = loop_in(answer.function)
    if line is not None:
        raise Wrong(f"there is a Python loop in line {line} of the function, expected array operations alone")
    arguments = {"img": images(1, SIDE, SIDE), "tv_weight": 1.0}
    usual, seconds = (min(_seconds(each, arguments) for _ in range(3)) for each in (_plain, answer))
    if seconds > SLOW[0] and seconds > SLOW[1] * usual:
        raise Wrong(
            f"it takes {seconds:.2f} s for {SIDE} x {SIDE} px, array operations {usual:.3f} s: is there a Python loop?"
        )


def _plain(arguments):
    return tv_loss(**arguments)


def loop_in(function):
    """The line, counted from 1, of the first Python loop over pixels in a function's source; None without one
    or without the source: then the time tells.

    A loop over a few things that are written out, such as `for axis in (2, 3)`, is none over pixels.
    """
    if getattr(function, "__name__", "") == "<lambda>":
        return None  # the source would be that of a whole line
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        loops = [node.iter] if isinstance(node, ast.For) else []
        loops += [part.iter for part in getattr(node, "generators", [])]
        if isinstance(node, ast.While) or any(not isinstance(over, (ast.Tuple, ast.List)) for over in loops):
            return node.lineno
    return None


def judge_extract_features(answer):
    """extract_features(x, model): 13 maps."""
    for name, n, dtype in (("A", 2, "float64"), ("B", 1, "float32")):
        model, x = network(name, dtype), images(n, 48, 40, dtype=dtype)
        where = f"x of shape {x.shape}, {dtype}, random network {name}"
        found = answer({"x": x, "model": model}, where=where)
        if not hasattr(found, "__len__") or isinstance(found, np.ndarray):
            raise Wrong(f"expected a list of 13 feature maps, found {type(found).__name__}")
        if len(found) != 13:
            raise Wrong(f"expected 13 feature maps, those of features[0] to features[12], found {len(found)}")
        tape = model.forward(x)
        for i, own in enumerate(style.feature_names(model)):
            try:
                feature = found[i]
            except (KeyError, IndexError):
                raise Wrong(f"expected the maps by their numbers 0 to 12, found none under {i}") from None
            feature = array(feature, tape[own].shape, where)
            rtol = tolerance(feature, {"x": x})
            if not close(feature, tape[own], rtol):
                other = next((r.name for r in tape if close(feature, r.y, 10 * rtol)), None)
                found = f"that of {other}" if other else f"other values, of shape {feature.shape}"
                raise Wrong(f"expected at [{i}] the map of {own}, {tape[own].shape}, found {found} ({where})")


def _sums(parts, reduce, power):
    """The sum of squares over all parts; or what `reduce` and `power` make of it."""
    if power == "root":
        return np.sqrt(sum(np.sum(part * part) for part in parts))
    if power == "late":
        return sum(np.sum(part) for part in parts) ** 2
    powered = {"absolute": np.abs, "no": lambda part: part}.get(power, np.square)
    return sum(getattr(np, reduce)(powered(part)) for part in parts)


def _weighted(weight, value, fault):
    factors = {"no": 1, "square": weight**2, "half": weight / 2, "twice": 2 * weight}
    return factors.get(fault, weight) * value


def _seconds(answer, arguments):
    begin = time.perf_counter()
    answer(arguments)
    return time.perf_counter() - begin
