"""Excitation backpropagation: probabilities that pass from every unit to the units that excited it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from npgrad import layers as ls
from npgrad._asked import is_value
from npgrad._outputs import explains_scores
from npgrad._typing import Array, Rules, Target
from npgrad.attribution._layer_rules import LRP
from npgrad.attribution._lrp_sharing import divide
from npgrad.attribution._maps import at_map_layer, at_size
from npgrad.attribution._rule_tables import refuse_unknown_layers, with_defaults
from npgrad.attribution.lrp import merged_norms
from npgrad.attribution.lrp_rules import ZPlus, own_backward, pass_through
from npgrad.errors import InputError
from npgrad.layers.composite import walk_layers
from npgrad.layers.standardizing import Standardizing
from npgrad.model import Model

LINEAR = (ls.Conv2d, ls.Linear, ls.BatchNorm2d)


def excited(record, dy):
    """The z+ rule for layers without weights: in proportion to the positive part of what each input adds."""
    pair = isinstance(record.x, tuple)
    parts = tuple(np.maximum(xi, 0) for xi in (record.x if pair else (record.x,)))
    if isinstance(record.layer, ls.Subtract):
        parts = parts[0], np.minimum(record.x[1], 0)
    y, cache = record.layer.forward(parts if pair else parts[0])
    dx = record.layer.backward(divide(dy, y, 0), cache)
    return tuple(xi * dxi for xi, dxi in zip(parts, dx, strict=True)) if pair else parts[0] * dx


excited.per_sample = True
RULES: Mapping[Any, Callable[..., Any]] = {
    **LRP,  # where a layer only moves values, and at activations and products
    **dict.fromkeys((ls.Conv2d, ls.Linear), ZPlus(epsilon=0)),
    **dict.fromkeys((ls.AvgPool2d, ls.GlobalAvgPool2d, ls.AdaptiveAvgPool2d, ls.Upsample), excited),
    **dict.fromkeys((ls.Add, ls.Subtract), excited),
    **dict.fromkeys((ls.MaxPool2d, ls.GlobalMaxPool2d), own_backward),  # the maximum gets all
    **dict.fromkeys((ls.BatchNorm2d, ls.Affine, Standardizing), pass_through),  # of one input each
}


@explains_scores
def excitation_backprop(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    contrastive: bool = False,
    resize: str | None = None,
    rules: Rules = None,
) -> Array:
    """Compute the marginal winning probabilities of a layer's units, summed over its channels.

    Zhang, Lin, Brandt, Shen, Sclaroff 2016, equation 4: a unit's probability P passes to its inputs a_i in
    proportion to their excitations,

        P_i = sum over k of (a_i w_ik)+ / (sum over i of (a_i w_ik)+) * P_k

    starting with 1 at the target. Biases do not count, nor does a factor: it is the z+ rule of LRP (`lrp_rules.ZPlus`)
    with other starting values. In the paper a_i >= 0; for other inputs this has the sign of the product, as zennit's
    ZPlus. Average pools and sums pass it on in proportion to positive values, and the maximum of a max pool gets
    all; a convolution counts together with the BatchNorm after it.

    A score's negative is the paper's dual unit, the one whose last weights are negated: ``target="-tabby"`` shows what
    inhibits the class. In expressions and functions, a positive gradient of the value at a score starts at the score,
    and a negative one, by its magnitude, at the score's dual.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps; the paper has one in the middle.
    contrastive : bool, default False
        Whether to subtract the same of the dual: the contrastive probability of section 3.4, which cancels what
        excites all classes.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.
    rules : dict or None
        ``{layer type or name: rule}`` in place of those above, as for `lrp`.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized. Not negative, unless contrastive; an image's values sum to 1 where every
        unit with a probability has an excitation.

    Raises
    ------
    InputError
        If x, target or rules cannot be used, or a layer has no rule, or the network has no weights.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has the given name, or a rule's layer does not exist.
    """
    dual = _dual(model)
    own, negated = (with_defaults(rules, {**RULES, **_merged(one)}) for one in (model, dual))

    def probabilities(tape, layer, dy):
        refuse_unknown_layers(tape, own, "excitation_backprop")
        start, outputs = dy, next(reversed(tape.records))
        if is_value(tape.records[outputs].layer):
            outputs = list(model.network.parts())[-2]  # its input
            start = tape.backward(dy, at=(outputs,))[outputs]
        up, down = np.maximum(start, 0), np.maximum(-start, 0)
        found = tape.backward({outputs: up}, own, at=(layer,))[layer]
        if contrastive:
            found = found - tape.backward({outputs: down}, own, at=(layer,))[layer]
        if contrastive or down.any():
            tape = dual.forward(tape["input"])
            found = found + tape.backward({outputs: down}, negated, at=(layer,))[layer]
            if contrastive:
                found = found - tape.backward({outputs: up}, negated, at=(layer,))[layer]
        return [found.sum(axis=1)]

    [maps] = at_map_layer(model, x, target, layer, probabilities)
    return at_size(x, maps, resize)


def _merged(model):
    """Rules of the convolutions that a BatchNorm follows, and of that."""
    rules = {
        name: RULES[ls.Conv2d] for name, part in walk_layers(model.network) if isinstance(part, ls.Conv2d)
    }
    return merged_norms(model, rules)


def _dual(model):
    """The model in which the last layer with weights has them negated, and so its output."""
    names = [name for name, part in walk_layers(model.network) if isinstance(part, LINEAR)]
    if not names:
        raise InputError("excitation_backprop: expected a network with Conv2d or Linear layers, found none")
    own = model.parameters()
    keys = [f"{names[-1]}.{key}" for key in ("weight", "bias")]
    return model.with_parameters({key: -own[key] for key in keys if key in own})
