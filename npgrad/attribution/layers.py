"""Attributions of a score to a layer's output y (of a convolution: before its ReLU), of the shape of y.

layer: any layer's name; None is the last fire or, without one, the last layer with an extent. baseline x0:
None for 0, a number, or an array that broadcasts to x. n_steps: points on the way from x0 to x. batch_size:
copies at once (None: as memory allows). progress: called with (copies done, copies in all).
"""

from typing import NamedTuple

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._targets import one_hot, resolve_targets, warn_if_dead
from npgrad._validate import check_input, full_baseline, whole_number
from npgrad.attribution._copies import begin, per_sample
from npgrad.attribution._maps import part_of, weighted_sum
from npgrad.attribution._surgery import onward, run_to
from npgrad.attribution.integrated_gradients import quadrature


class LayerView(NamedTuple):
    """One layer in one pass: its output y, d score / d y, and Grad-CAM (None for a layer without extent)."""

    activation: np.ndarray
    gradient: np.ndarray
    grad_cam: np.ndarray | None


def every_layer(model, x, target=None):
    """All layers at once, by one forward and one backward: {layer: LayerView}, in the order of running."""
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    names = [record.name for record in tape.parts[0]]
    gradients = tape.backward(one_hot(tape.output, targets), at=names)
    return {name: _view(tape[name], gradients[name]) for name in names}


def layer_activation(model, x, target=None, layer=None):
    """The layer's output y. target is not used: the activation is the same for every class."""
    layer = layer_name(model, x, layer)
    return run_to(model, x, layer)[layer].copy()  # dropout, for one, may put out the caller's own x


def layer_gradient_x_activation(model, x, target=None, layer=None):
    """y * d score / d y."""
    layer = layer_name(model, x, layer)
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    return tape[layer] * tape.backward(one_hot(tape.output, targets), at=(layer,))[layer]


def layer_integrated_gradients(
    model,
    x,
    target=None,
    layer=None,
    baseline=None,
    n_steps=50,
    method="gausslegendre",
    batch_size=None,
    progress=None,
):
    """(y - y0) * integral over a from 0 to 1 of d score / d y at y0 + a * (y - y0), where y0 is y at x0.

    Integrated gradients (Sundararajan, Taly, Yan 2017, equation 1) of the network above the layer, the
    integral summed with `quadrature(method, n_steps)`. What goes past the layer, as the other branch of a
    fire does, stays what it is for x.
    """
    nodes, weights = quadrature(method, n_steps)
    layer = layer_name(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size)
    x0, weights = full_baseline(baseline, x.shape, x.dtype), weights.astype(score.dtype)
    attributions = []
    for i in range(len(x)):
        tape = run_to(model, x[i : i + 1], layer)
        y, y0 = tape[layer], run_to(model, x0[i : i + 1], layer)[layer]
        integral = 0
        for steps in batches(len(nodes), size, part_of(progress, i, len(x))):
            above = onward(model, tape, layer, y0 + per_sample(nodes[steps], y) * (y - y0))
            seed = one_hot(above.output, np.full(len(steps), targets[i]))
            for k, gradient in zip(steps, above.backward(seed, at=(layer,))[layer], strict=True):
                integral = integral + weights[k] * gradient
        attributions.append((y - y0) * integral)
    return np.concatenate(attributions)


def layer_conductance(
    model, x, target=None, layer=None, baseline=None, n_steps=50, batch_size=None, progress=None
):
    """What each element of y does to the score on the way from x0 to x: the integral of dscore/dy * dy.

    Dhamdhere, Sundararajan, Yan 2018, equation 2, along the straight way from x0 to x, summed as Captum
    does: over k < n of dscore/dy(a_k) * (y(a_k+1) - y(a_k)), where a_0 .. a_n are the n_steps + 1
    Gauss-Legendre nodes. They do not reach the ends of the way, so a layer's sum is F(x) - F(x0) in the
    limit only.
    """
    nodes, _ = quadrature("gausslegendre", whole_number(n_steps, "n_steps") + 1)
    layer = layer_name(model, x, layer)
    x, targets, _, size = begin(model, x, target, batch_size)
    conductance, before = [0] * len(x), None
    for i, k, y, dy in on_the_way(model, x, targets, layer, baseline, nodes, size, progress):
        if k > 0:
            y_before, dy_before = before
            conductance[i] = conductance[i] + dy_before * (y - y_before)
        before = y, dy
    return np.stack(conductance)


def internal_influence(
    model,
    x,
    target=None,
    layer=None,
    baseline=None,
    n_steps=50,
    method="gausslegendre",
    batch_size=None,
    progress=None,
):
    """The mean of d score / d y on the straight way from x0 to x, by `quadrature(method, n_steps)`.

    Leino, Sen, Datta, Fredrikson, Li 2018, definition 1, for the inputs on that way. Not multiplied by y.
    """
    nodes, weights = quadrature(method, n_steps)
    layer = layer_name(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size)
    influence, weights = [0] * len(x), weights.astype(score.dtype)
    for i, k, _, dy in on_the_way(model, x, targets, layer, baseline, nodes, size, progress):
        influence[i] = influence[i] + weights[k] * dy
    return np.stack(influence)


def on_the_way(model, x, targets, layer, baseline, nodes, size, progress):
    """For each image i and node a_k, in order: (i, k, y, d score / d y) at x0 + a_k * (x - x0)."""
    x0 = full_baseline(baseline, x.shape, x.dtype)
    for copies in batches(len(x) * len(nodes), size, progress):
        i, k = np.divmod(copies, len(nodes))
        tape = model.forward(x0[i] + per_sample(nodes[k], x) * (x[i] - x0[i]))
        gradients = tape.backward(one_hot(tape.output, targets[i]), at=(layer,))[layer]
        yield from zip(i, k, tape[layer], gradients, strict=True)


def layer_name(model, x, layer=None):
    """The own name of `layer`, or of the default."""
    return model.map_layer(None if layer else model.forward(check_input(x)[:1]), layer)


def _view(y, dy):
    return LayerView(y, dy, weighted_sum(dy.mean(axis=(2, 3)), y) if y.ndim == 4 else None)
