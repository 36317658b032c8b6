"""Layer-wise relevance propagation: the score, shared out backwards from layer to layer down to the pixels.

Relevance takes the way that gradients take, with a rule at every layer that says who gets what
(lrp_rules.py). It starts as the target's score and, but for what biases and epsilons keep, is the same in
sum at every layer (Bach et al. 2015, equation 2). Where a value was used twice, what comes back along both
ways adds up. A sum in a composite must be an Add: through plain NumPy in its forward, relevance goes by the
composite's own backward, that is as gradients do.
"""

from itertools import pairwise

import numpy as np

from npgrad._targets import one_hot, resolve_targets, warn_if_dead
from npgrad.attribution.deep_lift import refuse_unknown_layers, with_defaults
from npgrad.attribution.lrp_rules import Epsilon, Gamma, Merged, Rule, ZBox, own_backward, pass_through
from npgrad.errors import InputError
from npgrad.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Softmax,
)
from npgrad.model import walk_layers
from npgrad.tape import INPUT

RULES = {
    Conv2d: Epsilon(),
    Linear: Epsilon(),
    BatchNorm2d: Epsilon(),
    AvgPool2d: Epsilon(),
    GlobalAvgPool2d: Epsilon(),
    AdaptiveAvgPool2d: Epsilon(),
    Add: Epsilon(),
    MaxPool2d: Epsilon(),  # the winner takes all
    Concat: own_backward,
    Flatten: own_backward,
    Dropout: own_backward,
    ReLU: pass_through,
    Clip: pass_through,
    Softmax: pass_through,
}


def lrp(model, x, target=None, rules=None, return_delta=False):
    """The relevance of every number of x (N, C, H, W) for the score: signed, of the shape of x.

    rules: {layer type or name: rule} in place of the defaults, where a name wins over a type; or one rule for
    every layer that can have it. The default is LRP-epsilon with 1e-9 everywhere; through a ReLU relevance
    passes as it is. `composite_by_position(model)` gives the usual choice of rules for images. Conv2d and
    Linear take any rule of `lrp_rules`; a rule of your own is a function (record, relevance of y) ->
    relevance of x, and a layer type of your own needs one.
    return_delta: return also, per image, the sum of relevances less the score: what biases and
    epsilons kept, with the sign changed.
    """
    relevance, score = _relevance(model, x, target, INPUT, rules)
    if not return_delta:
        return relevance
    return relevance, relevance.reshape(len(relevance), -1).sum(axis=1) - score


def layer_lrp(model, x, target=None, layer=None, rules=None):
    """The relevance of a layer's output (layer None: the last fire), of that output's shape; see `lrp`."""
    relevance, _ = _relevance(model, x, target, layer, rules)
    return relevance


def composite_by_position(model, gamma=0.25, relative=0.25):
    """Rules for `lrp` by how deep a layer lies (Montavon et al. 2019, section 10.3), {name: rule}.

    Of the layers with weights, in the order of running: at the first z-box, with the range of pixels; in the
    lower half LRP-gamma, which smooths; in the upper half LRP-epsilon with `relative` times the root mean
    square of z, which takes out noise; at the last LRP-0, which is faithful. Kohlbrenner et al. 2020 found
    such composites to agree best with where the objects are. A BatchNorm and the convolution before it count as
    one layer (`Merged`).
    """
    names = [name for name, layer in walk_layers(model.network) if isinstance(layer, (Conv2d, Linear))]
    if not names:
        raise InputError("composite_by_position: expected a network with Conv2d or Linear layers, found none")
    first, *between, last = names if len(names) > 1 else (names[0], names[0])
    half = len(between) // 2
    rules = {last: Epsilon(), first: _pixel_box(model)}
    rules.update({name: Gamma(gamma, signed=True) for name in between[:half]})
    rules.update({name: Epsilon(relative=relative) for name in between[half:]})
    for chain in _chains(model.network):
        for (name, layer), (after, norm) in pairwise(chain):
            if isinstance(layer, Conv2d) and isinstance(norm, BatchNorm2d):
                rules[name], rules[after] = Merged(rules[name], norm), pass_through
    return rules


def _relevance(model, x, target, layer, rules):
    """(relevance at a layer's output, the scores)."""
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    rules = with_defaults(_by_type(rules), RULES)
    refuse_unknown_layers(tape, rules, "lrp")
    layer = model.map_layer(tape, layer)
    start = one_hot(tape.output, targets) * tape.output
    return tape.backward(start, rules, at=layer)[layer], start.sum(axis=1)


def _chains(layer, prefix=""):
    """Lists of (name, layer), in each of which nothing but the next layer takes a layer's output."""
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


def _by_type(rules):
    """The `rules` argument, where it is one rule, as a dict."""
    if not isinstance(rules, Rule):
        return rules
    if isinstance(rules, Epsilon):
        return {kind: rules for kind, default in RULES.items() if isinstance(default, Epsilon)}
    return {Conv2d: rules, Linear: rules}


def _pixel_box(model):
    """z-box between black and white, as the network's own preprocessing makes them."""
    mean, std = np.array(model.preprocessing.mean), np.array(model.preprocessing.std)
    return ZBox(tuple(-mean / std), tuple((1 - mean) / std))
