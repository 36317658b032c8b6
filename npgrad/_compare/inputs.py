"""Another input than npgrad's: channels, scale, mean and std, and how an image was resized and cropped."""

import dataclasses
from itertools import product

import numpy as np

from npgrad._compare.arrays import FLIPS
from npgrad.images.preprocessing import Preprocessing
from npgrad.images.reading import open_image

IMAGENET = Preprocessing()
SCALES = {
    "values 0..1, not normalized": Preprocessing(mean=0, std=1, scale=1 / 255),
    "values 0..255, not normalized": Preprocessing(mean=0, std=1, scale=1),
    "values -1..1": Preprocessing(mean=0.5, std=0.5, scale=1 / 255),
    "values 0..1 minus 0.5": Preprocessing(mean=0.5, std=1, scale=1 / 255),
    "ImageNet's mean and std": IMAGENET,
    "ImageNet's mean without its std": Preprocessing(mean=IMAGENET.mean, std=1, scale=1 / 255),
    "values 0..255 with ImageNet's mean and std, made for 0..1": dataclasses.replace(IMAGENET, scale=1),
    "Caffe's mean (123, 117, 104) of values 0..255": Preprocessing(mean=(123, 117, 104), std=1, scale=1),
    "Caffe's mean (123.68, 116.779, 103.939) of values 0..255": Preprocessing(
        mean=(123.68, 116.779, 103.939), std=1, scale=1
    ),
}


def inputs_otherwise(x, preprocessing):
    """Yield (text, input) for the inputs that a network may have been given in place of x (N, C, H, W)."""
    if x.ndim != 4:
        return
    if x.shape[1] == 3:
        yield "the channels are in the order blue, green, red", x[:, ::-1]
    for axes, text in FLIPS.items():
        yield f"the image is flipped: {text}", np.flip(x, axes)
    if x.shape[2] == x.shape[3]:
        yield "the image's height and width are exchanged", x.swapaxes(2, 3)
    if x.shape[1] != len(preprocessing.mean):
        return
    pixels = _pixels(x, preprocessing)
    for text, other in SCALES.items():
        if x.shape[1] == 3:
            yield text, _normalized(pixels, other)
            yield f"{text}, in the order blue, green, red", _normalized(pixels[:, ::-1], other)
    again = dataclasses.replace(preprocessing, scale=1)
    yield "normalized twice", _normalized(x, again)


def images_otherwise(source, preprocessing):
    """Yield (text, preprocessing or None, input) for other ways from an image file to an input."""
    ways = {"": preprocessing}
    for name in ("bilinear", "bicubic", "nearest"):
        if name != preprocessing.interpolation:
            ways[f"resized {name}"] = dataclasses.replace(preprocessing, interpolation=name)
    side = min(preprocessing.size)
    for resize, text in (
        (side, "resized to the crop's size"),
        (256, "resized to 256"),
        (232, "resized to 232"),
    ):
        if resize >= side and resize != preprocessing.resize:
            ways[f"{text}, then cropped"] = dataclasses.replace(preprocessing, resize=resize)
    images = {text: (way, way.apply(source)) for text, way in ways.items()}
    for method in ("bilinear", "bicubic", "nearest"):
        images[f"the whole image squeezed to the crop's size ({method}), not cropped"] = (
            preprocessing,
            _squeezed(source, preprocessing, method),
        )
    for size, (way, x) in images.items():
        if size:
            yield size, x
        for text, other in inputs_otherwise(np.asarray(x, np.float64), way):
            yield f"{text}; {size}" if size else text, other


def _squeezed(source, preprocessing, method):
    from PIL import Image

    height, width = preprocessing.size
    image = open_image(source).resize((width, height), getattr(Image.Resampling, method.upper()))
    return preprocessing.apply(np.asarray(image), resize=False)


def seen_by_the_first(layer, x, recorded):
    """The factor and offset of each channel of the image with which a linear first layer gives what was recorded.

    Its output is linear in them, so they are a least squares solution; (text, input), or None.
    """
    if x.ndim != 4 or x.shape[1] > 4 or recorded.shape != layer(x).shape:
        return None
    nothing = np.zeros_like(x)
    constant = layer(nothing)
    parts = []
    for channel, kind in product(range(x.shape[1]), ("scale", "offset")):
        one = nothing.copy()
        one[:, channel] = x[:, channel] if kind == "scale" else 1
        parts.append((layer(one) - constant).ravel())
    matrix = np.stack(parts, axis=1)
    solved, *_ = np.linalg.lstsq(matrix, (recorded - constant).ravel(), rcond=None)
    scale, offset = (solved[i::2].reshape(1, -1, 1, 1) for i in (0, 1))
    shown = ", ".join(f"{a:.4g} x + {b:.4g}" for a, b in zip(scale.ravel(), offset.ravel(), strict=True))
    return f"with another scale and offset of each channel: {shown}", scale * x + offset


def _pixels(x, preprocessing):
    mean, std = (np.reshape(values, (1, -1, 1, 1)) for values in (preprocessing.mean, preprocessing.std))
    return (x * std + mean) / preprocessing.scale


def _normalized(pixels, preprocessing):
    mean, std = (np.reshape(values, (1, -1, 1, 1)) for values in (preprocessing.mean, preprocessing.std))
    return (pixels * preprocessing.scale - mean) / std
