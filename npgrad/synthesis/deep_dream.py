"""DeepDream: amplify what a layer responds to in an image (Mordvintsev, Olah, Tyka 2015, "Inceptionism")."""

import numpy as np

from npgrad._typing import Array, Path, Rng
from npgrad._validate import generator, not_negative, one_image, whole_number
from npgrad.errors import InputError, TooSmall
from npgrad.images.resize import resize_map
from npgrad.model import Model
from npgrad.synthesis._run import Callback, Run, Synthesis
from npgrad.synthesis.pixels import image_limits, standardization
from npgrad.synthesis.transforms import jitter
from npgrad.tape import INPUT

__all__ = ["deep_dream"]


def deep_dream(
    model: Model,
    x: Array,
    layer: str,
    *,
    channel: int | None = None,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    learning_rate: float = 0.02,
    max_jitter: int = 32,
    rng: Rng = 0,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> Synthesis:
    """Maximize half the sum of a layer's squared activations by gradient ascent on the image.

        x += learning_rate * g / mean |g|

    The gradient of half a square is the activation itself, so strong responses grow fastest.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, 3, H, W)
        A preprocessed image.
    layer : str
        Name of the layer. In SqueezeNet, low layers (fire2) give strokes and dots, high ones (fire6 to fire9) eyes
        and animals.
    channel : int or None
        Maximize this channel only. None: all channels.
    octaves : int, default 4
        Number of image sizes, the last being that of x. The change made at one size is enlarged and added to the next,
        which gives structures of all sizes.
    octave_scale : float, default 1.4
        Ratio of consecutive sizes, >= 1.
    steps : int, default 10
        Number of steps at each size.
    learning_rate : float, default 0.02
        Mean change of a value per step, in normalized units.
    max_jitter : int, default 32
        Largest random shift at each step, in px.
    rng : numpy.random.Generator or int, default 0
    callback : callable or None
        Called after each step with (step, image, losses); the image has the current size. It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    Synthesis
        With losses "activation". All values are within the range of an image file.

    Raises
    ------
    InputError
        If an argument cannot be used.
    TooSmall
        If the smallest size is too small for the network.
    UnknownName
        If there is no such layer.
    """
    x, layer, rng = one_image(x), model.resolve(layer), generator(rng)
    whole_number(octaves, "octaves")
    whole_number(steps, "steps")
    not_negative(learning_rate, "learning_rate")
    whole_number(max_jitter, "max_jitter", 0)
    not_negative(octave_scale, "octave_scale")
    if octave_scale < 1:
        raise InputError(f"octave_scale: expected a number >= 1, found {octave_scale!r}")
    if layer == INPUT:
        raise InputError("layer: expected a layer of the network, found 'input'")
    if channel is not None:
        whole_number(channel, "channel", 0)
    images = [_resized(x, _size(x, octave_scale**-k)) for k in reversed(range(octaves))]
    _check_smallest(model, images[0], layer)
    limits, (unit, _) = image_limits(model, x), standardization(model, x)
    settings = {
        "make": "dream",
        "model": model,
        "image": x,
        "layer": layer,
        "channel": channel,
        "octaves": [octaves, float(octave_scale)],
        "rate": float(learning_rate),
        "jitter": max_jitter,
    }
    with Run(images[0], octaves * steps, rng, None, callback, checkpoint, settings=settings) as run:
        for t in run:
            octave, image = t // steps, run.image
            if octave and t % steps == 0:
                image = _carried(image, images[octave - 1], images[octave])
            ox, oy = rng.integers(-max_jitter, max_jitter, size=2, endpoint=True)
            tape = model.forward(jitter(image, ox, oy), upto=layer, keep=())
            activation, dy = _activation(tape[layer], layer, channel)
            g = jitter(tape.backward({layer: dy})["input"], -ox, -oy)
            image = image + unit * learning_rate * g / (np.abs(g).mean() or 1)
            run.update(np.clip(image, *limits), {"activation": activation})
    image = run.image
    if run.interrupted and run.t <= (octaves - 1) * steps:  # at a smaller size
        image = np.clip(_carried(image, images[max(0, run.t - 1) // steps], x), *limits)
    return Synthesis(image, run.t, run.losses, run.interrupted)


def _check_smallest(model, image, layer):
    """Raise an error that names the octaves if the smallest one is too small for the network."""
    try:
        model.forward(image, upto=layer)
    except TooSmall as error:
        height, width = image.shape[2:]
        raise TooSmall(f"octaves: the smallest is {height}x{width} px: {error}") from None


def _activation(y, layer, channel):
    """Half the sum of y^2 over one channel or all, and its gradient: y there, 0 elsewhere."""
    if channel is None:
        return np.sum(y * y) / 2, y
    if channel >= y.shape[1]:
        raise InputError(f"channel: expected 0 to {y.shape[1] - 1} at {layer}, found {channel}")
    dy = np.zeros_like(y)
    dy[:, channel] = y[:, channel]
    return np.sum(dy * dy) / 2, dy


def _carried(image, before, after):
    """The change of `image` from `before`, enlarged and added to the larger `after`."""
    return after + _resized(image - before, after.shape[2:])


def _size(x, scale):
    return tuple(max(1, round(side * scale)) for side in x.shape[2:])


def _resized(x, size):
    return x if x.shape[2:] == tuple(size) else resize_map(x[0], size, "bilinear")[None]
