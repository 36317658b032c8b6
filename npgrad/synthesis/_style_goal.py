"""The objective of style transfer: what the image is compared with, and the losses and their gradient."""

from dataclasses import dataclass

import numpy as np

from npgrad import losses
from npgrad._validate import not_negative
from npgrad.errors import InputError
from npgrad.layers.composite import add
from npgrad.synthesis import presets
from npgrad.synthesis._descent import topmost
from npgrad.synthesis.pixels import standardization


@dataclass(frozen=True)
class LossWeights:
    """The weight and the layers of each loss.

    grow: whether the style's weight grows with the image. top: the last layer that is needed.
    """

    content_layer: str
    content: float
    style: dict
    tv: float
    grow: bool
    top: str

    @classmethod
    def of(cls, model, chosen, grow):
        """From keywords of `style_transfer` that a preset has completed."""
        layer = model.resolve(chosen["content_layer"])
        style = _weights_by_layer(model, chosen["style_layers"], chosen["style_weights"])
        style = {name: weight for name, weight in style.items() if weight}  # the others need not be computed
        content = not_negative(chosen["content_weight"], "content_weight")
        tv = not_negative(chosen["tv_weight"], "tv_weight")
        unit, _ = standardization(model, np.empty(0))
        return cls(layer, content, style, tv / unit**2, grow, topmost(model, [layer, *style]))


@dataclass(frozen=True, eq=False)
class Goal:
    """What the image of one stage is compared with.

    content: the content image at this size; features: its activation at the content layer. styles: for each style its
    factor, its Gram matrices {layer: (1, C, C)} and its masks {layer: (H, W)} or None.
    """

    stage: int
    weights: LossWeights
    content: np.ndarray
    features: np.ndarray
    styles: list


def goal_at(model, work, stage, weights):
    """The Goal of a stage."""
    content = work.content_at(model, stage)
    growth = presets.growth(min(content.shape[2:])) if weights.grow else 1.0
    tape, styles = model.forward(content, upto=weights.top), []
    for i, factor in enumerate(work.factors):
        seen = model.forward(work.style_at(model, i, stage), upto=weights.top) if weights.style else {}
        grams = {layer: losses.gram_matrix(seen[layer]) for layer in weights.style}
        styles.append((factor * growth, grams, work.masks_at(i, tape, weights.style)))
    return Goal(stage, weights, content, tape[weights.content_layer], styles)


def losses_and_gradient(model, goal, x):
    """({name: loss}, d sum of losses / d x): one forward, the losses with their upstream gradients, one backward."""
    weights = goal.weights
    tape = model.forward(x, upto=weights.top, keep=(weights.content_layer, *weights.style))
    content, dcontent = losses.content_loss(weights.content, tape[weights.content_layer], goal.features)
    tv, dtv = losses.tv_loss(x, weights.tv)
    style, dy = 0.0, {weights.content_layer: dcontent, "input": dtv}
    for factor, grams, masks in goal.styles:
        layer_weights = {layer: factor * weight for layer, weight in weights.style.items()}
        value, gradients = losses.style_loss(tape, grams, layer_weights, masks)
        style = style + value
        for layer, gradient in gradients.items():
            dy[layer] = add(dy.get(layer), gradient)
    return {"content": content, "style": style, "tv": tv}, tape.backward(dy)["input"]


def _weights_by_layer(model, layers, weights):
    """{layer's full name: weight} for style_layers and style_weights; the weights of a repeated layer add up."""
    if not isinstance(layers, (str, list, tuple)):
        raise InputError(f"style_layers: expected names of layers, found {layers!r:.60}")
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    weights = tuple(weights) if np.ndim(weights) else (weights,)
    if len(weights) != len(layers):
        raise InputError(
            f"style_weights: expected {len(layers)}, one per layer of style_layers, found {len(weights)}"
        )
    found = {}
    for layer, weight in zip(layers, weights, strict=True):
        name = model.resolve(layer)
        found[name] = found.get(name, 0.0) + not_negative(weight, "style_weights")
    return found
