"""How layer-wise relevance propagation goes back through one layer: one rule a class.

A rule is a small value that is called as tape rules are, rule(record, relevance) -> relevance of x. All share
out each output's relevance R_k among the inputs, as they contributed to it,

    R_i = sum over k of z_ik / (sum over i of z_ik) * R_k

and differ in what counts as a contribution z_ik. Where a bias counts in the sum, it keeps its own share; what
is left for the inputs is then less, and the relevances sum to the score only together with the shares
of all biases. `epsilon` keeps the sum away from 0, with the sum's sign; an output to which nothing
contributed hands down nothing.

References
    Bach et al. 2015: On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
        propagation. PLoS ONE 10(7).
    Montavon et al. 2017: Explaining nonlinear classification decisions with deep Taylor decomposition.
        Pattern Recognition 65.
    Montavon et al. 2019: Layer-wise relevance propagation: an overview. In: Explainable AI, LNCS 11700,
        chapter 10.
    Andeol et al. 2021: Learning domain invariant representations by joint Wasserstein distance minimization.
    Lapuschkin et al. 2019: Unmasking Clever Hans predictors and assessing what machines really learn. Nature
        Communications 10.
"""

import dataclasses
from dataclasses import dataclass, field, replace

import numpy as np

from npgrad._validate import not_negative
from npgrad.errors import InputError
from npgrad.layers import BatchNorm2d, Conv2d, Linear


@dataclass(frozen=True)
class Rule:
    """What the rules share: `epsilon`, and that no number of theirs is negative."""

    epsilon: float = field(default=1e-9, kw_only=True)

    per_sample = True  # see Tape.backward

    def __post_init__(self):
        for own in dataclasses.fields(self):
            if own.type is float:
                not_negative(getattr(self, own.name), f"{type(self).__name__} {own.name}")


@dataclass(frozen=True)
class Epsilon(Rule):
    """z_ik = x_i w_ik, and the bias counts: LRP-epsilon (Bach et al. 2015, equation 58).

    Serves every layer that is linear in x where it stands, with weights or without: pools, sums, BatchNorm.
    `relative` adds to epsilon a part of the root mean square of the image's z, which takes relevance
    away from weak and contradictory contributions (Montavon et al. 2019, section 10.3, has 0.25 in
    the middle layers). Both 0: LRP-0.
    """

    epsilon: float = 1e-9
    relative: float = 0.0

    def __call__(self, record, relevance):
        z, epsilon = record.y, self.epsilon
        if self.relative:
            mean_square = np.mean(z * z, axis=tuple(range(1, z.ndim)), keepdims=True)
            epsilon = epsilon + self.relative * np.sqrt(mean_square)
        dx = record.layer.backward(_divide(relevance, z, epsilon), record.cache)
        if isinstance(record.x, (tuple, list)):
            return tuple(xi * dxi for xi, dxi in zip(record.x, dx, strict=True))
        return record.x * dx


@dataclass(frozen=True)
class Gamma(Rule):
    """z_ik = x_i (w_ik + gamma * max(w_ik, 0)): LRP-gamma (Montavon et al. 2019, section 10.2.1).

    It favors what speaks for the output. For x >= 0, which is what ReLUs give. The bias counts as it is, as
    in Captum (the paper's sum has it among the weights); with `bias=False` it does not count.

    signed: favor what has the sign of the output, x_i w_ik + gamma * (x_i w_ik)+ where the sum is positive, and
    with ()- where it is negative (Andeol et al. 2021). For x >= 0 and positive outputs this is the same, and for
    any others the sum cannot come near 0 and blow relevance up.
    """

    gamma: float = 0.25
    bias: bool = True
    signed: bool = False

    def __call__(self, record, relevance):
        layer = _weighted(self, record)
        layer = layer if self.bias else replace(layer, bias=None)
        if self.signed and ((record.x < 0).any() or relevance[record.y <= 0].any()):
            return self._signed(record, layer, relevance)
        part = replace(layer, weight=layer.weight + self.gamma * np.maximum(layer.weight, 0))
        return _share_out(relevance, [(record.x, part)], self.epsilon)

    def _signed(self, record, layer, relevance):
        """The outputs of one sign after those of the other."""
        x, z, dx = record.x, layer.forward(record.x)[0], 0
        for sign in (1, -1):
            favored = [
                (
                    self.gamma * _part(x, own),
                    replace(layer, weight=_part(layer.weight, sign * own), bias=None),
                )
                for own in (1, -1)
            ]
            dx = dx + _share_out(np.where(sign * z > 0, relevance, 0), [(x, layer), *favored], self.epsilon)
        return dx


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """alpha times the shares among positive contributions, less beta times those among negative ones:
    z_ik = (x_i w_ik)+ in the first, (x_i w_ik)- in the second (Bach et al. 2015, equation 60).

    alpha - beta = 1, so that relevance is conserved. The bias counts in the sum of its sign; with
    `bias=False` in none. Captum's Alpha1_Beta0_Rule has x_i (w_ik)+, which is the same for x >= 0 only, and
    leaves a negative bias in the sum.
    """

    alpha: float = 2.0
    beta: float = 1.0
    bias: bool = True

    def __post_init__(self):
        super().__post_init__()
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise InputError(
                f"{type(self).__name__}: expected alpha - beta = 1, found {self.alpha} - {self.beta}"
            )

    def __call__(self, record, relevance):
        layer = _weighted(self, record)
        positive = self._contributions(record.x, layer, sign=1)
        dx = self.alpha * _share_out(relevance, positive, self.epsilon)
        if self.beta:
            negative = self._contributions(record.x, layer, sign=-1)
            dx = dx - self.beta * _share_out(relevance, negative, self.epsilon)
        return dx

    def _contributions(self, x, layer, sign):
        """Parts (x, layer) that together give all contributions x_i w_ik of one sign, and the bias."""
        bias = _part(layer.bias, sign) if self.bias and layer.bias is not None else None
        parts = [(np.maximum(x, 0), replace(layer, weight=_part(layer.weight, sign), bias=bias))]
        if (x < 0).any():
            parts.append((np.minimum(x, 0), replace(layer, weight=_part(layer.weight, -sign), bias=None)))
        return parts


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    """z_ik = (x_i w_ik)+, no bias: the z+ rule (Montavon et al. 2017, section 4.1), alpha-beta with 1 and 0.

    What is handed down has the sign of what came; nothing is lost where something positive contributed.
    """

    alpha: float = 1.0
    beta: float = 0.0
    bias: bool = False


@dataclass(frozen=True, eq=False)
class ZBox(Rule):
    """z_ik = x_i w_ik - low_i (w_ik)+ - high_i (w_ik)-, no bias: the z-box rule for pixels, which lie between
    low and high (Montavon et al. 2017, section 4.1).

    low, high: numbers, or one a channel. Every z_ik is then >= 0, so a black pixel's share can be as large as
    a white one's.
    """

    low: float | tuple
    high: float | tuple

    def __post_init__(self):
        super().__post_init__()
        if not np.all(np.less_equal(self.low, self.high)):
            raise InputError(f"ZBox: expected low <= high, found {self.low} and {self.high}")

    def __call__(self, record, relevance):
        layer, x = replace(_weighted(self, record), bias=None), record.x
        low, high = _per_channel(self.low, x), _per_channel(self.high, x)
        parts = [
            (x, layer),
            (-low, replace(layer, weight=_part(layer.weight, 1))),
            (-high, replace(layer, weight=_part(layer.weight, -1))),
        ]
        return _share_out(relevance, parts, self.epsilon)


@dataclass(frozen=True)
class WSquare(Rule):
    """z_ik = w_ik^2, whatever x: the w^2 rule for unbounded inputs (Montavon et al. 2017, section 4.1)."""

    def __call__(self, record, relevance):
        layer = _weighted(self, record)
        part = replace(layer, weight=layer.weight**2, bias=None)
        return _share_out(relevance, [(np.ones_like(record.x), part)], self.epsilon)


@dataclass(frozen=True)
class Flat(Rule):
    """z_ik = 1: every input that an output sees gets the same (the flat rule of Lapuschkin et al. 2019)."""

    def __call__(self, record, relevance):
        layer = _weighted(self, record)
        part = replace(layer, weight=np.ones_like(layer.weight), bias=None)
        return _share_out(relevance, [(np.ones_like(record.x), part)], self.epsilon)


@dataclass(frozen=True, eq=False)
class Merged(Rule):
    """`rule` for a convolution and the BatchNorm after it taken as the one convolution that they are.

    A convolution's output is not yet what a ReLU looks at: it can be near 0 where the BatchNorm's is not. So a rule
    that favors a sign belongs to the two together. The BatchNorm itself passes relevance through.
    """

    rule: Rule
    norm: BatchNorm2d

    def __call__(self, record, relevance):
        layer, norm = _weighted(self, record), self.norm
        scale = norm.weight / np.sqrt(norm.running_var + norm.eps)
        shift = norm.bias + scale * ((0 if layer.bias is None else layer.bias) - norm.running_mean)
        layer = replace(layer, weight=scale.reshape(-1, 1, 1, 1) * layer.weight, bias=shift)
        return self.rule(replace(record, layer=layer, y=norm(record.y)), relevance)


def pass_through(record, relevance):
    """For an activation function: its output's relevance is its input's."""
    return relevance


def own_backward(record, relevance):
    """For a layer that only moves numbers: relevance goes as gradients do."""
    return record.layer.backward(relevance, record.cache)


pass_through.per_sample = own_backward.per_sample = True


def _share_out(relevance, parts, epsilon):
    """Share out relevance over parts (x, layer): contributions are their x_i w_ik, z the sum of layer(x)."""
    runs = [(x, layer, *layer.forward(x)) for x, layer in parts]
    per_unit = _divide(relevance, sum(z for _, _, z, _ in runs), epsilon)
    return sum(x * layer.backward(per_unit, cache) for x, layer, _, cache in runs)


def _divide(relevance, z, epsilon):
    """relevance / z with z moved away from 0 by epsilon; 0 where it is 0 even so."""
    z = z + np.where(z < 0, -epsilon, epsilon).astype(z.dtype)
    return np.divide(relevance, z, out=np.zeros_like(z), where=z != 0)


def _part(array, sign):
    """The positive part of an array, or the negative."""
    return np.maximum(array, 0) if sign > 0 else np.minimum(array, 0)


def _weighted(rule, record):
    """The record's layer, if it has weights that contribute as x_i w_ik."""
    if isinstance(record.layer, (Conv2d, Linear)):
        return record.layer
    rule, layer = type(rule).__name__, type(record.layer).__name__
    raise InputError(f"{record.name}: {rule} is a rule for Conv2d and Linear, found {layer}")


def _per_channel(values, x):
    """A number, or one a channel, as an array like x."""
    values, channels = np.ravel(values).astype(x.dtype), x.shape[1]
    if len(values) not in (1, channels):
        raise InputError(f"ZBox: expected one number, or {channels}, one a channel; found {len(values)}")
    return np.broadcast_to(values.reshape(-1, *(1,) * (x.ndim - 2)), x.shape)
