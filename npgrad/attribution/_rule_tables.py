"""The `rules` argument of DeepLIFT and LRP: merging it with the defaults, and refusing layers without a rule."""

from npgrad.errors import InputError
from npgrad.layers import Composite


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
