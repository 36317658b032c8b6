"""Class visualization: from noise to an image that a class, a channel or a neuron responds to strongly.

There are two methods. "pixels" is the homework's: gradient ascent on the pixels, where jitter, blur, an L2 penalty and
clipping keep the image from becoming noise (Simonyan, Vedaldi, Zisserman 2014, eq. 2; Yosinski et al. 2015). "fourier"
represents the image by a Fourier spectrum of decorrelated colors, and shifts, rotates and scales it randomly at every
step (Olah, Mordvintsev, Schubert 2017). Its forms are larger and smoother.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npgrad import losses
from npgrad._targets import scores
from npgrad._typing import Path, Question, Rng
from npgrad._validate import generator, not_negative, pair, whole_number
from npgrad.errors import InputError, unknown
from npgrad.model import Model
from npgrad.optim import NormalizedAscent
from npgrad.synthesis._aim import Aim, float_type
from npgrad.synthesis._fourier import SpectrumAdam, Waves
from npgrad.synthesis._run import Callback, Run, Synthesis
from npgrad.synthesis._scores import probability
from npgrad.synthesis.pixels import image_limits, standardization
from npgrad.synthesis.transforms import affine, affine_backward, blur, jitter

__all__ = ["DEFAULTS", "Visualization", "create_class_visualization"]

DEFAULTS = {
    "pixels": {"l2_reg": 1e-3, "learning_rate": 25, "num_iterations": 100, "contrast": 0.0},  # the homework's
    "fourier": {"l2_reg": 0.03, "learning_rate": 0.04, "num_iterations": 150, "contrast": 0.6},
}
BLUR_SIGMA = 0.5
SCALES, ANGLES = (
    (0.9, 1.1),
    (-10, 10),
)  # the ranges of the fourier method's random scales, and angles in degrees


@dataclass(frozen=True, eq=False, repr=False)
class Visualization(Synthesis):
    """An image that a class, a channel or a neuron responds to.

    Attributes
    ----------
    image, steps, losses, interrupted
        See `Synthesis`.
    target : int or None
        The class. None for a layer.
    score : float
        The final score: the class's raw score, the mean of the channel's map, or the neuron's activation.
    probability : float or None
        Probability of the class. None for a layer, and for a value.
    draws : int
        Number of noise images drawn until one had a nonzero gradient.
    """

    target: int | None = None
    score: float = 0.0
    probability: float | None = None
    draws: int = 1

    def __repr__(self):
        name = "" if self.target is None else f"output {self.target}; "
        if self.probability is not None:
            name = f"class {self.target}, probability {self.probability:.1%}; "
        size = f"{self.image.shape[2]}x{self.image.shape[3]} px"
        state = ", interrupted" if self.interrupted else ""
        return f"Visualization({name}score {self.score:.4g}; {size}, {self.steps} steps{state})"


def create_class_visualization(
    model: Model,
    target: int | str | Question | None = None,
    *,
    layer: str | None = None,
    channel: int | None = None,
    neuron: Sequence[int] | None = None,
    method: str = "pixels",
    size: int | tuple[int, int] | None = None,
    l2_reg: float | None = None,
    learning_rate: float | None = None,
    num_iterations: int | None = None,
    contrast: float | None = None,
    blur_every: int = 10,
    max_jitter: int = 16,
    rng: Rng = 0,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> Visualization:
    """Maximize score(I) - l2_reg * ||I||^2 from noise (Simonyan, Vedaldi, Zisserman 2014, eq. 2).

    Give either a target, or a layer with a channel. With a contrast, a class competes with the others:

        score_c(I) - contrast * log(sum over j != c of exp(score_j(I))) - l2_reg * ||I||^2

    where 0 is the paper's objective and 1 is the log-odds of the class. Without a contrast, an image has much of what
    the class shares with others; with 1, it has only what sets the class apart.

    Parameters
    ----------
    model : Model
        The network.
    target : int, str, callable or None
        The class by index or name, whose raw score is maximized, or another question, such as "tabby - tiger cat"; see
        `npgrad.targets`.
    layer : str or None
        Name of the layer; the mean of the channel's map is maximized.
    channel : int or None
        Channel of the layer.
    neuron : (int, int) or None
        Row and column of the channel's map; only this activation is maximized.
    method : {"pixels", "fourier"}, default "pixels"
        What is optimized: the pixels, or a Fourier spectrum.
    size : int, (int, int) or None
        Height and width in px; one number for both. None: the size that the preprocessing crops to.
    l2_reg : float or None
        Weight of the penalty. With "fourier", it is relative to the score's gradient, which is first scaled to a root
        mean square of 1. None: the method's value in DEFAULTS, but 0 for the pixels of a layer.
    learning_rate : float or None
        Length of a step ("pixels"), or Adam's learning rate ("fourier"). None: the value in DEFAULTS.
    num_iterations : int or None
        Number of steps. None: the value in DEFAULTS.
    contrast : float or None
        Weight of the other classes' scores, for a network of more than two exclusive classes. None: the value in
        DEFAULTS, and 0 for layers, questions and other networks, for which a larger one is refused.
    blur_every : int, default 10
        Steps from one blur to the next; "pixels" only.
    max_jitter : int, default 16
        Largest random shift in px ("pixels"); "fourier" shifts by up to half of it in each direction.
    rng : numpy.random.Generator or int, default 0
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    Visualization
        With losses "score" and "l2".

    Raises
    ------
    InputError
        If an argument cannot be used, or the gradient is 0 on 20 noise images in a row. Fewer give a warning.
    TargetError, UnknownName
        If target, layer or method is not known.

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.load()
    >>> result = npgrad.synthesis.create_class_visualization(model, "key", size=96, num_iterations=20)
    >>> result.image.shape, result.losses["score"][-1] > result.losses["score"][0]
    ((1, 3, 96, 96), True)
    """
    if not isinstance(method, str) or method not in DEFAULTS:
        raise unknown("method", method, DEFAULTS)
    if method == "pixels" and layer is not None and l2_reg is None:
        l2_reg = 0.0  # the homework's weight is tuned for classes; it would leave most channels' images gray
    given = {"l2_reg": l2_reg, "learning_rate": learning_rate, "num_iterations": num_iterations}
    given["contrast"] = contrast
    options = {key: DEFAULTS[method][key] if value is None else value for key, value in given.items()}
    for name in ("l2_reg", "learning_rate", "contrast"):
        options[name] = not_negative(options[name], name)
    options["num_iterations"] = whole_number(options["num_iterations"], "num_iterations", 0)
    options["blur_every"] = whole_number(blur_every, "blur_every")
    options["max_jitter"] = whole_number(max_jitter, "max_jitter", 0)
    size = model.preprocessing.size if size is None else pair(size, "size")
    aim = Aim.at(model, target, layer, channel, neuron, size, options.pop("contrast"))
    if contrast and not aim.contrast:
        found = f"layer {aim.layer}" if aim.layer else f"target {target!r:.60}"
        raise InputError(f"contrast: expected one of more than two exclusive classes, found {found}")
    ascend = _ascend_pixels if method == "pixels" else _ascend_spectrum
    run, draws = ascend(aim, size, generator(rng), callback, checkpoint, **options)
    return _report(aim, run, draws)


def _ascend_pixels(
    aim, size, rng, callback, checkpoint, l2_reg, learning_rate, num_iterations, blur_every, max_jitter
):
    """The homework's ascent: shift, a step of fixed length, shift back, clip, and periodically blur."""
    dtype = float_type(aim.model)
    shape = (1, len(aim.model.preprocessing.mean), *size)
    unit, origin = standardization(aim.model, np.empty(0, dtype))
    x, draws = aim.draw(lambda: unit * rng.standard_normal(shape).astype(dtype) + origin)
    ascent, limits = NormalizedAscent(unit * learning_rate), image_limits(aim.model, x)
    settings = aim.settings(l2=l2_reg, rate=learning_rate, blur=blur_every, jitter=max_jitter)
    with Run(x, num_iterations, rng, ascent, callback, checkpoint, settings=settings) as run:
        for t in run:
            ox, oy = rng.integers(0, max_jitter, size=2, endpoint=True)
            image = jitter(run.image, ox, oy)
            score, dscore = aim.gradient(image)
            l2, dl2 = losses.l2_loss(image - origin, l2_reg / unit**2)
            image = ascent.step(image, dscore - dl2)
            image = np.clip(jitter(image, -ox, -oy), *limits)
            if t % blur_every == 0:
                image = blur(image, BLUR_SIGMA)
            run.update(image, {"score": score, "l2": l2})
    return run, draws


def _ascend_spectrum(
    aim, size, rng, callback, checkpoint, l2_reg, learning_rate, num_iterations, max_jitter, **unused
):
    """The spectrum gives the image, the image a transformed view; backward through all three."""
    seen = aim.model.preprocessing
    waves = Waves(*size, seen.pixel_mean, seen.pixel_std, channels=seen.channels)
    unit, origin = standardization(aim.model, np.empty(0, float_type(aim.model)))
    spectrum, draws = aim.draw(
        lambda: waves.noise(rng, float_type(aim.model)), decode=lambda spectrum: waves.forward(spectrum)[0]
    )
    adam = SpectrumAdam(spectrum, learning_rate)
    settings = aim.settings(l2=l2_reg, rate=learning_rate, jitter=max_jitter, method="fourier")
    image, cache = waves.forward(spectrum)
    with Run(image, num_iterations, rng, adam, callback, checkpoint, settings=settings) as run:
        image, cache = waves.forward(adam.spectrum)  # a checkpoint's, if there is one
        for _ in run:
            scale, angle = rng.uniform(*SCALES), rng.uniform(*ANGLES)
            shift = rng.uniform(-max_jitter / 2, max_jitter / 2, size=2)
            view, view_cache = affine(image - origin, scale, angle, shift)  # around the image, it is 0
            score, dview = aim.gradient(view + origin)
            dscore = affine_backward(dview, view_cache)
            rms = (
                np.sqrt(np.mean(dscore * dscore)) or 1
            )  # dividing by it makes l2_reg comparable across layers
            l2, dl2 = losses.l2_loss((image - origin) / unit, l2_reg)
            adam.ascend(waves.backward(dscore / rms - dl2, cache))
            image, cache = waves.forward(adam.spectrum)
            run.update(image, {"score": score, "l2": l2})
    return run, draws


def _report(aim, run, draws):
    found = {"image": run.image, "steps": run.t, "losses": run.losses, "interrupted": run.interrupted}
    if aim.layer is not None:
        return Visualization(**found, score=float(aim.gradient(run.image)[0]), draws=draws)
    outputs = aim.model(run.image)
    return Visualization(
        **found,
        target=aim.target,
        score=float(scores(aim.model, outputs, aim.target)[0]),
        probability=probability(aim.model, outputs, aim.target),
        draws=draws,
    )
