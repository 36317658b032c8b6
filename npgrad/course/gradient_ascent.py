"""Q1.3b and Q1.4: images that climb a class's score."""

import importlib.util

import numpy as np

from npgrad import losses, synthesis
from npgrad._validate import whole_number
from npgrad.course.images import deprocess
from npgrad.optim import NormalizedAscent
from npgrad.synthesis import transforms
from npgrad.synthesis._scores import one_image, score_gradient


def make_fooling_image(X, target_y, model, learning_rate=10, max_iter=100):
    """Q1.3b: X (1, 3, H, W) changed, by steps of fixed length up the target's score, until the target is the top class.

    The same shape; X itself stays as it is. CS231n takes learning_rate 1. Stops after max_iter steps, fooled or
    not; npgrad.synthesis.make_fooling_image says which.
    """
    options = {"learning_rate": learning_rate, "max_iter": max_iter, "rounded": False}
    return synthesis.make_fooling_image(model, X, target_y, **options).image


def make_fool_image(X, target_y, model, learning_rate=10, max_iter=100):
    """`make_fooling_image` by its other name."""
    return make_fooling_image(X, target_y, model, learning_rate, max_iter)


def class_visualization_update_step(img, model, target_y, l2_reg, learning_rate):
    """Q1.4: one step up s_y - l2_reg * ||img||^2: img + learning_rate * g / ||g||, a new array.

    img (1, 3, H, W). Where the final ReLU has shut the class off, g is taken past it; else there is nothing to climb.
    """
    img = one_image(img, "img")
    _, dscore = score_gradient(model, img, model.class_index(target_y))
    _, dl2 = losses.l2_loss(img, l2_reg)
    return NormalizedAscent(learning_rate).step(img, dscore - dl2)


def create_class_visualization(
    target_y,
    model,
    l2_reg=1e-3,
    learning_rate=25,
    num_iterations=100,
    blur_every=10,
    max_jitter=16,
    show_every=25,
    rng=None,
    size=224,
    show=None,
):
    """Q1.4: an image, made from noise, that the network takes for class target_y; a PIL image, from `deprocess`.

    Each step: jitter by 0..max_jitter px each way, `class_visualization_update_step`, jitter back, clamp to what a
    image can hold, and every blur_every steps blur. show_every: show(image, step) sees the first step's
    image, that of every so many steps, and the last; by default it is drawn with matplotlib, if that is installed,
    and 0 shows none. Noise on which the class is dead is drawn again, with a warning.
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


def jitter(X, ox, oy):
    """X (N, 3, H, W) moved ox pixels to the right and oy down; what leaves on one side comes in on the other."""
    return transforms.jitter(X, ox, oy)


def blur_image(X, sigma=1):
    """X (N, 3, H, W) blurred by a Gaussian of `sigma` pixels along H and W."""
    return transforms.blur(X, sigma)


def _plot(model, target_y, num_iterations):
    """A function that draws a step's image with matplotlib, as the course does; None where there is none."""
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
