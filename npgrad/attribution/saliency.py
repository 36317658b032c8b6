"""Saliency: how much the score changes with each pixel (Simonyan, Vedaldi, Zisserman 2014)."""

from __future__ import annotations

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Rules, Target
from npgrad.attribution._common import score_gradients
from npgrad.model import Model


@explains_scores
def saliency(model: Model, x: Array, target: Target = None, rules: Rules = None) -> Array:
    """Compute the absolute gradient of the score, |d score / d x|.

    Simonyan, Vedaldi, Zisserman 2014, section 3. The score is the logit of each image's target, not its softmax
    probability, which also depends on the other classes. The paper reduces the result over channels by the
    maximum: ``saliency(model, x).max(axis=1)``.

    For one image and class c, written out:

        tape = model.forward(x)
        dy = np.zeros_like(tape.output)
        dy[0, c] = 1
        np.abs(tape.backward(dy)["input"])

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    rules : dict or None
        ``{layer type or name: rule}`` in place of layers' own backward, such as ``{ReLU: BetaSmooth()}``
        (`npgrad.rules`).

    Returns
    -------
    ndarray (N, C, H, W)
        Nonnegative, in the dtype of the scores.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If a rule's layer does not exist.

    Examples
    --------
    >>> import npgrad
    >>> from npgrad.attribution import saliency
    >>> model = npgrad.load()
    >>> image, label, mask = npgrad.scenes.scene(3)
    >>> x = model.preprocess(image)
    >>> saliency(model, x).max(axis=1).shape
    (1, 224, 224)
    """
    _, _, gradients = score_gradients(model, x, target, rules, any_rules=rules is not None)
    return np.abs(gradients["input"])
