"""The default rules of DeepLIFT and of LRP: one row for each kind of layer, which its subclasses share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from npgrad import layers as ls
from npgrad._asked import Combination, Values
from npgrad.attribution.deep_lift_rules import (
    along_the_line,
    elementwise,
    linear,
    local_response_norm,
    log_softmax,
    max_pool,
    product,
    softmax,
    standardized,
)
from npgrad.attribution.lrp_rules import Epsilon, FixedScale, own_backward, pass_through
from npgrad.attribution.lrp_rules import product as lrp_product
from npgrad.errors import InputError
from npgrad.layers.elementwise import Elementwise
from npgrad.layers.rearrange import Rearrangement
from npgrad.layers.standardizing import Standardizing


def refuse_function(record, relevance):
    """There is no rule for a target that is a function: nothing is known of how its value is made."""
    raise InputError("lrp: expected a class or an expression as the target, found a function")


RULES: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    ls.Conv2d: (linear, Epsilon()),
    ls.Linear: (linear, Epsilon()),
    ls.BatchNorm2d: (linear, Epsilon()),  # with the running statistics
    ls.Affine: (linear, Epsilon()),
    ls.AvgPool2d: (linear, Epsilon()),
    ls.GlobalAvgPool2d: (linear, Epsilon()),
    ls.AdaptiveAvgPool2d: (linear, Epsilon()),
    ls.Upsample: (linear, Epsilon()),
    ls.Add: (linear, Epsilon()),
    ls.Subtract: (linear, Epsilon()),
    ls.Multiply: (product, lrp_product),
    ls.MaxPool2d: (max_pool, Epsilon()),  # the maximum gets all relevance
    ls.GlobalMaxPool2d: (max_pool, Epsilon()),
    ls.Concat: (linear, own_backward),
    ls.Flatten: (linear, own_backward),
    Rearrangement: (linear, own_backward),  # all of rearrange.py
    ls.Pad: (linear, own_backward),
    ls.Dropout: (linear, own_backward),  # inactive
    ls.ReLU: (elementwise, pass_through),  # and its subclass ReLU6
    ls.Clip: (elementwise, pass_through),
    Elementwise: (elementwise, pass_through),  # all of activations.py
    Standardizing: (standardized, FixedScale()),  # LayerNorm, GroupNorm
    ls.LocalResponseNorm: (local_response_norm, pass_through),  # y = x * a scale, which FixedScale would fix
    ls.Softmax: (softmax, pass_through),
    ls.LogSoftmax: (log_softmax, pass_through),
    Combination: (linear, Epsilon()),  # a target that is an expression
    Values: (along_the_line, refuse_function),
}
DEEP_LIFT: Mapping[Any, Callable[..., Any]] = {kind: rules[0] for kind, rules in RULES.items()}
LRP: Mapping[Any, Callable[..., Any]] = {kind: rules[1] for kind, rules in RULES.items()}
