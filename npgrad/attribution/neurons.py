"""Attributions of one neuron, an element of a layer's output, to the image: signed, of the shape of x.

neuron: where it stands in the layer's output of one image, counted from 0: (channel, row, column), or one
number where that output is a vector. layer: any layer's name; None is the last fire or, without one, the
last layer with an extent. baseline x0: None for 0, a number, or an array that broadcasts to x. batch_size:
copies at once (None: as memory allows). progress: called with (copies done, copies in all).

All are called as methods for a class are; `target` counts for `neuron_conductance` alone. A neuron that a
ReLU has shut off has gradient 0.
"""

import numpy as np

from npgrad._parallel.batches import batches, copies_at_once
from npgrad._targets import one_hot
from npgrad._validate import check_input, full_baseline
from npgrad.attribution._copies import begin, per_sample
from npgrad.attribution._surgery import run_to
from npgrad.attribution.integrated_gradients import quadrature
from npgrad.attribution.layers import layer_name
from npgrad.errors import InputError
from npgrad.layers import ReLU
from npgrad.rules import guided


def neuron_gradient(model, x, target=None, layer=None, *, neuron):
    """d neuron / d x."""
    layer = layer_name(model, x, layer)
    return _gradient(model, x, layer, neuron)


def neuron_guided_backprop(model, x, target=None, layer=None, *, neuron):
    """Guided backprop (Springenberg et al. 2015, section 3.4) from the neuron instead of a score."""
    layer = layer_name(model, x, layer)
    return _gradient(model, x, layer, neuron, rules={ReLU: guided})


def neuron_integrated_gradients(
    model,
    x,
    target=None,
    layer=None,
    *,
    neuron,
    baseline=None,
    n_steps=50,
    method="gausslegendre",
    batch_size=None,
    progress=None,
):
    """(x - x0) * integral over a from 0 to 1 of d neuron / d x at x0 + a * (x - x0).

    Sundararajan, Taly, Yan 2017, equation 1, with the neuron for F; summed with `quadrature(method,
    n_steps)`. The attributions sum to neuron(x) - neuron(x0), up to the error of the sum.
    """
    nodes, weights = quadrature(method, n_steps)
    layer, x = layer_name(model, x, layer), check_input(x)
    size = copies_at_once(model, x, batch_size)

    def gradient(points, _):
        return _gradient(model, points, layer, neuron)

    return _integral(gradient, x, baseline, nodes, weights, size, progress)


def neuron_conductance(
    model,
    x,
    target=None,
    layer=None,
    *,
    neuron,
    baseline=None,
    n_steps=50,
    method="gausslegendre",
    batch_size=None,
    progress=None,
):
    """(x - x0) * integral over a from 0 to 1 of dscore/dneuron * dneuron/dx at x0 + a * (x - x0).

    Dhamdhere, Sundararajan, Yan 2018, equation 2 before its sum over the input: the part of integrated
    gradients that goes through the neuron. Summed with `quadrature(method, n_steps)`.
    """
    nodes, weights = quadrature(method, n_steps)
    layer = layer_name(model, x, layer)
    x, targets, _, size = begin(model, x, target, batch_size)

    def gradient(points, image):
        tape = model.forward(points)
        place = _place(tape[layer], layer, neuron)
        dy = tape.backward(one_hot(tape.output, targets[image]), at=(layer,))[layer]
        seed = np.zeros_like(dy)
        seed[place] = dy[place]
        return tape.backward({layer: seed})["input"]

    return _integral(gradient, x, baseline, nodes, weights, size, progress)


def _gradient(model, x, layer, neuron, rules=None):
    tape = run_to(model, x, layer)
    seed = np.zeros_like(tape[layer])
    seed[_place(seed, layer, neuron)] = 1
    return tape.backward({layer: seed}, rules)["input"]


def _integral(gradient, x, baseline, nodes, weights, size, progress):
    """(x - x0) * sum over k of weights_k * gradient(points at nodes_k, their images)."""
    x0 = full_baseline(baseline, x.shape, x.dtype)
    total, weights = np.zeros(x.shape, x.dtype), weights.astype(x.dtype)
    for copies in batches(len(x) * len(nodes), size, progress):
        image, k = np.divmod(copies, len(nodes))
        points = x0[image] + per_sample(nodes[k], x) * (x[image] - x0[image])
        for i, weight, one in zip(image, weights[k], gradient(points, image), strict=True):
            total[i] += weight * one
    return (x - x0) * total


def _place(y, layer, neuron):
    """The neuron's index into y (N, ...), of every image; an InputError names the range."""
    index = tuple(neuron) if isinstance(neuron, (tuple, list)) else (neuron,)
    shape = y.shape[1:]
    whole = all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in index)
    inside = len(index) == len(shape) and all(i in range(n) for i, n in zip(index, shape, strict=True))
    if not (whole and inside):
        ranges = ", ".join(f"0 to {n - 1}" for n in shape)
        raise InputError(f"neuron: {layer} expects {len(shape)} whole numbers ({ranges}), found {neuron!r}")
    return (slice(None), *index)
