"""DeepDream: whatever a layer sees in an image, more of it (Mordvintsev, Olah, Tyka 2015, "Inceptionism")."""

import numpy as np

from npgrad._validate import generator, not_negative, whole_number
from npgrad.errors import InputError, TooSmall
from npgrad.images.resize import resize_map
from npgrad.synthesis._run import Run, Synthesis
from npgrad.synthesis._scores import one_image
from npgrad.synthesis.fooling import image_limits
from npgrad.synthesis.transforms import jitter
from npgrad.tape import INPUT


def deep_dream(
    model,
    x,
    layer,
    *,
    channel=None,
    octaves=4,
    octave_scale=1.4,
    steps=10,
    learning_rate=0.02,
    max_jitter=32,
    rng=0,
    callback=None,
    checkpoint=None,
):
    """Climb half the sum of a layer's squared activations: a Synthesis with losses {"activation"}.

        x += learning_rate * g / mean |g|

    Half of a square has the activation itself as its gradient, so what is seen strongly grows fastest. layer: low
    ones (fire2) dream of strokes and spots, high ones (fire6 to fire9) of eyes and animals. channel: climb it alone.

    x: one image (1, 3, H, W), normalized. octaves: how many sizes, each `octave_scale` times the one before, the
    last that of x; what was dreamt at one is enlarged and put into the next, so that there are forms of all
    sizes. steps: in each octave. max_jitter: px, moves the image under the network at each step. Values stay within
    what an image can hold. callback(step, image, losses) sees each octave at its own size; checkpoint: see `Run`.
    """
    x, layer, rng = one_image(x), model.resolve(layer), generator(rng)
    (
        whole_number(octaves, "octaves"),
        whole_number(steps, "steps"),
        not_negative(learning_rate, "learning_rate"),
    )
    whole_number(max_jitter, "max_jitter", 0), not_negative(octave_scale, "octave_scale")
    if octave_scale < 1:
        raise InputError(f"octave_scale: expected a number >= 1, found {octave_scale!r}")
    if layer == INPUT:
        raise InputError("layer: expected a layer of the network, found 'input'")
    if channel is not None:
        whole_number(channel, "channel", 0)
    images = [_resized(x, _size(x, octave_scale**-k)) for k in reversed(range(octaves))]
    _check_smallest(model, images[0], layer)
    limits = image_limits(model, x)
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
            activation, seed = _activation(tape[layer], layer, channel)
            g = jitter(tape.backward({layer: seed})["input"], -ox, -oy)
            image = image + learning_rate * g / (np.abs(g).mean() or 1)
            run.update(np.clip(image, *limits), {"activation": activation})
    image = run.image
    if run.interrupted and run.t <= (octaves - 1) * steps:  # in a smaller octave
        image = np.clip(_carried(image, images[max(0, run.t - 1) // steps], x), *limits)
    return Synthesis(image, run.t, run.losses, run.interrupted)


def _check_smallest(model, image, layer):
    """Say of a network that the smallest octave is too small for that it is the octaves that are too many."""
    try:
        model.forward(image, upto=layer)
    except TooSmall as error:
        height, width = image.shape[2:]
        raise TooSmall(f"octaves: the smallest is {height}x{width} px: {error}") from None


def _activation(y, layer, channel):
    """Half the sum of y^2, of one channel or all, and its gradient: y itself there, else 0."""
    if channel is None:
        return np.sum(y * y) / 2, y
    if channel >= y.shape[1]:
        raise InputError(f"channel: expected 0 to {y.shape[1] - 1} at {layer}, found {channel}")
    seed = np.zeros_like(y)
    seed[:, channel] = y[:, channel]
    return np.sum(seed * seed) / 2, seed


def _carried(image, before, after):
    """What was dreamt into the smaller image `before`, enlarged and put into the larger one, `after`."""
    return after + _resized(image - before, after.shape[2:])


def _size(x, scale):
    return tuple(max(1, round(side * scale)) for side in x.shape[2:])


def _resized(x, size):
    return x if x.shape[2:] == tuple(size) else resize_map(x[0], size, "bilinear")[None]
