"""Tables of rules: the `rules` argument of DeepLIFT and LRP, and one rule for every ReLU."""

import warnings

from npgrad.errors import InputError, level_outside
from npgrad.layers import Composite, ReLU
from npgrad.layers.composite import walk_layers
from npgrad.layers.elementwise import Elementwise


def at_relus(model, rule):
    """`rule` for every ReLU, with one warning where other activations keep their own gradient."""
    others = {type(part).__name__ for _, part in walk_layers(model.network) if isinstance(part, Elementwise)}
    if others:
        warnings.warn(
            f"the rule {rule.__name__!r} is one for ReLUs; {', '.join(sorted(others))} in this network keep their "
            "own gradient",
            stacklevel=level_outside(),
        )
    return {ReLU: rule}


def with_defaults(rules, defaults):
    """The `rules` argument merged over the defaults; an InputError where it is not a dict of functions."""
    rules = {} if rules is None else rules
    if not isinstance(rules, dict) or not all(map(callable, rules.values())):
        raise InputError(f"rules: expected {{layer type or name: function}}, found {rules!r}")
    return {**defaults, **rules}


def refuse_unknown_layers(tape, rules, method):
    """Raise an InputError for the first layer for which the rules of `method` have no entry."""
    named = {tape.resolve(key) for key in rules if isinstance(key, str)}
    for record in tape.parts[0]:
        known = record.name in named or any(kind in rules for kind in type(record.layer).__mro__)
        if not known and not isinstance(record.layer, Composite):
            kind = type(record.layer).__name__
            raise InputError(
                f"{record.name}: {method} has no rule for {kind}; give one in rules={{{kind}: ...}}"
            )
