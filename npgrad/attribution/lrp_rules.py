"""How layer-wise relevance propagation passes relevance back through one layer: one class per rule.

A rule is a small object that is called like any rule of `Tape.backward`, ``rule(record, relevance)``, and returns
the relevance of the layer's input x. All rules divide each output's relevance R_k among the inputs in proportion
to their contributions z_ik to it,

    R_i = sum over k of z_ik / (sum over i of z_ik) * R_k

and differ in the definition of z_ik. Where the bias counts in the denominator, it keeps its own share: less is left
for the inputs, and relevances sum to the score only together with the shares of all biases. `epsilon` keeps the
denominator away from 0, with its sign; an output without contributions passes nothing back.

References
----------
- Bach et al. 2015: On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
  propagation. PLoS ONE 10(7).
- Montavon et al. 2017: Explaining nonlinear classification decisions with deep Taylor decomposition. Pattern
  Recognition 65.
- Montavon et al. 2019: Layer-wise relevance propagation: an overview. In: Explainable AI, LNCS 11700, chapter 10.
- Andeol et al. 2021: Learning domain invariant representations by joint Wasserstein distance minimization.
- Arras et al. 2017: Explaining recurrent neural network predictions in sentiment analysis. WASSA 2017.
- Ali et al. 2022: XAI for transformers: better explanations through conservative propagation. ICML 2022.
- Achtibat et al. 2024: AttnLRP: attention-aware layer-wise relevance propagation for transformers. ICML 2024.
- Lapuschkin et al. 2019: Unmasking Clever Hans predictors and assessing what machines really learn. Nature
  Communications 10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from npgrad._typing import Array
from npgrad.attribution._lrp_input_rules import Flat, WSquare, ZBox
from npgrad.attribution._lrp_merged import Merged
from npgrad.attribution._lrp_products import FixedScale, product
from npgrad.attribution._lrp_sharing import (
    BOOKS,
    Rule,
    book,
    divide,
    part,
    share_out,
    weighted,
    without_constant,
)
from npgrad.errors import InputError
from npgrad.tape import Record

__all__ = [
    "AlphaBeta",
    "Epsilon",
    "FixedScale",
    "Flat",
    "Gamma",
    "Merged",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "own_backward",
    "pass_through",
    "product",
]


@dataclass(frozen=True)
class Epsilon(Rule):
    """LRP-epsilon: z_ik = x_i w_ik, and the bias counts.

    Bach et al. 2015, equation 58. It applies to every layer that is locally linear in x, with or without weights:
    pooling, sums, BatchNorm. With both parameters 0 this is LRP-0.

    Parameters
    ----------
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.
    relative : float, default 0.0
        Adds to epsilon this fraction of the root mean square of the image's z. It removes relevance from weak and
        contradictory contributions (Montavon et al. 2019, section 10.3, use 0.25 in the middle layers).
    bias : bool, default True
        Whether the bias counts in the denominator. False: nor does any other constant, such as BatchNorm's mean.

    Raises
    ------
    InputError
        If a parameter is not a finite number >= 0.
    """

    epsilon: float = 1e-9
    relative: float = 0.0
    bias: bool = True

    def __call__(self, record: Record, relevance: Array) -> Array | tuple[Array, ...]:
        """Return the relevance of the layer's input (or inputs), given that of its output."""
        z, epsilon = record.y if self.bias else without_constant(record), self.epsilon
        if self.relative:
            mean_square = np.mean(z * z, axis=tuple(range(1, z.ndim)), keepdims=True)
            epsilon = epsilon + self.relative * np.sqrt(mean_square)
        per_unit = divide(relevance, z, epsilon)
        if BOOKS.get() is not None:
            book(relevance, per_unit, z, record.y - without_constant(record) if self.bias else 0.0)
        dx = record.layer.backward(per_unit, record.cache)
        if isinstance(record.x, (tuple, list)):
            return tuple(xi * dxi for xi, dxi in zip(record.x, dx, strict=True))
        return record.x * dx


@dataclass(frozen=True)
class Gamma(Rule):
    """LRP-gamma, which favors positive evidence: z_ik = x_i (w_ik + gamma * max(w_ik, 0)).

    Montavon et al. 2019, section 10.2.1. It is meant for x >= 0, the output of a ReLU. The bias counts unchanged, as
    in Captum, unless `favor_bias` is true.

    Parameters
    ----------
    gamma : float, default 0.25
        How much positive contributions are favored; 0: LRP-epsilon.
    bias : bool, default True
        Whether the bias counts in the denominator.
    signed : bool, default False
        Favor the contributions that have the sign of the output: x_i w_ik + gamma * (x_i w_ik)+ where it is
        positive, and with ()- where it is negative (Andeol et al. 2021). For x >= 0 and positive outputs the result
        is the same; for others, the denominator cannot come near 0 and amplify relevance.
    favor_bias : bool, default False
        Whether the bias is favored as the weights are, b + gamma * max(b, 0) (`signed`: the part of b that has the sign
        of the output), as in the paper, whose sum has it among the weights, and in zennit.
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.

    Raises
    ------
    InputError
        If gamma or epsilon is not a finite number >= 0, or favor_bias is true and bias is not.
    """

    gamma: float = 0.25
    bias: bool = True
    signed: bool = False
    favor_bias: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.favor_bias and not self.bias:
            raise InputError("Gamma: expected favor_bias with bias=True, found bias=False")

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the layer's input, given that of its output."""
        layer, x, z = weighted(self, record), record.x, record.y
        if not self.bias:
            layer = replace(layer, bias=None)
            z = layer(x)  # can have another sign than y
        if self.signed and ((x < 0).any() or relevance[z <= 0].any()):
            return self._signed(layer, x, z, relevance)
        # The same as _signed in this case, and faster.
        favored = replace(layer, weight=layer.weight + self.gamma * np.maximum(layer.weight, 0))
        if self.favor_bias and layer.bias is not None:
            favored = replace(favored, bias=layer.bias + self.gamma * np.maximum(layer.bias, 0))
        return share_out(relevance, [(x, favored)], self.epsilon)

    def _signed(self, layer, x, z, relevance):
        """First the positive outputs, then the negative ones."""
        dx = 0
        for sign in (1, -1):
            bias = self.gamma * part(layer.bias, sign) if self.favor_bias and layer.bias is not None else None
            favored = [
                (
                    self.gamma * part(x, own),
                    replace(layer, weight=part(layer.weight, sign * own), bias=constant),
                )
                for own, constant in ((1, bias), (-1, None))
            ]
            dx = dx + share_out(np.where(sign * z > 0, relevance, 0), [(x, layer), *favored], self.epsilon)
        return dx


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """The alpha-beta rule: alpha times the shares among positive contributions, minus beta times the negative ones'.

    z_ik = (x_i w_ik)+ in the former and (x_i w_ik)- in the latter (Bach et al. 2015, equation 60). The bias counts
    in the denominator of its sign. Captum's Alpha1_Beta0_Rule uses x_i (w_ik)+, which is the same only for x >= 0,
    and includes a negative bias in the denominator.

    Parameters
    ----------
    alpha, beta : float, default 2.0 and 1.0
        Weights of the positive and the negative part; alpha - beta = 1, so that relevance is conserved.
    bias : bool, default True
        Whether the bias counts in the denominators.
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.

    Raises
    ------
    InputError
        If alpha - beta is not 1, or a parameter is not a finite number >= 0.
    """

    alpha: float = 2.0
    beta: float = 1.0
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise InputError(
                f"{type(self).__name__}: expected alpha - beta = 1, found {self.alpha} - {self.beta}"
            )

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the layer's input, given that of its output."""
        layer = weighted(self, record)
        positive = self._contributions(record.x, layer, sign=1)
        dx = share_out(self.alpha * relevance, positive, self.epsilon)
        if self.beta:
            negative = self._contributions(record.x, layer, sign=-1)
            dx = dx + share_out(-self.beta * relevance, negative, self.epsilon)
        return dx

    def _contributions(self, x, layer, sign):
        """Parts (x, layer) that together give all contributions x_i w_ik of one sign, and the bias."""
        bias = part(layer.bias, sign) if self.bias and layer.bias is not None else None
        parts = [(np.maximum(x, 0), replace(layer, weight=part(layer.weight, sign), bias=bias))]
        if (x < 0).any():
            parts.append((np.minimum(x, 0), replace(layer, weight=part(layer.weight, -sign), bias=None)))
        return parts


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    """The z+ rule: z_ik = (x_i w_ik)+, without bias; the alpha-beta rule with alpha 1 and beta 0.

    Montavon et al. 2017, section 4.1. Relevance keeps its sign, and is conserved at every output that has a positive
    contribution. This is `AlphaBeta` with other defaults.

    Parameters
    ----------
    alpha, beta : float, default 1.0 and 0.0
        Weights of the positive and the negative part; alpha - beta = 1.
    bias : bool, default False
        Whether the bias counts in the denominators.
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.
    """

    alpha: float = 1.0
    beta: float = 0.0
    bias: bool = False


def pass_through(record: Record, relevance: Array) -> Array:
    """Pass relevance on unchanged, for activation functions.

    Parameters
    ----------
    record : Record
        The layer's call in the forward pass; not used.
    relevance : ndarray
        Relevance of the layer's output.

    Returns
    -------
    ndarray
        Relevance of the layer's input: the same array.
    """
    return relevance


def own_backward(record: Record, relevance: Array) -> Array | tuple[Array, ...]:
    """Pass relevance back as a gradient, for layers that only move values.

    Parameters
    ----------
    record : Record
        The layer's call in the forward pass.
    relevance : ndarray
        Relevance of the layer's output.

    Returns
    -------
    ndarray or tuple of ndarray
        Relevance of the layer's input or inputs.
    """
    return record.layer.backward(relevance, record.cache)


pass_through.per_sample = own_backward.per_sample = True
