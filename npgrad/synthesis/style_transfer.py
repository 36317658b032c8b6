"""Style transfer: the content of one image in the style of another (Gatys, Ecker, Bethge 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from npgrad._typing import ImageLike, Layers, Path, Rng
from npgrad._validate import generator, whole_number
from npgrad.model import Model
from npgrad.synthesis import _style_images as images
from npgrad.synthesis import presets
from npgrad.synthesis._descent import advance, make_optimizer
from npgrad.synthesis._run import Callback, Run, Synthesis
from npgrad.synthesis._style_goal import LossWeights, goal_at, losses_and_gradient
from npgrad.synthesis.structure import fitted

__all__ = ["StyleTransfer", "style_transfer"]


@dataclass(frozen=True, eq=False, repr=False)
class StyleTransfer(Synthesis):
    """An image in the style of another, with losses "content", "style" and "tv"; more attributes as of `Synthesis`.

    Attributes
    ----------
    content_layer : str
        Name of the layer of the content loss.
    style_layers : tuple of str
        Names of the layers of the style loss.
    """

    content_layer: str = ""
    style_layers: tuple[str, ...] = ()


def style_transfer(
    model: Model,
    content: ImageLike,
    style: ImageLike | Sequence[ImageLike],
    *,
    preset: str | None = None,
    image_size: int | None = None,
    style_size: int | None = None,
    content_layer: str | None = None,
    content_weight: float | None = None,
    style_layers: Layers | None = None,
    style_weights: float | Sequence[float] | None = None,
    tv_weight: float | None = None,
    steps: int = 200,
    optimizer: str = "adam",
    start: ImageLike = "content",
    style_blend: Sequence[float] | None = None,
    original_colors: bool = False,
    sizes: int | Sequence[int] | None = None,
    masks: ImageLike | Sequence[ImageLike] | None = None,
    rng: Rng = 0,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> StyleTransfer:
    """Minimize content loss + style loss + total variation (Gatys, Ecker, Bethge 2016, eq. 7).

    Parameters
    ----------
    model : Model
        The network.
    content : path, PIL image or ndarray
        The content image: a path, a PIL image, a uint8 array (H, W, 3), or a preprocessed float array (1, 3, H, W).
    style : path, PIL image, ndarray, or sequence of them
        The style image, or several.
    preset : str or None
        A name in PRESETS, from which the keywords from `image_size` to `tv_weight` are taken where they are None.
        None: the first preset for this network, see `presets.default_for`.
    image_size, style_size : int or None
        Shorter side of the content and of the style images, in px. None: the preset's; a float array keeps its size.
    content_layer : str or None
        Layer of the content loss.
    content_weight : float or None
        Weight of the content loss.
    style_layers : str, sequence of str, or None
        Layers of the style loss.
    style_weights : float, sequence of float, or None
        Weight of each style layer. A preset's weights grow with the image's area above 192 px.
    tv_weight : float or None
        Weight of the total variation.
    steps : int, default 200
        Number of steps, at each of `sizes`.
    optimizer : {"adam", "lbfgs"}, default "adam"
        Adam with the homework's schedule, or L-BFGS, which is slower and gives smoother images.
    start : {"content", "noise"} or image, default "content"
        The first image: the content image, uniform noise from 0 to 1, or another image.
    style_blend : sequence of float or None
        Relative strengths of the styles. None: all equal.
    original_colors : bool, default False
        Give the result the content's chroma.
    sizes : int, sequence of int, or None
        Shorter sides in px, instead of `image_size`: (192, 384) makes the image at 192 px, enlarges it and continues
        at 384 px. `style_size` applies to the last one.
    masks : image, ndarray (H, W), sequence of them, or None
        Where each style applies: floats from 0 to 1 or a gray image, one per style.
    rng : numpy.random.Generator or int, default 0
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    StyleTransfer

    Raises
    ------
    InputError
        If an argument cannot be used.
    ImageError
        If an image cannot be read.
    UnknownName
        If a preset, layer or optimizer is not known.

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.load()
    >>> content, style = npgrad.scenes.scene(0, 2, size=64)[0], npgrad.scenes.scene(1, 2, size=64)[0]
    >>> result = npgrad.synthesis.style_transfer(model, content, style, image_size=64, style_size=64, steps=2)
    >>> result.image.shape, sorted(result.losses)
    ((1, 3, 64, 64), ['content', 'style', 'tv'])
    """
    steps, rng = whole_number(steps, "steps", 0), generator(rng)
    chosen = presets.settings(
        presets.default_for(model) if preset is None else preset,
        image_size=image_size,
        style_size=style_size,
        content_layer=content_layer,
        content_weight=content_weight,
        style_layers=style_layers,
        style_weights=style_weights,
        tv_weight=tv_weight,
    )
    work = images.Images.of(
        model, content, style, sizes, image_size, style_size, chosen, style_blend, masks, original_colors
    )
    if any(value is None for value in chosen.values()):
        styles = [work.style_at(model, i, 0) for i in range(len(work.styles))]
        first = work.content_at(model, 0)
        chosen = fitted(model, chosen, first, styles, presets.growth(min(first.shape[2:])))
    weights = LossWeights.of(model, chosen, grow=style_weights is None)
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
    image = work.finished(model, run.image)
    layers = weights.content_layer, tuple(weights.style)
    return StyleTransfer(image, run.t, run.losses, run.interrupted, *layers)
