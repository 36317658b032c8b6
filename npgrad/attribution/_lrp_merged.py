"""A rule of LRP for a convolution and the BatchNorm after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from npgrad._typing import Array
from npgrad.attribution._lrp_sharing import Rule, weighted
from npgrad.layers import BatchNorm2d
from npgrad.tape import Record


@dataclass(frozen=True, eq=False)
class Merged(Rule):
    """A rule for a convolution and the BatchNorm after it, treated as the one convolution equivalent to both.

    The ReLU acts on the BatchNorm's output, not on the convolution's, which can be near 0 where the BatchNorm's is
    not. A rule that favors one sign therefore has to treat the two together. Use it at the convolution, with
    `pass_through` at the BatchNorm.

    Parameters
    ----------
    rule : Rule
        The rule for the merged convolution.
    norm : BatchNorm2d
        The BatchNorm after the convolution; its running statistics are used.
    epsilon : float
        Not used; `rule` has its own.
    """

    rule: Rule
    norm: BatchNorm2d

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the convolution's input, given that of the BatchNorm's output."""
        layer, norm = weighted(self, record), self.norm
        scale = norm.weight / np.sqrt(norm.running_var + norm.eps)
        shift = norm.bias + scale * ((0 if layer.bias is None else layer.bias) - norm.running_mean)
        layer = replace(layer, weight=scale.reshape(-1, 1, 1, 1) * layer.weight, bias=shift)
        return self.rule(replace(record, layer=layer, y=norm(record.y)), relevance)
