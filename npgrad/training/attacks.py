"""Adversarial training (Madry et al. 2018): each batch is replaced by the worst images near it, found by gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npgrad._balls import NORMS, into_ball, random_in_ball, steepest
from npgrad._outputs import expect_classes, explained
from npgrad._parallel import threads as parallel
from npgrad._typing import Array, Rng
from npgrad._validate import generator, not_negative, one_of, whole_number
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.synthesis.pixels import image_limits, pixel_std
from npgrad.training.gradients import labeled, loss_and_gradient

__all__ = ["Attack", "ramp"]


@dataclass(frozen=True)
class Attack:
    """Projected gradient descent on a whole batch, as `train` applies it: ``train(..., attack=Attack("l2", 1.0))``.

    The inner maximization of section 2.1 of the paper, by the same steps as `npgrad.synthesis.pgd`:

        min over w of the mean over (x, y) of   max over |d| <= radius of   loss(w, x + d, y)

    Parameters
    ----------
    norm : {"linf", "l2"}, default "linf"
        "linf" bounds the change of every pixel value, "l2" the Euclidean norm of each image's change.
    radius : float or callable, default 8/255
        Radius of the ball in pixel values on the scale 0 to 1, or a schedule: a function of the training step. `ramp`
        makes one that rises from 0.
    steps : int, default 1
        Steps of the attack; 0 is the random start alone. One step with a random start is the fast adversarial training
        of Wong, Rice, Kolter 2020.
    step_size : float or None
        Length of a step, as a multiple of the radius. None: 1.25 for one step, as in that paper's section 5; otherwise
        2.5 / steps, as in Madry's appendix.
    random_start : bool, default True
        Start from a random point of the ball.
    share : float, default 1.0
        The share of each batch that is attacked, its first images; the others stay as they are.

    Raises
    ------
    InputError
        An argument cannot be used.

    Examples
    --------
    >>> import npgrad
    >>> from npgrad import training
    >>> model = npgrad.load()
    >>> image, label, _ = npgrad.scenes.scene(0, 2, size=96)
    >>> x = model.preprocess(image, resize=False)
    >>> worst = training.Attack("linf", 2 / 255)(model, x, np.array([label]), rng=0)
    >>> float(np.abs((worst - x) * npgrad.images.IMAGENET["std"][0]).max()) < 2.3 / 255
    True
    """

    norm: str = "linf"
    radius: float | Callable[[int], float] = 8 / 255
    steps: int = 1
    step_size: float | None = None
    random_start: bool = True
    share: float = 1.0

    def __post_init__(self) -> None:
        one_of(self.norm, "norm", NORMS)
        whole_number(self.steps, "steps", 0)
        if not callable(self.radius):
            not_negative(self.radius, "radius")
        if self.step_size is not None:
            not_negative(self.step_size, "step_size")
        if not 0 <= not_negative(self.share, "share") <= 1:
            raise InputError(f"share: expected a number from 0 to 1, found {self.share}")

    def __call__(self, model: Model, x: Array, target: Array, rng: Rng = 0, step: int = 0) -> Array:
        """Return the batch with its first images replaced by attacked ones.

        Every value stays within what an image file can hold, unless x itself exceeds it. The network is in inference
        mode: BatchNorm uses its running statistics, and dropout is off.

        Parameters
        ----------
        model : Model
            The network as it is at this step.
        x : ndarray (N, C, H, W)
            Preprocessed images.
        target : ndarray of int (N,)
            Their classes.
        rng : numpy.random.Generator or int, default 0
            For the random start.
        step : int, default 0
            The step of the training, for the radius's schedule.

        Returns
        -------
        ndarray (N, C, H, W)

        Raises
        ------
        InputError, TargetError
            The batch cannot be used, or the network has no classes.
        """
        expect_classes(model, "training")
        model, (x, target) = explained(model, declared=True), labeled(x, target)
        count = int(np.ceil(round(self.share * len(x), 9)))  # 0.07 * 100 is 7.000000000000001
        radius = not_negative(self.radius(step) if callable(self.radius) else self.radius, "radius")
        if not count or not radius:
            return x
        clean, target, std = x[:count], target[:count], pixel_std(model, x)
        low, high = image_limits(model, clean)
        low, high = np.minimum(low, clean), np.maximum(high, clean)
        start = clean
        if self.random_start:
            start = np.clip(clean + random_in_ball(generator(rng), clean, radius, self.norm) / std, low, high)

        def attacked(part):
            return self._climb(
                model, clean[part], start[part], target[part], radius, std, low[part], high[part]
            )

        parts = parallel.thread_map(attacked, parallel.split_batch(clean))
        return np.concatenate([*parts, x[count:]])

    def _climb(self, model, clean, x, target, radius, std, low, high):
        length = (1.25 if self.steps == 1 else 2.5 / max(self.steps, 1)) * radius
        if self.step_size is not None:
            length = self.step_size * radius
        for _ in range(self.steps):
            tape = model.forward(x, keep=())
            dx = tape.backward(loss_and_gradient(model, tape.output, target)[2])["input"]
            change = (x - clean) * std  # in pixel values; the gradient with respect to these is dx / std
            change = into_ball(change + length * steepest(dx / std, self.norm), radius, self.norm)
            x = np.clip(clean + change / std, low, high)
        return x


def ramp(radius: float, steps: int) -> Callable[[int], float]:
    """Return a schedule that rises linearly from 0, for a network that would collapse under the full attack.

    Parameters
    ----------
    radius : float
        The last radius.
    steps : int
        The number of steps after which it is reached.

    Returns
    -------
    callable
        The radius as a function of the training step.

    Raises
    ------
    InputError
        If the radius is negative, or the number of steps is not a whole number above 0.

    Examples
    --------
    >>> schedule = ramp(8.0, 4)
    >>> [schedule(t) for t in range(6)]
    [0.0, 2.0, 4.0, 6.0, 8.0, 8.0]
    """
    return _Ramp(not_negative(radius, "radius"), whole_number(steps, "steps"))


@dataclass(frozen=True)
class _Ramp:
    """An object instead of a closure, so that a checkpoint can tell it from another one."""

    radius: float
    steps: int

    def __call__(self, t):
        return self.radius * min(1.0, max(0, t) / self.steps)
