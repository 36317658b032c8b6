"""Q1.3b and Q1.4: fooling images and class visualization, by gradient ascent on a class's score."""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from npgrad import losses, synthesis
from npgrad._typing import Array, Rng
from npgrad._validate import one_image, whole_number
from npgrad.course.images import deprocess
from npgrad.model import Model
from npgrad.optim import NormalizedAscent
from npgrad.synthesis import transforms
from npgrad.synthesis.scores import score_gradient

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


def make_fooling_image(
    X: Array, target_y: int | str, model: Model, learning_rate: float = 10, max_iter: int = 100
) -> Array:
    """Change an image until the network's top class is the target (Q1.3b).

    Each step is X + learning_rate * g / ||g||, with g the gradient of the target's score (Szegedy et al. 2014).

    Parameters
    ----------
    X : ndarray (1, 3, H, W)
        A preprocessed image. It is not modified.
    target_y : int or str
        The target class, by index or name.
    model : Model
        The network.
    learning_rate : float, default 10
        The length of a step. CS231n uses 1.
    max_iter : int, default 100
        The largest number of steps.

    Returns
    -------
    ndarray (1, 3, H, W)
        The first image whose top class is the target, or the last one if there is none after max_iter steps.
        `npgrad.synthesis.make_fooling_image` also reports whether it succeeded.
    """
    options = {"learning_rate": learning_rate, "max_iter": max_iter, "rounded": False}
    return synthesis.make_fooling_image(model, X, target_y, **options).image


def make_fool_image(
    X: Array, target_y: int | str, model: Model, learning_rate: float = 10, max_iter: int = 100
) -> Array:
    """Change an image until the network's top class is the target: another name of `make_fooling_image`.

    Parameters
    ----------
    X : ndarray (1, 3, H, W)
        A preprocessed image. It is not modified.
    target_y : int or str
        The target class, by index or name.
    model : Model
        The network.
    learning_rate : float, default 10
        The length of a step.
    max_iter : int, default 100
        The largest number of steps.

    Returns
    -------
    ndarray (1, 3, H, W)
    """
    return make_fooling_image(X, target_y, model, learning_rate, max_iter)


def class_visualization_update_step(
    img: Array, model: Model, target_y: int | str, l2_reg: float, learning_rate: float
) -> Array:
    """Take one step of gradient ascent on s_y - l2_reg * ||img||^2 (Q1.4).

    The step is img + learning_rate * g / ||g||, with g = d s_y / d img - 2 * l2_reg * img (Simonyan, Vedaldi,
    Zisserman 2014, section 2).

    Parameters
    ----------
    img : ndarray (1, 3, H, W)
        The image. It is not modified.
    model : Model
        The network.
    target_y : int or str
        The target class, by index or name.
    l2_reg : float
        Weight of the L2 regularization.
    learning_rate : float
        The length of the step.

    Returns
    -------
    ndarray (1, 3, H, W)

    Notes
    -----
    If the network ends with a ReLU whose output for the class is 0 everywhere, the gradient of the score is 0. Then
    the gradient of that ReLU's input is used.
    """
    img = one_image(img, "img")
    _, dscore = score_gradient(model, img, model.class_index(target_y))
    _, dl2 = losses.l2_loss(img, l2_reg)
    return NormalizedAscent(learning_rate).step(img, dscore - dl2)


def create_class_visualization(
    target_y: int | str,
    model: Model,
    l2_reg: float = 1e-3,
    learning_rate: float = 25,
    num_iterations: int = 100,
    blur_every: int = 10,
    max_jitter: int = 16,
    show_every: int = 25,
    rng: Rng = None,
    size: int = 224,
    show: Callable[["PILImage", int], object] | None = None,
) -> "PILImage":
    """Generate an image that maximizes a class's score, starting from noise (Q1.4).

    Each iteration: jitter, `class_visualization_update_step`, undo the jitter, clamp each channel to the values that
    an image can hold, and every `blur_every` iterations blur (Yosinski et al. 2015).

    Parameters
    ----------
    target_y : int or str
        The target class, by index or name.
    model : Model
        The network.
    l2_reg : float, default 1e-3
        Weight of the L2 regularization.
    learning_rate : float, default 25
        The length of a step.
    num_iterations : int, default 100
        The number of steps.
    blur_every : int, default 10
        How often the image is blurred (sigma 0.5).
    max_jitter : int, default 16
        The largest shift in pixels, to the right and down.
    show_every : int, default 25
        How often the image is shown; the first and the last one are always shown. 0: never.
    rng : numpy.random.Generator or int, default None
        The random generator, or its seed, for the noise and the shifts. None: different ones each time.
    size : int, default 224
        Height and width of the image.
    show : callable or None
        Called with (PIL image, iteration). None: the image is drawn with matplotlib, if that is installed.

    Returns
    -------
    PIL.Image.Image
        The last image, as `deprocess` returns it.

    Warns
    -----
    UserWarning
        If the class's score has no gradient at the noise, so that the noise had to be drawn again.
    """
    whole_number(show_every, "show_every", 0)
    show = show or _plot(model, target_y, num_iterations)

    def see(step, image, losses):
        if show_every and (step in (1, num_iterations) or step % show_every == 0):
            show(deprocess(image), step)

    result = synthesis.create_class_visualization(
        model,
        target_y,
        size=size,
        l2_reg=l2_reg,
        learning_rate=learning_rate,
        num_iterations=num_iterations,
        blur_every=blur_every,
        max_jitter=max_jitter,
        rng=rng,
        callback=see if show else None,
    )
    return deprocess(result.image)


def jitter(X: Array, ox: int, oy: int) -> Array:
    """Shift images cyclically: pixels that leave on one side enter on the other (Q1.4).

    Parameters
    ----------
    X : ndarray (N, 3, H, W)
        The images.
    ox, oy : int
        Pixels to the right, and down.

    Returns
    -------
    ndarray (N, 3, H, W)

    Examples
    --------
    >>> jitter(np.arange(4.0).reshape(1, 1, 1, 4), ox=1, oy=0)
    array([[[[3., 0., 1., 2.]]]])
    """
    return transforms.jitter(X, ox, oy)


def blur_image(X: Array, sigma: float = 1) -> Array:
    """Blur images with a Gaussian along height and width (Q1.4).

    Parameters
    ----------
    X : ndarray (N, 3, H, W)
        The images.
    sigma : float, default 1
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    ndarray (N, 3, H, W)
    """
    return transforms.blur(X, sigma)


def _plot(model, target_y, num_iterations):
    """A function that draws an image with matplotlib, as in the course; None if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    name = model.class_name(model.class_index(target_y))

    def plot(image, step):
        import matplotlib.pyplot as plt

        plt.imshow(np.asarray(image))
        plt.title(f"{name}\nIteration {step} / {num_iterations}")
        plt.axis("off")
        plt.show()

    return plot
