"""Class visualization: from noise to the image that a class, a channel or a neuron answers to most strongly.

Two methods behind one function. "pixels" is the homework's: every pixel climbs, and jitter, blur, L2 and clamp keep
the image from becoming noise (Simonyan, Vedaldi, Zisserman 2014, eq. 2; Yosinski et al. 2015). "fourier" is the
modern one: the image is kept as waves of decorrelated colors, and the network sees it a little moved, turned and
enlarged at every step (Olah, Mordvintsev, Schubert 2017). Its forms are larger and calmer.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from npgrad import losses
from npgrad._validate import generator, not_negative, whole_number
from npgrad.errors import InputError, unknown
from npgrad.layers import ReLU
from npgrad.model import Model
from npgrad.optim import NormalizedAscent
from npgrad.synthesis._fourier import WaveAdam, Waves
from npgrad.synthesis._run import Run, Synthesis
from npgrad.synthesis._scores import probability, score_gradient
from npgrad.synthesis.fooling import image_limits
from npgrad.synthesis.transforms import affine, affine_backward, blur, jitter
from npgrad.tape import INPUT

DEFAULTS = {
    "pixels": {"l2_reg": 1e-3, "learning_rate": 25, "num_iterations": 100},  # the homework's
    "fourier": {"l2_reg": 0.03, "learning_rate": 0.04, "num_iterations": 150},
}
BLUR_SIGMA = 0.5
SCALES, ANGLES = (
    (0.9, 1.1),
    (-10, 10),
)  # how much a view of the fourier method is enlarged, and turned, in degrees
TRIES = 20


@dataclass(frozen=True, eq=False, repr=False)
class Visualization(Synthesis):
    """An image of what a class, or a channel or neuron of a layer, answers to.

    target: the class; None for a layer's channel. score: what was climbed, at the image as it is: the class's
    raw score, the mean of the channel's map, or the neuron. probability: the class's; None for a channel.
    draws: how many noises were drawn until one had a gradient.
    """

    target: int | None = None
    score: float = 0.0
    probability: float | None = None
    draws: int = 1

    def __repr__(self):
        name = "" if self.target is None else f"class {self.target}, probability {self.probability:.1%}; "
        size = f"{self.image.shape[2]}x{self.image.shape[3]} px"
        state = ", interrupted" if self.interrupted else ""
        return f"Visualization({name}score {self.score:.4g}; {size}, {self.steps} steps{state})"


def create_class_visualization(
    model,
    target=None,
    *,
    layer=None,
    channel=None,
    neuron=None,
    method="pixels",
    size=None,
    l2_reg=None,
    learning_rate=None,
    num_iterations=None,
    blur_every=10,
    max_jitter=16,
    rng=0,
    callback=None,
    checkpoint=None,
):
    """Climb score - l2_reg * ||I||^2 from noise: a Visualization with losses {"score", "l2"}.

    target: a class, by index or name; the score is its raw one. Or layer and channel: the mean of the channel's map;
    with neuron=(row, column) that place of the map alone. method: "pixels" or "fourier"; what is None is its default,
    see DEFAULTS (for the pixels of a layer l2_reg is 0). With "fourier", l2_reg is relative: the score's gradient is
    first brought to a root mean square of 1. size: the side in px (None: the network's own). blur_every: steps from
    one blur to the next ("pixels" only). max_jitter: px, the image is moved by at most so much. callback(step,
    image, losses), checkpoint: see `Run`.

    Noise on which the gradient is 0 everywhere is drawn again, up to 20 times, with a warning; then an InputError.
    """
    aim = Aim.at(model, target, layer, channel, neuron)
    if method not in DEFAULTS:
        raise unknown("method", method, DEFAULTS)
    if method == "pixels" and aim.layer is not None and l2_reg is None:
        l2_reg = 0.0  # the homework's weight is made for classes; it would keep most channels' images gray
    given = {"l2_reg": l2_reg, "learning_rate": learning_rate, "num_iterations": num_iterations}
    options = {key: DEFAULTS[method][key] if value is None else value for key, value in given.items()}
    for name in ("l2_reg", "learning_rate"):
        options[name] = not_negative(options[name], name)
    options["num_iterations"] = whole_number(options["num_iterations"], "num_iterations", 0)
    options["blur_every"] = whole_number(blur_every, "blur_every")
    options["max_jitter"] = whole_number(max_jitter, "max_jitter", 0)
    size = model.preprocessing.crop if size is None else whole_number(size, "size")
    climb = _climb_pixels if method == "pixels" else _climb_waves
    run, draws = climb(aim, size, generator(rng), callback, checkpoint, **options)
    return _report(aim, run, draws)


def _climb_pixels(
    aim, size, rng, callback, checkpoint, l2_reg, learning_rate, num_iterations, blur_every, max_jitter
):
    """The homework's ascent: jitter, a step of fixed length, jitter back, clamp, and at times blur."""
    dtype = _dtype(aim.model)
    x, draws = _draw(aim, lambda: rng.standard_normal((1, 3, size, size)).astype(dtype))
    ascent, limits = NormalizedAscent(learning_rate), image_limits(aim.model, x)
    settings = aim.settings(l2=l2_reg, rate=learning_rate, blur=blur_every, jitter=max_jitter)
    with Run(x, num_iterations, rng, ascent, callback, checkpoint, settings=settings) as run:
        for t in run:
            ox, oy = rng.integers(0, max_jitter, size=2, endpoint=True)
            image = jitter(run.image, ox, oy)
            score, dscore = aim.gradient(image)
            l2, dl2 = losses.l2_loss(image, l2_reg)
            image = ascent.step(image, dscore - dl2)
            image = np.clip(jitter(image, -ox, -oy), *limits)
            if t % blur_every == 0:
                image = blur(image, BLUR_SIGMA)
            run.update(image, {"score": score, "l2": l2})
    return run, draws


def _climb_waves(
    aim, size, rng, callback, checkpoint, l2_reg, learning_rate, num_iterations, max_jitter, **unused
):
    """The modern ascent: waves to image to a moved view of it, and the score's gradient all the way back."""
    waves = Waves(size, size, aim.model.preprocessing.mean, aim.model.preprocessing.std)
    spectrum, draws = _draw(
        aim, lambda: waves.noise(rng, _dtype(aim.model)), decode=lambda spectrum: waves.forward(spectrum)[0]
    )
    adam = WaveAdam(spectrum, learning_rate)
    settings = aim.settings(l2=l2_reg, rate=learning_rate, jitter=max_jitter, method="fourier")
    image, waves_cache = waves.forward(spectrum)
    with Run(image, num_iterations, rng, adam, callback, checkpoint, settings=settings) as run:
        image, waves_cache = waves.forward(adam.spectrum)  # a checkpoint's, if there is one
        for _ in run:
            scale, angle = rng.uniform(*SCALES), rng.uniform(*ANGLES)
            shift = rng.uniform(-max_jitter / 2, max_jitter / 2, size=2)
            view, view_cache = affine(image, scale, angle, shift)
            score, dview = aim.gradient(view)
            dscore = affine_backward(dview, view_cache)
            rms = (
                np.sqrt(np.mean(dscore * dscore)) or 1
            )  # divided by it, l2_reg means the same at every layer
            l2, dl2 = losses.l2_loss(image, l2_reg)
            adam.climb(waves.backward(dscore / rms - dl2, waves_cache))
            image, waves_cache = waves.forward(adam.spectrum)
            run.update(image, {"score": score, "l2": l2})
    return run, draws


@dataclass(frozen=True, eq=False)
class Aim:
    """What an image is to climb: the score of class `target`, or the mean over `place` in a layer's activation."""

    model: Model
    target: int | None = None
    layer: str | None = None
    place: tuple = ()

    @classmethod
    def at(cls, model, target, layer, channel, neuron):
        """The Aim that the arguments of `create_class_visualization` name; InputError if they name none, or two."""
        if (target is None) == (layer is None):
            found = "neither" if target is None else "both"
            raise InputError(f"expected a target, or a layer with a channel; found {found}")
        if target is not None:
            if channel is not None or neuron is not None:
                raise InputError("channel and neuron belong to a layer; found a target")
            return cls(model, target=model.class_index(target))
        place = (whole_number(channel, "channel", 0),)
        if neuron is not None:
            if not isinstance(neuron, (tuple, list)) or len(neuron) != 2:
                raise InputError(f"neuron: expected (row, column), found {neuron!r}")
            place += tuple(whole_number(i, "neuron", 0) for i in neuron)
        layer = model.resolve(layer)
        if layer == INPUT:
            raise InputError("layer: expected a layer of the network, found 'input'")
        return cls(model, layer=layer, place=place)

    def gradient(self, x):
        """(score, d score / d x) of an image x (1, C, H, W).

        Where a ReLU has shut it off, score and gradient 0, the gradient is that without this ReLU: how to wake it up.
        """
        if self.layer is None:
            tape, dx = score_gradient(self.model, x, self.target)
            return tape.output[0, self.target], dx
        tape = self.model.forward(x, upto=self.layer, keep=self.layer)
        y = tape[self.layer]
        score, seed = self._mean(y)
        dx = tape.backward({self.layer: seed})["input"]
        if score == 0 and not dx.any():
            dx = tape.backward({self.layer: seed}, rules={ReLU: _open_if_shut})["input"]
        return score, dx

    def _mean(self, y):
        """The mean of y (1, C, H, W) over the place, and its gradient by y."""
        names = ("channel", "row", "column")[: len(self.place)]
        for name, i, count in zip(names, self.place, y.shape[1:], strict=False):
            if i >= count:
                raise InputError(f"{name}: expected 0 to {count - 1} at {self.layer}, found {i}")
        if len(self.place) > y.ndim - 1:
            raise InputError(f"neuron: {self.layer} has no rows and columns, its output is {y.shape}")
        part = (0, *self.place)
        seed = np.zeros_like(y)
        seed[part] = 1 / y[part].size
        return y[part].mean(), seed

    def settings(self, **more):
        """What a checkpoint has to agree with."""
        aim = {"target": self.target, "layer": self.layer, "place": self.place}
        return {"make": "visualization", "model": self.model, **aim, **more}


def _open_if_shut(record, dy):
    """A rule: a ReLU that would stop the whole gradient lets it through."""
    dx = record.layer.backward(dy, record.cache)
    return dx if dx.any() else dy


def _draw(aim, noise, decode=lambda noise: noise):
    """(noise that has a gradient, how many were drawn)."""
    for draws in range(1, TRIES + 1):
        x = noise()
        if aim.gradient(decode(x))[1].any():
            if draws > 1:
                warnings.warn(f"the gradient is 0 on noise: drawn again, {draws} times in all", stacklevel=4)
            return x, draws
    raise InputError(f"{TRIES} images of noise, and the gradient is 0 on each: nothing can be climbed")


def _report(aim, run, draws):
    found = {"image": run.image, "steps": run.t, "losses": run.losses, "interrupted": run.interrupted}
    if aim.layer is not None:
        return Visualization(**found, score=float(aim.gradient(run.image)[0]), draws=draws)
    logits = aim.model(run.image)
    return Visualization(
        **found,
        target=aim.target,
        score=float(logits[0, aim.target]),
        probability=probability(logits, aim.target),
        draws=draws,
    )


def _dtype(model):
    """The dtype of the weights, and so of the image."""
    return next((array.dtype for array in model.parameters().values()), np.dtype(np.float32))
