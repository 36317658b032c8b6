"""Attributions of one backward pass: input times gradient, guided backpropagation and deconvolution."""

from __future__ import annotations

from npgrad._outputs import explains_scores
from npgrad._targets import scores
from npgrad._typing import Array, Rules, Target
from npgrad._validate import check_input
from npgrad.attribution._common import score_gradients
from npgrad.attribution._copies import per_sample
from npgrad.attribution._rule_tables import at_relus
from npgrad.model import Model
from npgrad.rules import deconv, guided


@explains_scores
def input_x_gradient(model: Model, x: Array, target: Target = None, rules: Rules = None) -> Array:
    """Compute the input times the gradient of the score, x * d score / d x.

    Each entry is what that value of x contributes to the score of a network linearized around x (Shrikumar,
    Greenside, Shcherbina, Kundaje 2016).

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
        Signed.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If a rule's layer does not exist.
    """
    _, _, gradients = score_gradients(model, x, target, rules, any_rules=rules is not None)
    return check_input(x) * gradients["input"]


@explains_scores
def guided_backprop(model: Model, x: Array, target: Target = None) -> Array:
    """Compute the gradient of the score with guided backpropagation at every ReLU.

    A ReLU passes on dy * (dy > 0) * (its input > 0), only positive gradients at active units (Springenberg,
    Dosovitskiy, Brox, Riedmiller 2015, section 3.4; see `npgrad.rules.guided`). The result shows sharp edges and
    depends little on the class (Adebayo et al. 2018).

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    _, _, gradients = score_gradients(model, x, target, rules=at_relus(model, guided))
    return gradients["input"]


@explains_scores
def deconvolution(model: Model, x: Array, target: Target = None) -> Array:
    """Compute the gradient of the score with the deconvolutional network's rule at every ReLU.

    A ReLU passes on dy * (dy > 0), whether its unit is active or not (Zeiler, Fergus 2014, section 2.1; see
    `npgrad.rules.deconv`). Max pooling routes gradients to its maxima (the paper's switches), as in any backward
    pass. The paper uses the score itself as the upstream gradient instead of 1; apart from the scale, this
    matters only where the score is 0, for which the result is 0 here, too.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    logits, targets, gradients = score_gradients(model, x, target, rules=at_relus(model, deconv))
    alive = scores(model, logits, targets) != 0  # the rule ignores that the last ReLU is inactive
    return gradients["input"] * per_sample(alive, gradients["input"])
