"""The homework's settings for style transfer, by the painting that each is meant for, as keywords of `style_transfer`.

The course gives layers by their numbers in torchvision's SqueezeNet 1.1; by these names 1.0 has them, too. The
weights suit networks whose activations are as large as torchvision's, and pictures of 192 px. The content loss and
the total variation grow with the number of pixels, the style loss does not: see `growth`.
"""

import numpy as np

from npgrad.attribution.copies import not_negative
from npgrad.errors import InputError, unknown

TUNED_FOR = 192  # px: image_size of all of them
LAYERS = {"content_layer": "fire2", "style_layers": ("relu1", "fire3", "fire4", "fire5")}

PRESETS = {
    "composition_vii": {
        **LAYERS,
        "image_size": TUNED_FOR,
        "style_size": 512,
        "content_weight": 5e-2,
        "style_weights": (20000, 500, 12, 1),
        "tv_weight": 5e-2,
    },
    "the_scream": {
        **LAYERS,
        "image_size": TUNED_FOR,
        "style_size": 224,
        "content_weight": 3e-2,
        "style_weights": (200000, 800, 12, 1),
        "tv_weight": 2e-2,
    },
    "starry_night": {
        **LAYERS,
        "image_size": TUNED_FOR,
        "style_size": 192,
        "content_weight": 6e-2,
        "style_weights": (300000, 1000, 15, 3),
        "tv_weight": 2e-2,
    },
    "inversion": {  # no style at all: from noise, this is feature inversion
        **LAYERS,
        "image_size": TUNED_FOR,
        "style_size": 192,
        "content_weight": 6e-2,
        "style_weights": (0, 0, 0, 0),
        "tv_weight": 2e-2,
    },
}
DEFAULT = "starry_night"


def settings(preset=None, **given):
    """{keyword: what is given or, where that is None, what the preset says}; preset None is DEFAULT."""
    preset = DEFAULT if preset is None else preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return {name: PRESETS[preset][name] if value is None else value for name, value in given.items()}


def growth(size):
    """What a preset's style weights are multiplied by for a picture of `size` px: by as much as its area has grown."""
    return max(1.0, (size / TUNED_FOR) ** 2)


def weights_by_layer(model, layers, weights):
    """{layer's own name: weight} for style_layers and style_weights; layers named twice count twice."""
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    weights = tuple(weights) if np.ndim(weights) else (weights,)
    if len(weights) != len(layers):
        raise InputError(
            f"style_weights: expected {len(layers)}, one a layer of style_layers, found {len(weights)}"
        )
    found = {}
    for layer, weight in zip(layers, weights, strict=True):
        own = model.resolve(layer)
        found[own] = found.get(own, 0.0) + not_negative(weight, "style_weights")
    return found
