"""Feature inversion: an image made from one layer's activation alone (Mahendran, Vedaldi 2015)."""

from dataclasses import dataclass

import numpy as np

from npgrad import losses
from npgrad._validate import generator, not_negative, whole_number
from npgrad.errors import InputError
from npgrad.synthesis import _style_images as images
from npgrad.synthesis._descent import advance, make_optimizer, topmost
from npgrad.synthesis._run import Run, Synthesis

SMOOTHNESS = 0.15  # tv_weight for each input pixel that one pixel of the layer stands for
HOMEWORK_TV = 2e-2


@dataclass(frozen=True, eq=False, repr=False)
class Inversion(Synthesis):
    """An image made from one layer's activation. losses: "content" and "tv", one number a step.

    layer: its name. correlation: of the image's values with the original's, 1 where nothing was lost.
    relative_error: ||a - a0||^2 / ||a0||^2, with a the layer's activation now, a0 the original's.
    """

    layer: str = ""
    correlation: float = 0.0
    relative_error: float = 0.0


def invert_features(
    model,
    x,
    layer,
    *,
    content_weight=None,
    tv_weight=None,
    steps=200,
    optimizer="adam",
    start="noise",
    rng=0,
    callback=None,
    checkpoint=None,
):
    """Descend content loss + total variation, from noise: an Inversion.

        content_weight * ||a(image) - a(x)||^2 + tv_weight * tv(image),  a: the activation at `layer`

    x: one image (1, 3, H, W), normalized, or what `style_transfer` takes as content, at its own size. The homework's
    Q2.5 is fire2 with 6e-2 and 2e-2 (tv_weight's default beside a content_weight). content_weight None: the
    content loss is taken relative to ||a(x)||^2, times the number of values in x (Mahendran, Vedaldi 2015, section 3);
    tv_weight is then by default the larger the more pixels the layer has merged into one, so that every layer
    gives a smooth image. optimizer, start, callback, checkpoint: as for `style_transfer`.
    """
    steps, rng, layer = whole_number(steps, "steps", 0), generator(rng), model.resolve(layer)
    x = images.opened(x, "x")
    x = images.at_size(model, x, None, x.dtype if isinstance(x, np.ndarray) else images.dtype_of(model))
    top = topmost(model, [layer])
    goal = model.forward(x, upto=top)[layer]
    size = float(np.sum(np.square(goal, dtype=np.float64)))
    if not size:
        raise InputError(f"layer: expected an activation to invert, found 0 everywhere at {layer}")
    if tv_weight is None:
        tv_weight = SMOOTHNESS * merged(x, goal) if content_weight is None else HOMEWORK_TV
    if content_weight is None:
        content_weight = x.size / size
    not_negative(content_weight, "content_weight"), not_negative(tv_weight, "tv_weight")

    def objective(image):
        tape = model.forward(image, upto=top, keep=layer)
        content, dcontent = losses.content_loss(content_weight, tape[layer], goal)
        tv, dtv = losses.tv_loss(image, tv_weight)
        return {"content": content, "tv": tv}, tape.backward({layer: dcontent, "input": dtv})["input"]

    descent = make_optimizer(optimizer, model, x)
    begin = images.beginning(model, start, x, rng)
    settings = {"make": "inversion", "model": model, "optimizer": optimizer, "x": x, "layer": layer}
    settings |= {"content_weight": content_weight, "tv_weight": tv_weight}
    with Run(begin, steps, rng, descent, callback, checkpoint, settings=settings) as run:
        for t in run:
            advance(run, descent, objective, run.image, t, steps)
    return Inversion(
        run.image,
        run.t,
        run.losses,
        run.interrupted,
        layer=layer,
        correlation=correlation(run.image, x),
        relative_error=float(np.sum(np.square(model.forward(run.image, upto=top)[layer] - goal)) / size),
    )


def merged(x, activation):
    """How many pixels of x (1, C, H, W) one pixel of the activation stands for, 16x16 at most."""
    return min(x[0, 0].size / activation[0, 0].size, 256.0) if activation.ndim == 4 else 256.0


def correlation(a, b):
    """The correlation of two arrays' values (0 where one of them is constant)."""
    a, b = (np.asarray(v, np.float64).ravel() - np.mean(v, dtype=np.float64) for v in (a, b))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size else 0.0
