"""Style transfer: the content of one image in the style of another (Gatys, Ecker, Bethge 2016)."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from npgrad import losses
from npgrad._validate import generator, not_negative, whole_number
from npgrad.layers.composite import add
from npgrad.synthesis import _style_images as images
from npgrad.synthesis import presets
from npgrad.synthesis._descent import advance, make_optimizer, topmost
from npgrad.synthesis._run import Run, Synthesis


@dataclass(frozen=True, eq=False, repr=False)
class StyleTransfer(Synthesis):
    """An image in another's style. losses: "content", "style" and "tv", one number a step."""


def style_transfer(
    model,
    content,
    style,
    *,
    preset=None,
    image_size=None,
    style_size=None,
    content_layer=None,
    content_weight=None,
    style_layers=None,
    style_weights=None,
    tv_weight=None,
    steps=200,
    optimizer="adam",
    start="content",
    style_blend=None,
    original_colors=False,
    sizes=None,
    masks=None,
    rng=0,
    callback=None,
    checkpoint=None,
):
    """Descend content loss + style loss + total variation: a StyleTransfer.

    content, style: a path, a PIL image, a uint8 array (H, W, 3), or a float array (1, 3, H, W), normalized already;
    style may be a list of them. preset: a name in PRESETS (None: starry_night, or gatys for a VGG); image_size to
    tv_weight are taken from there where they are None. image_size, style_size: the shorter side in px; a float array
    keeps its size if it is None.
    style_weights: a number for each of style_layers; a preset's grow with the image's area above 192 px.

    steps: 200 is the homework's. optimizer: "adam" by the homework's schedule, or "lbfgs", slower and smoother.
    start: "content", "noise" (uniform 0 to 1) or an image. style_blend: how strong each style is, relative to the
    others. original_colors: the image gets the content's chroma. sizes: (192, 384) makes the image at 192 px,
    enlarges it and goes on at 384, `steps` at each; style_size is for the last. masks: where each style goes, for
    each an array (H, W) from 0 to 1 or a gray image. callback(step, image, losses), checkpoint: see `Run`.
    """
    steps, rng = whole_number(steps, "steps", 0), generator(rng)
    layers_given = content_layer is not None and style_layers is not None
    chosen = presets.settings(
        presets.default_for(model, layers_given) if preset is None else preset,
        image_size=image_size,
        style_size=style_size,
        content_layer=content_layer,
        content_weight=content_weight,
        style_layers=style_layers,
        style_weights=style_weights,
        tv_weight=tv_weight,
    )
    weights = Weights.of(model, chosen, grow=style_weights is None)
    work = images.Images.of(
        model, content, style, sizes, image_size, style_size, chosen, style_blend, masks, original_colors
    )
    goal = goal_at(model, work, 0, weights)
    descent = make_optimizer(optimizer, model, goal.content)
    x = images.beginning(model, start, goal.content, rng)

    def show(step, image, values):
        callback(step, work.finished(model, image), values)

    settings = {"make": "style transfer", "model": model, "optimizer": optimizer, "weights": vars(weights)}
    settings |= {"each": steps, "images": work.settings()}
    total = steps * len(work.sizes)
    with Run(x, total, rng, descent, callback and show, checkpoint, settings=settings) as run:
        for t in run:
            stage, s = divmod(t, steps)
            if stage != goal.stage:
                goal = goal_at(model, work, stage, weights)
            x = images.resized(run.image, goal.content.shape[2:])
            advance(run, descent, partial(losses_and_gradient, model, goal), x, s, steps)
    return StyleTransfer(work.finished(model, run.image), run.t, run.losses, run.interrupted)


def losses_and_gradient(model, goal, x):
    """One forward, the three losses with their seeds, one backward: ({name: loss}, d sum of losses / d x)."""
    weights = goal.weights
    tape = model.forward(x, upto=weights.top, keep=(weights.content_layer, *weights.style))
    content, dcontent = losses.content_loss(weights.content, tape[weights.content_layer], goal.features)
    tv, dtv = losses.tv_loss(x, weights.tv)
    style, seeds = 0.0, {weights.content_layer: dcontent, "input": dtv}
    for share, grams, masks in goal.styles:
        parts = {layer: share * weight for layer, weight in weights.style.items()}
        value, gradients = losses.style_loss(tape, grams, parts, masks)
        style = style + value
        for layer, gradient in gradients.items():
            seeds[layer] = add(seeds.get(layer), gradient)
    return {"content": content, "style": style, "tv": tv}, tape.backward(seeds)["input"]


@dataclass(frozen=True)
class Weights:
    """How much each loss counts, and at which layers.

    grow: whether the style counts more in larger images. top: the last layer that is needed.
    """

    content_layer: str
    content: float
    style: dict
    tv: float
    grow: bool
    top: str

    @classmethod
    def of(cls, model, chosen, grow):
        layer = model.resolve(chosen["content_layer"])
        style = presets.weights_by_layer(model, chosen["style_layers"], chosen["style_weights"])
        style = {name: weight for name, weight in style.items() if weight}  # the rest need not be computed
        content = not_negative(chosen["content_weight"], "content_weight")
        tv = not_negative(chosen["tv_weight"], "tv_weight")
        return cls(layer, content, style, tv, grow, topmost(model, [layer, *style]))


@dataclass(frozen=True, eq=False)
class Goal:
    """What the image of one stage is held against.

    content: the content image at this size; features: its activation at the content layer. styles: for each style
    its share, its Gram matrices {layer: (1, C, C)} and its masks {layer: (H, W)} or None.
    """

    stage: int
    weights: Weights
    content: np.ndarray
    features: np.ndarray
    styles: list


def goal_at(model, work, stage, weights):
    """The Goal of stage number `stage`."""
    content = work.content_at(model, stage)
    growth = presets.growth(min(content.shape[2:])) if weights.grow else 1.0
    tape, styles = model.forward(content, upto=weights.top), []
    for i, share in enumerate(work.shares):
        seen = model.forward(work.style_at(model, i, stage), upto=weights.top) if weights.style else {}
        grams = {layer: losses.gram_matrix(seen[layer]) for layer in weights.style}
        styles.append((share * growth, grams, work.masks_at(i, tape, weights.style)))
    return Goal(stage, weights, content, tape[weights.content_layer], styles)
