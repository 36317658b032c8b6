"""Layer-wise relevance propagation: the score, distributed backward from layer to layer down to the pixels.

Relevance is propagated as gradients are, with a rule at every layer that divides it among the layer's inputs
(lrp_rules.py). For a layer y = W x + b, LRP-epsilon gives each input its share x_i * w_ki / y_k of the relevance R_k,
which is R_x = x * backward(R_y / y): a rule takes R_y where backward takes dy, and `Tape.backward` does the rest.

Relevance starts as the target's score, and its sum is the same at every layer, except for what biases and epsilons
absorb (Bach et al. 2015, equation 2). Where a value was used twice, the relevance of both uses is added. A sum in a
composite must be an Add layer: if the composite's forward adds with plain NumPy, relevance follows the composite's
own backward, as gradients do.
"""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._targets import flat, one_hot, resolve_targets, warn_if_dead
from npgrad._typing import Array, Layers, Rules, Target
from npgrad.attribution._common import layer_names, of_layers
from npgrad.attribution._layer_rules import LRP as RULES
from npgrad.attribution._rule_tables import refuse_unknown_layers, with_defaults
from npgrad.attribution.lrp_rules import Epsilon, Gamma, Merged, Rule, WSquare, ZBox, pass_through
from npgrad.errors import InputError
from npgrad.layers import BatchNorm2d, Conv2d, Dropout, Graph, Linear, Pad, Residual, Sequential
from npgrad.layers.composite import walk_layers
from npgrad.model import Model
from npgrad.tape import INPUT


@explains_scores
def lrp(
    model: Model,
    x: Array,
    target: Target = None,
    rules: Rules | Rule = None,
    return_delta: bool = False,
) -> Array | Any:  # Any: a pair with return_delta, so that callers need no type check
    """Compute the relevance of every value of x for the score by layer-wise relevance propagation.

    Bach et al. 2015. By default every layer uses LRP-epsilon with epsilon 1e-9, and relevance passes through ReLUs
    unchanged; `composite_by_position` gives the combination of rules that is recommended for images.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    rules : dict, Rule or None
        ``{layer type or name: rule}`` in place of the defaults; a name takes precedence over a type. Or one rule
        for every layer that it applies to. Conv2d and Linear accept any rule of `lrp_rules`. A rule of your own is a
        function (record, relevance of y) -> relevance of x; a layer type of your own needs one.
    return_delta : bool, default False
        Whether to also return the error of each image's sum.

    Returns
    -------
    relevance : ndarray (N, C, H, W)
        Signed.
    delta : ndarray (N,)
        The sum of each image's relevances minus the score: the negative of what biases and epsilons absorbed. Only
        if `return_delta` is true.

    Raises
    ------
    InputError
        If x, target or rules cannot be used, or a layer has no rule.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If a rule's layer does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> from npgrad import Model
    >>> from npgrad.attribution import lrp
    >>> from npgrad.layers import Linear, ReLU, Sequential
    >>> layers = {"fc1": Linear(np.array([[1.0, 1.0]]), None), "relu": ReLU(), "fc2": Linear(np.array([[2.0]]), None)}
    >>> lrp(Model(Sequential(layers), outputs="value"), np.array([[3.0, -1.0]]), 0).round(6)  # the score is 4
    array([[ 6., -2.]])
    """
    relevance, score = _relevance(model, x, target, INPUT, rules)
    if not return_delta:
        return relevance
    return relevance, relevance.reshape(len(relevance), -1).sum(axis=1) - score


@explains_scores
def layer_lrp(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    rules: Rules | Rule = None,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute the relevance of a layer's output; see `lrp`.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str or None
        Name of the layer, or of several, which share all passes. None: the model's default layer
        for activation maps.
    rules : dict, Rule or None
        As for `lrp`.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x, target or rules cannot be used, or a layer has no rule.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has the given name, or a rule's layer does not exist.
    """
    relevance, _ = _relevance(model, x, target, layer, rules)
    return relevance


def composite_by_position(model: Model, gamma: float = 0.25, relative: float = 0.25) -> dict[str, Rule]:
    """Choose rules for `lrp` by the depth of each layer.

    Of the layers with weights, in the order of the forward pass: the first gets z-box with the range of pixels, or the
    w^2-rule where its input is not the image, but flattened or normalized inside the network (Montavon et al. 2017,
    section 4.1); the lower half LRP-gamma, which smooths; the upper half LRP-epsilon with `relative`, which removes
    noise; and the last LRP-0, which is faithful (Montavon et al. 2019, section 10.3). Kohlbrenner et al. 2020 found
    that such composites agree best with where the objects are. A convolution and the BatchNorm after it count as one
    layer (`lrp_rules.Merged`).

    Parameters
    ----------
    model : Model
        The network; its preprocessing gives the range of pixels.
    gamma : float, default 0.25
        Gamma of LRP-gamma in the lower half.
    relative : float, default 0.25
        Epsilon of LRP-epsilon in the upper half, as a fraction of the root mean square of z.

    Returns
    -------
    dict of str to Rule
        ``{layer name: rule}``, to be passed as ``lrp(model, x, rules=...)``.

    Raises
    ------
    InputError
        If the network has no Conv2d or Linear layer, or gamma or relative is not a finite number >= 0.

    Examples
    --------
    >>> import npgrad
    >>> from npgrad.attribution import composite_by_position
    >>> rules = composite_by_position(npgrad.load())
    >>> type(rules["conv1"]).__name__, rules["fire2.squeeze"]
    ('ZBox', Gamma(epsilon=1e-09, gamma=0.25, bias=True, signed=True, favor_bias=False))
    """
    names = [name for name, layer in walk_layers(model.network) if isinstance(layer, (Conv2d, Linear))]
    if not names:
        raise InputError("composite_by_position: expected a network with Conv2d or Linear layers, found none")
    first, *between, last = names if len(names) > 1 else (names[0], names[0])
    half = len(between) // 2
    before = takewhile(lambda part: part[0] != first, walk_layers(model.network))
    pixels = all(isinstance(layer, (Dropout, Pad)) for _, layer in before)
    rules = {last: Epsilon(), first: _pixel_box(model) if pixels else WSquare()}
    rules.update({name: Gamma(gamma, signed=True) for name in between[:half]})
    rules.update({name: Epsilon(relative=relative) for name in between[half:]})
    return {**rules, **merged_norms(model, rules)}


def merged_norms(model, rules):
    """Rules for the convolutions that a BatchNorm follows, merged with it, and for that: {name: rule}."""
    merged = {}
    for chain in _chains(model.network):
        for (name, layer), (after, norm) in pairwise(chain):
            if isinstance(layer, Conv2d) and isinstance(norm, BatchNorm2d):
                merged |= {name: Merged(rules[name], norm), after: pass_through}
    return merged


def _relevance(model, x, target, layer, rules):
    """(relevance of the output of a layer, or {layer: relevance} of several, the scores)."""
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    rules = with_defaults(by_type(rules), RULES)
    refuse_unknown_layers(tape, rules, "lrp")
    names = layer_names(model, x, layer, tape)
    start = one_hot(model, tape.output, targets) * tape.output
    return of_layers(layer, names, tape.backward(start, rules, at=names)), flat(start).sum(axis=1)


def _chains(layer, prefix=""):
    """Lists of (name, layer) in which each layer's output is used by the next layer only."""
    if isinstance(layer, Sequential):
        chains = [list(layer.parts())]
    elif isinstance(layer, Residual):
        chains = [list(layer.branch), list(layer.shortcut)]
    elif isinstance(layer, Graph):
        sources = {
            name: source if isinstance(source, tuple) else (source,)
            for name, (_, source) in layer.nodes.items()
        }
        used = [source for several in sources.values() for source in several]
        chains = [
            [s[0], name] for name, s in sources.items() if s[0] != INPUT and used.count(s[0]) == len(s) == 1
        ]
    else:
        return
    parts = layer.parts()
    for chain in chains:
        yield [(f"{prefix}{name}", parts[name]) for name in chain]
    for name, part in parts.items():
        yield from _chains(part, f"{prefix}{name}.")


def by_type(rules):
    """The `rules` argument as a dict, if it is a single rule."""
    if not isinstance(rules, Rule):
        return rules
    if isinstance(rules, Epsilon):
        return {kind: rules for kind, default in RULES.items() if isinstance(default, Epsilon)}
    return {Conv2d: rules, Linear: rules}


def _pixel_box(model):
    """z-box between black and white, as the network's preprocessing maps them."""
    mean, std = np.array(model.preprocessing.pixel_mean), np.array(model.preprocessing.pixel_std)
    return ZBox(tuple(-mean / std), tuple((1 - mean) / std))
