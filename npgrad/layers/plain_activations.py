"""The elementwise activations as explicit loops, from their definitions; see `plain.py`.

ACTIVATIONS has for each the function f(v) and its derivative, of one number v and of the options of the layer of this
name. The definitions are written as in the papers: unlike those of the layers, they overflow at large numbers.
"""

import numpy as np
from scipy.special import erf


def sigmoid(v):
    """1 / (1 + exp(-v))"""
    return 1 / (1 + np.exp(-v))


def normal(v):
    """(P(Z <= v), the density at v) of a standard normal Z."""
    return (1 + erf(v / np.sqrt(2))) / 2, np.exp(-v * v / 2) / np.sqrt(2 * np.pi)


def gelu(v, approximate):
    """v * P(Z <= v), or its approximation by tanh."""
    if approximate == "none":
        return v * normal(v)[0]
    return v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))


def gelu_slope(v, approximate):
    """The product rule."""
    if approximate == "none":
        probability, density = normal(v)
        return probability + v * density
    t = np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3))
    return (1 + t) / 2 + v / 2 * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * v**2)


def mish_slope(v):
    """The product and the chain rule: the derivative of softplus is sigmoid."""
    t = np.tanh(np.log(1 + np.exp(v)))
    return t + v * (1 - t * t) * sigmoid(v)


def hard_sigmoid(v, alpha, beta):
    """alpha * v + beta, but not below 0 or above 1."""
    y = alpha * v + beta
    return 0 if y.real <= 0 else 1 if y.real >= 1 else y


ACTIVATIONS = {
    "LeakyReLU": (
        lambda v, negative_slope: v if v.real > 0 else negative_slope * v,
        lambda v, negative_slope: 1 if v.real > 0 else negative_slope,
    ),
    "ELU": (
        lambda v, alpha: v if v.real > 0 else alpha * (np.exp(v) - 1),
        lambda v, alpha: 1 if v.real > 0 else alpha * np.exp(v),
    ),
    "SELU": (
        lambda v: 1.0507009873554805 * (v if v.real > 0 else 1.6732632423543772 * (np.exp(v) - 1)),
        lambda v: 1.0507009873554805 * (1 if v.real > 0 else 1.6732632423543772 * np.exp(v)),
    ),
    "Sigmoid": (sigmoid, lambda v: sigmoid(v) * (1 - sigmoid(v))),
    "HardSigmoid": (hard_sigmoid, lambda v, alpha, beta: alpha if 0 < alpha * v.real + beta < 1 else 0),
    "SiLU": (lambda v: v * sigmoid(v), lambda v: sigmoid(v) + v * sigmoid(v) * (1 - sigmoid(v))),
    "HardSwish": (
        lambda v: 0 if v.real <= -3 else v if v.real >= 3 else v * (v + 3) / 6,
        lambda v: 0 if v.real <= -3 else 1 if v.real >= 3 else (2 * v + 3) / 6,
    ),
    "Tanh": (np.tanh, lambda v: 1 - np.tanh(v) ** 2),
    "Softplus": (
        lambda v, beta: np.log(1 + np.exp(beta * v)) / beta,
        lambda v, beta: sigmoid(beta * v),
    ),
    "Mish": (lambda v: v * np.tanh(np.log(1 + np.exp(v))), mish_slope),
    "GELU": (gelu, gelu_slope),
}  # fmt: skip


def activation(x, name, **options):
    """y = f(x), value by value, with f the activation of this name."""
    function, _ = ACTIVATIONS[name]
    y = np.zeros(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        y[index] = function(x[index], **options)
    return y


def activation_backward(dy, x, name, **options):
    """dx = dy * f'(x), value by value."""
    _, slope = ACTIVATIONS[name]
    dx = np.zeros(x.shape, np.result_type(dy, x))
    for index in np.ndindex(x.shape):
        dx[index] = dy[index] * slope(x[index], **options)
    return dx


def prelu(x, weight):
    """y[n, c] = x[n, c] where it is positive, else weight[c] * x[n, c]; one weight: for all channels."""
    y = np.zeros(x.shape, np.result_type(x, weight))
    for index in np.ndindex(x.shape):
        w = weight[index[1] % len(weight)]
        y[index] = x[index] if x[index].real > 0 else w * x[index]
    return y


def prelu_backward(dy, x, weight):
    """(dx, dweight)"""
    dx, dweight = (
        np.zeros(x.shape, np.result_type(dy, x, weight)),
        np.zeros(weight.shape, np.result_type(dy, x)),
    )
    for index in np.ndindex(x.shape):
        c = index[1] % len(weight)
        dx[index] = dy[index] * (1 if x[index].real > 0 else weight[c])
        dweight[c] += 0 if x[index].real > 0 else dy[index] * x[index]
    return dx, dweight
