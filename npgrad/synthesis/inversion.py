"""Feature inversion: an image reconstructed from one layer's activation (Mahendran, Vedaldi 2015)."""

from dataclasses import dataclass

import numpy as np

from npgrad import losses
from npgrad._typing import ImageLike, Path, Rng
from npgrad._validate import generator, not_negative, whole_number
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.synthesis import _style_images as images
from npgrad.synthesis._aim import float_type
from npgrad.synthesis._descent import advance, make_optimizer, topmost
from npgrad.synthesis._run import Callback, Run, Synthesis
from npgrad.synthesis.pixels import standardization
from npgrad.synthesis.structure import middle_layer

__all__ = ["Inversion", "invert_features"]

SMOOTHNESS = 0.15  # default tv_weight per input pixel that one pixel of the layer covers
HOMEWORK_TV = 2e-2


@dataclass(frozen=True, eq=False, repr=False)
class Inversion(Synthesis):
    """An image reconstructed from one layer's activation.

    Attributes
    ----------
    image, steps, losses, interrupted
        See `Synthesis`.
    layer : str
        Name of the layer.
    correlation : float
        Correlation of the image's values with the original's; 1 if nothing was lost.
    relative_error : float
        ||a - a0||^2 / ||a0||^2, where a is the layer's activation on the image, a0 on the original.
    """

    layer: str = ""
    correlation: float = 0.0
    relative_error: float = 0.0


def invert_features(
    model: Model,
    x: ImageLike,
    layer: str | None = None,
    *,
    content_weight: float | None = None,
    tv_weight: float | None = None,
    steps: int = 200,
    optimizer: str = "adam",
    start: ImageLike = "noise",
    rng: Rng = 0,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> Inversion:
    """Reconstruct an image from a layer's activation, by minimizing content loss + total variation.

        content_weight * ||a(image) - a(x)||^2 + tv_weight * tv(image),  a: the activation at `layer`

    Parameters
    ----------
    model : Model
        The network.
    x : path, PIL image or ndarray
        The original: a preprocessed image (1, 3, H, W), or a path, a PIL image or a uint8 array, whose size is kept.
    layer : str or None
        Name of the layer. The homework's question 2.5 is fire2 with the weights 6e-2 and 2e-2. None: the deepest layer
        whose maps still have an eighth of the image's height and width.
    content_weight : float or None
        None: the number of values of x divided by ||a(x)||^2 (Mahendran, Vedaldi 2015, section 3).
    tv_weight : float or None
        None: proportional to the number of input pixels per pixel of the layer, so that every layer gives a smooth
        image; or 2e-2 if a content_weight is given.
    steps : int, default 200
        Number of steps.
    optimizer : {"adam", "lbfgs"}, default "adam"
        Adam with the homework's schedule, or L-BFGS, which is slower and gives smoother images.
    start : {"noise", "content"} or image, default "noise"
        The first image: uniform noise from 0 to 1, x itself, or another image.
    rng : numpy.random.Generator or int, default 0
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    Inversion
        With losses "content" and "tv".

    Raises
    ------
    InputError
        If an argument cannot be used, or the activation is 0 everywhere.
    ImageError
        If an image cannot be read.
    UnknownName
        If layer or optimizer is not known.
    """
    steps, rng = whole_number(steps, "steps", 0), generator(rng)
    layer = layer if layer is None else model.resolve(layer)
    x = images.opened(model, x, "x")
    x = images.at_size(model, x, None, x.dtype if isinstance(x, np.ndarray) else float_type(model))
    layer = middle_layer(model, x) if layer is None else layer
    top = topmost(model, [layer])
    goal = model.forward(x, upto=top)[layer]
    size = float(np.sum(np.square(goal, dtype=np.float64)))
    if not size:
        raise InputError(f"layer: expected an activation to invert, found 0 everywhere at {layer}")
    if tv_weight is None:
        tv_weight = SMOOTHNESS * _covered(x, goal) if content_weight is None else HOMEWORK_TV
    if content_weight is None:
        content_weight = x.size / size
    not_negative(content_weight, "content_weight")
    not_negative(tv_weight, "tv_weight")

    def objective(image):
        tape = model.forward(image, upto=top, keep=layer)
        content, dcontent = losses.content_loss(content_weight, tape[layer], goal)
        tv, dtv = losses.tv_loss(image, tv_weight / unit**2)
        return {"content": content, "tv": tv}, tape.backward({layer: dcontent, "input": dtv})["input"]

    unit, _ = standardization(model, x)
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
        correlation=_correlation(run.image, x),
        relative_error=float(np.sum(np.square(model.forward(run.image, upto=top)[layer] - goal)) / size),
    )


def _covered(x, activation):
    """How many pixels of x (1, C, H, W) one pixel of the activation covers, at most 16x16."""
    return min(x[0, 0].size / activation[0, 0].size, 256.0) if activation.ndim == 4 else 256.0


def _correlation(a, b):
    """The correlation of two arrays' values (0 where one of them is constant)."""
    a, b = (np.asarray(v, np.float64).ravel() - np.mean(v, dtype=np.float64) for v in (a, b))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size else 0.0
