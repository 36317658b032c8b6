"""Presets of style transfer: the homework's for SqueezeNet, named after the paintings, Gatys et al.'s for VGG-19, and
"structure" for any other network.

The homework gives layers by their index in torchvision's SqueezeNet 1.1; the names used here fit version 1.0 as well.
The weights are tuned for networks whose activations are as large as torchvision's, and for images of 192 px. The
content loss and the total variation grow with the number of pixels, the style loss does not: see `growth`.
"""

from typing import Any

from npgrad.errors import unknown
from npgrad.model import Model
from npgrad.synthesis.structure import SMOOTH

__all__ = ["DEFAULT", "PRESETS", "default_for", "growth", "settings"]

TUNED_FOR = 192  # px, the image_size of all presets
LAYERS = {"content_layer": "fire2", "style_layers": ("relu1", "fire3", "fire4", "fire5")}

# {name: {keyword of style_transfer: value}}; a preset needs a network with its content layer and style layers.
PRESETS: dict[str, dict[str, Any]] = {
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
    "inversion": {  # no style: started from noise, this is feature inversion
        **LAYERS,
        "image_size": TUNED_FOR,
        "style_size": 192,
        "content_weight": 6e-2,
        "style_weights": (0, 0, 0, 0),
        "tv_weight": 2e-2,
    },
    # Gatys, Ecker, Bethge 2016, with alpha/beta = 1e-3 as in the authors' program, which uses means over entries
    # instead of the paper's sums: mean (F - P)^2 for the content, and at a style layer of C channels
    #     beta / C^2 * mean over C x C of (difference of G/(H*W))^2  =  beta / C^2 * sum (difference of G/(C*H*W))^2,
    # where the sum is `style_loss`. Everything is multiplied by the 512*24*24 values of conv4_2 at 192 px, so that the
    # content weight is 1. (By the printed formulas, content = sum/2 and E = sum/4 at five layers, the style weights
    # would be 1 to 100, and the image would stay the photo.) The paper has no total variation.
    "gatys": {
        "content_layer": "conv4_2",
        "style_layers": ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        "image_size": TUNED_FOR,
        "style_size": TUNED_FOR,
        "content_weight": 1.0,
        "style_weights": tuple(1e3 * 512 * 24 * 24 / c**2 for c in (64, 128, 256, 512, 512)),
        "tv_weight": 0.0,
    },
    # any network: layers by structure, and weights that make up for the size of its activations, see `structure.fitted`
    "structure": {
        "content_layer": None,
        "style_layers": None,
        "image_size": TUNED_FOR,
        "style_size": TUNED_FOR,
        "content_weight": None,
        "style_weights": None,
        "tv_weight": SMOOTH,
    },
}
DEFAULT = "starry_night"


def settings(preset: str | None = None, **given: Any) -> dict[str, Any]:
    """Complete keywords of `style_transfer` from a preset.

    Parameters
    ----------
    preset : str or None
        A name in PRESETS. None: "starry_night".
    **given
        Keywords of `style_transfer`; those that are None are taken from the preset.

    Returns
    -------
    dict

    Raises
    ------
    UnknownName
        If there is no such preset.

    Examples
    --------
    >>> settings("the_scream", image_size=None, tv_weight=0.1)
    {'image_size': 192, 'tv_weight': 0.1}
    """
    preset = DEFAULT if preset is None else preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return {name: PRESETS[preset][name] if value is None else value for name, value in given.items()}


def default_for(model: Model) -> str:
    """Return the preset for a network when the user names none.

    It is the first of ``model.presets`` whose layers the network has, or else the first such preset in PRESETS,
    starting with "starry_night"; for other networks "structure".

    Parameters
    ----------
    model : Model
        The network.

    Returns
    -------
    str
    """
    known = {*model.layer_names(), *model.aliases}
    for name in (*model.presets, DEFAULT, *PRESETS):
        preset = PRESETS.get(name)
        if preset is None or preset["content_layer"] is None:
            continue
        if {preset["content_layer"], *preset["style_layers"]} <= known:
            return name
    return "structure"


def growth(size: int) -> float:
    """Return the factor of a preset's style weights for a larger image: the growth of its area since 192 px.

    Parameters
    ----------
    size : int
        Shorter side of the image, in px.

    Returns
    -------
    float
        At least 1.
    """
    return max(1.0, (size / TUNED_FOR) ** 2)
