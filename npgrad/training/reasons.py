"""Right for the right reasons (Ross, Hughes, Doshi-Velez 2017): a penalty of the gradients outside of the object.

The penalty depends on a gradient, so its own gradient with respect to the weights needs a second backward pass through
the first one. A difference of two ordinary ones replaces it: see `RightReasons`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._outputs import expect_classes, explained
from npgrad._parallel import threads as parallel
from npgrad._targets import class_count, one_hot
from npgrad._typing import Array
from npgrad._validate import expect_indices, not_negative, positive_number, whole_number
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.training.gradients import labeled

__all__ = ["RightReasons"]


@dataclass(frozen=True)
class RightReasons:
    """The share of a score's gradient outside of the object: ``train(..., penalty=RightReasons(5.0))``.

    With the gradient g of the target's score with respect to the image, and the object's mask m,

        penalty = weight * sum of |(1 - m) g| / sum of |g|,    averaged over the images

    Ross et al. penalize the squared gradient of the log-probabilities instead, equation 1. A share cannot be lowered by
    making all gradients small, and the score of a confident network still has one.

    With v, the penalty's gradient with respect to g, the chain rule gives the penalty's gradient with respect to the
    weights w as the derivative of g(x) . v, with v held constant. That is the change of the score along v, so it is a
    difference of two scores, whose gradients are ordinary ones (as in Pearlmutter 1994):

        d penalty / dw = d (g(x) . v) / dw = (d score(x + e v) / dw - d score(x - e v) / dw) / (2 e)

    Where no ReLU and no maximum changes between these two images, this is exact, since the score is linear there. With
    the default step, many change: then this is the gradient of a penalty that is smoothed over the step. For the
    bundled network and four scenes, it is 11 times as large, and lowers the penalty further than an equally long step
    along the exact one.

    Parameters
    ----------
    weight : float, default 1.0
        Weight of the penalty beside the cross-entropy.
    count : int or None
        How many images of each batch, the last ones. None: all.
    step : float, default 0.01
        The largest value of e v, in the units of the preprocessed image.

    Raises
    ------
    InputError
        An argument cannot be used.

    Examples
    --------
    >>> import npgrad
    >>> from npgrad import training
    >>> model = npgrad.load()
    >>> image, label, mask = npgrad.scenes.scene(0, 2, size=96)
    >>> x = model.preprocess(image, resize=False)
    >>> share, gradients = training.RightReasons()(model, x, np.array([label]), mask[None])
    >>> 0 < share < 1, gradients.keys() == model.parameters().keys()
    (True, True)
    """

    weight: float = 1.0
    count: int | None = None
    step: float = 0.01

    def __post_init__(self) -> None:
        not_negative(self.weight, "weight")
        positive_number(self.step, "step")
        if self.count is not None:
            whole_number(self.count, "count")

    def __call__(self, model: Model, x: Array, target: Array, mask: Array) -> tuple[float, dict[str, Array]]:
        """Return the penalty, and its gradient with respect to every parameter.

        Parameters
        ----------
        model : Model
            The network as it is at this step.
        x : ndarray (N, C, H, W)
            Preprocessed images.
        target : ndarray of int (N,)
            Their classes.
        mask : ndarray of bool or int (N, H, W)
            The pixels of each image's object, those that are not 0.

        Returns
        -------
        penalty : float
            The mean over the images, times the weight.
        gradients : dict of str to ndarray
            The penalty's gradient by parameter.

        Raises
        ------
        InputError, TargetError
            The batch cannot be used, the network has no classes, or the masks are not bools or whole numbers of the
            shape of the images.
        """
        expect_classes(model, "training")
        model, (x, target) = explained(model, declared=True), labeled(x, target)
        size, mask = (len(x), *x.shape[2:]), np.asarray(mask)
        if mask.dtype.kind not in "biu" or mask.shape != size:
            found = f"{mask.dtype} of shape {mask.shape}"
            raise InputError(f"mask: expected bools of shape {size}, found {found}")
        chosen = slice(-self.count if self.count else None, None)
        x, target, outside = x[chosen], target[chosen], (mask == 0)[chosen, None].astype(x.dtype)
        factor = self.weight / len(x)

        def run(part):
            return self._part(model, x[part], target[part], outside[part], factor)

        penalty, total = 0.0, {}
        for share, gradients in parallel.thread_imap(run, parallel.split_batch(x)):
            penalty += factor * share
            total = {name: total[name] + own if total else own for name, own in gradients.items()}
        return penalty, total

    def _part(self, model, x, target, outside, factor):
        """The sum of the shares of a few images, and its gradient times a factor."""
        tape = model.forward(x, keep=())
        expect_indices(target, class_count(model, tape.output))
        g = tape.backward(one_hot(model, tape.output, target))["input"]
        everywhere = np.maximum(_sums(np.abs(g)), np.finfo(g.dtype).tiny)
        share = _sums(outside * np.abs(g)) / everywhere
        v = np.sign(g) * (outside - share) / everywhere
        e = self.step / np.maximum(np.abs(v).max(axis=(1, 2, 3), keepdims=True), np.finfo(g.dtype).tiny)
        total: dict[str, Any] = {}
        for sign in (1, -1):
            tape = model.forward(x + sign * e * v, keep=())
            dy = one_hot(model, tape.output, target)
            dy *= np.reshape(sign * factor / (2 * e), (-1,) + (1,) * (dy.ndim - 1))
            own = tape.parameter_gradients(dy)
            total = {name: total[name] + array if total else array for name, array in own.items()}
        return float(share.sum()), total


def _sums(a):
    return a.sum(axis=(1, 2, 3), keepdims=True)
