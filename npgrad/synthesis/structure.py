"""Layers of a network of any structure: those that see textures of several sizes, and one that still sees places."""

import numpy as np

from npgrad import losses
from npgrad.errors import InputError
from npgrad.synthesis._descent import topmost

MOST = 5  # style layers, as Gatys, Ecker, Bethge 2016
SHARE = 4  # of the style, where the content is 1: the homework's presets have 1 to 8
SMOOTH = 2e-2  # weight of the total variation, the homework's


def by_size(tape):
    """{spatial size: the last layer with an output of this size}, from the largest to the smallest.

    Layers inside composites count only if there are no others.
    """
    maps = {name: tape[name].shape[2:] for name in tape.records if tape[name].ndim == 4}
    outer = {name: size for name, size in maps.items() if "." not in name}
    found = {size: name for name, size in (outer or maps).items() if min(size) > 1}
    return dict(sorted(found.items(), key=lambda pair: -min(pair[0])))


def still_places(model, x):
    """The layers `by_size` whose maps still have an eighth of the image's height and width.

    Where the image is not of the one size that the last layers take, an image of that size tells.
    """
    try:
        tape = model.forward(x)
    except InputError:
        x = np.zeros((1, x.shape[1], *model.preprocessing.size), x.dtype)
        tape = model.forward(x)
    return [
        name
        for size, name in by_size(tape).items()
        if all(8 * s >= of for s, of in zip(size, x.shape[2:], strict=True))
    ]


def middle_layer(model, x):
    """Return the deepest layer whose maps still have an eighth of the image's height and width.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, C, H, W)
        A preprocessed image.

    Returns
    -------
    str
        The layer's name.

    Raises
    ------
    InputError
        If no layer has such maps.
    """
    return deepest(still_places(model, x))


def deepest(seen):
    """The last of the layers `still_places`; an InputError if there is none."""
    if not seen:
        raise InputError(
            "layer: expected its name, found none; no layer of this network shows where things are"
        )
    return seen[-1]


def fitted(model, chosen, content, styles, growth):
    """Keywords of `style_transfer` with layers by structure, and weights that make up for the size of activations.

    The content loss is taken relative to ||F||^2, the style loss of each layer to ||G||^2, the mean of all styles;
    `growth` is the factor that the style's weights will get at this size.
    """
    layer, style = chosen["content_layer"], chosen["style_layers"]
    seen = still_places(model, content) if layer is None or style is None else []
    if layer is None:
        layer = deepest(seen)
    if style is None:
        style = seen[:MOST] or [layer]
    if not isinstance(style, (str, list, tuple)):
        raise InputError(f"style_layers: expected names of layers, found {style!r:.60}")
    style = (style,) if isinstance(style, str) else tuple(style)
    found = {"content_layer": layer, "style_layers": style}
    top = topmost(model, [model.resolve(name) for name in (layer, *style)])
    tape = model.forward(content, upto=top)
    if chosen["content_weight"] is None:
        found["content_weight"] = content.size / _positive(float((tape[layer] ** 2).sum()))
    if chosen["style_weights"] is None:
        tapes = [model.forward(one, upto=top) for one in styles]
        found["style_weights"] = tuple(
            SHARE * content.size / growth / len(style) / _positive(_mean_square(tapes, name))
            for name in style
        )
    return chosen | found


def _mean_square(tapes, name):
    return sum(float((losses.gram_matrix(tape[name]) ** 2).sum()) for tape in tapes) / len(tapes)


def _positive(total):
    return total or 1.0
