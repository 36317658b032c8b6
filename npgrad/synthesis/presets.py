"""Settings for style transfer, as keywords of `style_transfer`: the homework's for SqueezeNet, by the painting that
each is meant for, and "gatys" for VGG-19.

The course gives layers by their numbers in torchvision's SqueezeNet 1.1; by these names 1.0 has them, too. The
weights suit networks whose activations are as large as torchvision's, and images of 192 px. The content loss and
the total variation grow with the number of pixels, the style loss does not: see `growth`.
"""

import numpy as np

from npgrad._validate import not_negative
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
    # Gatys, Ecker, Bethge 2016, with alpha/beta = 1e-3 as the authors' own program counts it, by means over entries
    # in place of the paper's sums: mean (F - P)^2 for the content, and at a style layer of C channels
    #     beta / C^2 * mean over C x C of (difference of G/(H*W))^2  =  beta / C^2 * sum (difference of G/(C*H*W))^2,
    # the sum being `style_loss`. All times the 512*24*24 values that conv4_2 has at 192 px, which makes the content
    # weight 1. (By the formulas as printed, content = sum/2 and E = sum/4 at five layers, it would be 1 to 100 at
    # each, and the image stays the photo that it was.) The paper has no total variation.
    "gatys": {
        "content_layer": "conv4_2",
        "style_layers": ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        "image_size": TUNED_FOR,
        "style_size": TUNED_FOR,
        "content_weight": 1.0,
        "style_weights": tuple(1e3 * 512 * 24 * 24 / c**2 for c in (64, 128, 256, 512, 512)),
        "tv_weight": 0.0,
    },
}
DEFAULT = "starry_night"


def settings(preset=None, **given):
    """{keyword: what is given or, where that is None, what the preset says}; preset None is DEFAULT."""
    preset = DEFAULT if preset is None else preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return {name: PRESETS[preset][name] if value is None else value for name, value in given.items()}


def default_for(model, layers_given=False):
    """The preset for a network when none is named: DEFAULT, or "gatys" where the layers have VGG's names.

    layers_given: whether content and style layers are named anyway. InputError if they are not, and no preset's exist.
    """
    known = {*model.layer_names(), *model.aliases}
    for name in (DEFAULT, "gatys"):
        if {PRESETS[name]["content_layer"], *PRESETS[name]["style_layers"]} <= known:
            return name
    if layers_given:
        return DEFAULT
    raise InputError(
        "style transfer: no preset is for this network; expected content_layer and style_layers "
        f"(--content-layer, --style-layers), of {', '.join(model.layer_names()[:3])} ..."
    )


def growth(size):
    """What a preset's style weights are multiplied by for an image of `size` px: by as much as its area has grown."""
    return max(1.0, (size / TUNED_FOR) ** 2)


def weights_by_layer(model, layers, weights):
    """{layer's own name: weight} for style_layers and style_weights; layers named twice count twice."""
    if not isinstance(layers, (str, list, tuple)):
        raise InputError(f"style_layers: expected names of layers, found {layers!r:.60}")
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
