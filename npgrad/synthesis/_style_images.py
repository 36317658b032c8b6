"""The images of style transfer: reading, resizing, restoring the content's colors; and the masks."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._validate import not_negative, one_image, whole_number
from npgrad.errors import InputError
from npgrad.images import open_image
from npgrad.synthesis._aim import float_type
from npgrad.synthesis.pixels import standardization

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: the Y of YIQ


@dataclass(frozen=True, eq=False)
class Images:
    """A content image, its styles, and how they are used. A stage is one of `sizes`.

    content, styles: PIL images, or float arrays (1, 3, H, W). sizes: the shorter side in px at each stage;
    style_sizes: the same for each style. factors: the factor of each style's loss. masks: (H, W) each, or None.
    """

    content: Any
    styles: list
    sizes: tuple
    style_sizes: list
    factors: list
    masks: list | None
    original_colors: bool
    dtype: np.dtype

    @classmethod
    def of(cls, model, content, style, sizes, image_size, style_size, chosen, blend, masks, original_colors):
        """From the arguments of `style_transfer`; `chosen` holds the sizes that replace None."""
        content = opened(model, content, "content")
        styles = list(style) if isinstance(style, (list, tuple)) else [style]
        if not styles:
            raise InputError("style: expected an image or a list of them, found none")
        styles = [opened(model, each, "style") for each in styles]
        if sizes is None:
            sizes = (size_of(content, image_size, chosen["image_size"], "image_size"),)
        elif image_size is not None:
            raise InputError("sizes: expected either sizes or image_size, found both")
        else:
            sizes = tuple(whole_number(size, "sizes") for size in (sizes if np.ndim(sizes) else (sizes,)))
        if not sizes:
            raise InputError("sizes: expected at least one, found none")
        last = [size_of(each, style_size, chosen["style_size"], "style_size") for each in styles]
        scaled = [[max(1, size * at // sizes[-1]) for at in sizes[:-1]] + [size] for size in last]
        if masks is not None:
            masks = list(masks) if isinstance(masks, (list, tuple)) else [masks]
            if len(masks) != len(styles):
                raise InputError(f"masks: expected {len(styles)}, one per style, found {len(masks)}")
            masks = [open_mask(mask, f"masks[{i}]") for i, mask in enumerate(masks)]
        dtype = content.dtype if isinstance(content, np.ndarray) else float_type(model)
        factors = style_factors(blend, len(styles), masks)
        return cls(content, styles, sizes, scaled, factors, masks, original_colors, dtype)

    def content_at(self, model, stage):
        """The content at a stage, (1, 3, H, W)."""
        return at_size(model, self.content, self.sizes[stage], self.dtype)

    def style_at(self, model, i, stage):
        """The i-th style at a stage, (1, 3, H, W)."""
        return at_size(model, self.styles[i], self.style_sizes[i][stage], self.dtype)

    def masks_at(self, i, tape, layers):
        """{layer: the i-th mask at the spatial size of the layer}, or None."""
        if self.masks is None:
            return None
        return {layer: resized_mask(self.masks[i], tape[layer].shape[2:], self.dtype) for layer in layers}

    def finished(self, model, x):
        """The image x of any stage as the user sees it: with the content's colors, if they are to be kept."""
        if not self.original_colors:
            return x
        return with_colors_of(model, x, at_size(model, self.content, x.shape[2:], self.dtype))

    def settings(self):
        """Everything that decides the result, for a checkpoint."""
        images = [np.asarray(each) for each in (self.content, *self.styles)]
        return [images, self.sizes, self.style_sizes, self.factors, self.masks, bool(self.original_colors)]


def opened(model, source, name):
    """An image that can be resized: a float array (1, C, H, W) unchanged, anything else as a PIL image."""
    if not isinstance(source, np.ndarray) or source.dtype.kind == "u":
        return open_image(source)
    x, channels = one_image(source, name), len(model.preprocessing.mean)
    if x.shape[1] != channels or x.dtype.kind != "f":
        raise InputError(f"{name}: expected floats (1, {channels}, H, W), found {x.dtype} of shape {x.shape}")
    return x


def size_of(image, given, default, name):
    """The shorter side to resize an image to: the given one, else a float array's own, else the default."""
    if given is not None:
        return whole_number(given, name)
    return min(image.shape[2:]) if isinstance(image, np.ndarray) else default


def at_size(model, image, size, dtype):
    """An opened image, resized and normalized: (1, 3, H, W). size: its shorter side, (H, W), or None for its own.

    The longer side keeps the aspect ratio, rounded down as in the homework.
    """
    from PIL import Image

    ready = isinstance(image, np.ndarray)
    width, height = image.shape[:1:-1] if ready else image.size
    if size is None:
        size = (height, width)
    elif not isinstance(size, tuple):
        size = (int(size * height / min(width, height)), int(size * width / min(width, height)))
    if ready:
        return resized(image, size).astype(dtype, copy=False)
    if size != (height, width):
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return model.preprocess(image, resize=False).astype(dtype, copy=False)


def resized(x, size):
    """x (1, C, H, W) resized to (H, W) bilinearly, computed in float32; x itself if it has that size already."""
    from PIL import Image

    if x.shape[2:] == tuple(size):
        return x
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in x[0]]
    planes = [np.asarray(plane.resize(size[::-1], Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(planes)[None].astype(x.dtype)


def beginning(model, start, content, rng):
    """The first image, of the shape of `content`: content itself, noise, or another image."""
    if isinstance(start, str) and start == "content":
        return content
    if isinstance(start, str) and start == "noise":
        unit, origin = standardization(model, content)
        return unit * rng.random(content.shape).astype(content.dtype) + origin
    return at_size(model, opened(model, start, "start"), content.shape[2:], content.dtype)


def style_factors(blend, count, masks=None):
    """The factor of each style's loss: relative strengths that sum to 1, or with masks, in proportion to their areas.

    A Gram matrix is a mean over its mask, so equal factors would change a small region more strongly.
    """
    blend = [1.0] * count if blend is None else list(np.atleast_1d(blend))
    if len(blend) != count:
        raise InputError(f"style_blend: expected {count}, one per style, found {len(blend)}")
    blend = np.array([not_negative(each, "style_blend") for each in blend])
    if not blend.any():
        raise InputError("style_blend: expected at least one strength > 0, found 0 for all")
    if masks is None:
        return (blend / blend.sum()).tolist()
    return (blend / blend.mean() * [np.mean(mask * mask) for mask in masks]).tolist()


def luminance(model, x):
    """The luminance of each pixel, on the scale 0 to 1: (1, 1, H, W)."""
    mean, std = _mean_and_std(model, x)
    weights = {"RGB": LUMINANCE, "BGR": LUMINANCE[::-1], "gray": (1.0,)}[model.preprocessing.channels]
    weights = np.reshape(weights, (1, -1, 1, 1)).astype(x.dtype)
    return np.sum((x * std + mean) * weights, axis=1, keepdims=True)


def with_colors_of(model, x, content):
    """x's luminance with the chroma of `content`: the difference in luminance is added to red, green and blue alike.

    As in Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer" (luminance only), but x was made in
    color: a painting that is converted to gray first transfers less of its brushwork.
    """
    _, std = _mean_and_std(model, x)
    return content + (luminance(model, x) - luminance(model, content)) / std


def open_mask(mask, name):
    """A mask, (H, W) from 0 to 1 or a gray image, as (H, W) float64."""
    if isinstance(mask, np.ndarray) and mask.dtype.kind in "fb":
        mask = mask.astype(np.float64)
    else:
        mask = np.asarray(open_image(mask).convert("L"), np.float64) / 255
    if mask.ndim != 2 or mask.size == 0 or not (mask.min() >= 0 and mask.max() <= 1):  # NaN is neither
        raise InputError(
            f"{name}: expected (H, W) of numbers 0 to 1, found {mask.dtype} of shape {mask.shape}"
        )
    if not mask.any():
        raise InputError(f"{name}: expected at least one value > 0, found 0 everywhere")
    return mask


def resized_mask(mask, size, dtype):
    """A mask resized to (H, W), each value the mean of the area it covers."""
    from PIL import Image

    image = Image.fromarray(mask.astype(np.float32)).resize(size[::-1], Image.Resampling.BOX)
    return np.clip(np.asarray(image), 0, 1).astype(dtype)


def _mean_and_std(model, x):
    both = model.preprocessing.pixel_mean, model.preprocessing.pixel_std
    return (np.reshape(values, (1, -1, 1, 1)).astype(x.dtype) for values in both)
