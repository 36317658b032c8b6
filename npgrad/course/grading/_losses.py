"""The checks of the content loss, the Gram matrix and the style loss (Q2.1, Q2.2)."""

import numpy as np

from npgrad.course.grading._cases import generator
from npgrad.course.grading._compare import compare, number

WEIGHT = {
    "no": "the weight is missing",
    "square": "the weight is squared",
    "half": "found half of the right value: Gatys has a factor 1/2 before the sum, the homework has none",
    "twice": "found twice the right value: is every difference counted twice?",
}
CONTENT = {
    "reduce": {"mean": "found the mean of the squared differences, expected their sum"},
    "power": {
        "absolute": "found the sum of absolute differences, expected that of squared ones",
        "root": "found the norm of the difference, expected its square: the sum of the squared differences",
        "late": "the differences are summed and then squared, expected squared and then summed",
        "no": "the differences are not squared",
    },
    "weight": WEIGHT,
}


def content_loss(content_weight, content_current, content_original, reduce="sum", power="", weight=""):
    """content_weight * sum of squared differences."""
    return weighted(content_weight, reduced([content_current - content_original], reduce, power), weight)


def check_content_loss(answer):
    """content_loss(content_weight, content_current, content_original)."""
    for shape, dtype, weight in (((1, 5, 7, 9), "float64", 6e-2), ((1, 4, 6, 3), "float32", 7.0)):
        current, original = generator(answer.draw, shape[1]).normal(0.3, 1, (2, *shape)).astype(dtype)
        arguments = {"content_weight": weight, "content_current": current, "content_original": original}
        where = f"features of shape {shape}, {dtype}, weight {weight:g}"
        compare(number(answer(arguments, where=where), where), content_loss, arguments, CONTENT, where)


GRAM = {
    "divide": {
        "no": "not normalized: expected the product divided by C*H*W",
        "HW": "divided by only H*W, expected by C*H*W",
        "C": "divided by only C, expected by C*H*W",
        "NCHW": "divided by N*C*H*W, expected by C*H*W: each image has its own Gram matrix",
        "always": "normalize=False has no effect, expected the product without the division",
        "2": "divided by 2*C*H*W, expected by C*H*W",
    },
    "layout": {
        "NC": "the images of a batch are mixed: found (N*C, N*C), expected (N, C, C), one matrix per image",
        "C": "the images of a batch are mixed: found one matrix (C, C) of all images, expected (N, C, C)",
        "C reshaped": "the images of a batch are mixed by a reshape to (C, ...), expected (N, C, H*W)",
        "sum": "the images' Gram matrices are summed, expected one per image, (N, C, C)",
        "mean": "found the mean of the images' Gram matrices, expected one per image, (N, C, C)",
        "first": "found only the first image's Gram matrix, expected (N, C, C)",
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


def check_gram_matrix(answer):
    """gram_matrix(features, normalize=True)."""
    for shape, dtype in (((3, 5, 6, 8), "float64"), ((1, 4, 7, 5), "float32"), ((2, 6, 3, 3), "float64")):
        features = generator(answer.draw, shape[1]).normal(0.2, 1, shape).astype(dtype)
        where = f"features of shape {shape}, {dtype}"
        found = answer({"features": features}, where=where)
        compare(found, gram_matrix, {"features": features}, GRAM, where)
        where += ", normalize=False"
        found = answer({"features": features}, {"normalize": False}, where)
        compare(found, gram_matrix, {"features": features, "normalize": False}, GRAM, where)


STYLE = {
    "layers": {
        "order": "the first features are used, in order, expected those of the layers in style_layers",
        "sorted": "the layers are used in ascending order, expected in that of style_layers, as the targets are",
        "first": "only the first style layer counts, expected the sum over all: does the loop return early?",
        "last": "only the last style layer counts, expected the sum over all",
        "mean": "found the mean over the layers, expected the sum",
    },
    "weights": {
        "no": "the weights in style_weights are missing",
        "first": "every layer has the first weight, expected its own",
        "square": "the weights are squared",
        "half": WEIGHT["half"],
        "Gatys": "divided by 4, as in Gatys' paper, expected only the weight times the sum",
    },
    "reduce": {"mean": "found the mean of the squared differences of the Gram matrices, expected their sum"},
    "power": {
        "absolute": "found the absolute differences of the Gram matrices, expected the squared ones",
        "root": "found the norm of the Gram matrices' difference, expected its square",
    },
    "gram": {
        "no": "its Gram matrices are not normalized",
        "HW": "its Gram matrices are divided by only H*W, expected by C*H*W",
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
        terms.append(factors.get(weights, weight) * reduced([G - target], reduce, power))
    return {"first": terms[0], "last": terms[-1], "mean": np.mean(terms)}.get(layers, sum(terms))


def check_style_loss(answer):
    """style_loss(feats, style_layers, style_targets, style_weights)."""
    for dtype, layers, weights in (("float64", [3, 0, 2], [300.0, 20.0, 7.0]), ("float32", [1, 4], [5, 700])):
        rng = generator(answer.draw, len(layers))
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


def reduced(parts, reduce, power):
    """The sum of squares over all parts, or the mistake that `reduce` and `power` name."""
    if power == "root":
        return np.sqrt(sum(np.sum(part * part) for part in parts))
    if power == "late":
        return sum(np.sum(part) for part in parts) ** 2
    powered = {"absolute": np.abs, "no": lambda part: part}.get(power, np.square)
    return sum(getattr(np, reduce)(powered(part)) for part in parts)


def weighted(weight, value, mistake):
    """weight * value, or the mistake."""
    factors = {"no": 1, "square": weight**2, "half": weight / 2, "twice": 2 * weight}
    return factors.get(mistake, weight) * value
