"""Attributions of one backward pass: the gradient times the input, or with another rule at the ReLUs."""

from npgrad._targets import scores
from npgrad._validate import check_input
from npgrad.attribution._common import score_gradients
from npgrad.attribution._copies import per_sample
from npgrad.layers import ReLU
from npgrad.rules import deconv, guided


def input_x_gradient(model, x, target=None):
    """x * d score / d x, signed, of the shape of x (N, C, H, W).

    What each value of x contributes to the score if the network is taken as linear around x (Shrikumar,
    Greenside, Shcherbina, Kundaje 2016). The score is the logit of each image's target (None: the top
    class).
    """
    _, _, gradients = score_gradients(model, x, target)
    return check_input(x) * gradients["input"]


def guided_backprop(model, x, target=None):
    """The gradient of the score, where each ReLU passes back only what is positive and where it was open.

    Signed, of the shape of x (N, C, H, W). Springenberg, Dosovitskiy, Brox, Riedmiller 2015, section 3.4.
    It draws sharp edges and depends little on the class (Adebayo et al. 2018).
    """
    _, _, gradients = score_gradients(model, x, target, rules={ReLU: guided})
    return gradients["input"]


def deconvolution(model, x, target=None):
    """The gradient of the score, where each ReLU passes back only what is positive, open or not.

    Signed, of the shape of x (N, C, H, W). Zeiler, Fergus 2014, section 2.1; pooling goes back to where
    its maxima were (their switches), as in any backward pass. They put in the score itself rather than 1:
    here only a score of 0 makes the difference, and gives 0.
    """
    logits, targets, gradients = score_gradients(model, x, target, rules={ReLU: deconv})
    alive = scores(logits, targets) != 0  # its rule does not see that the last ReLU is shut
    return gradients["input"] * per_sample(alive, gradients["input"])
