"""TracIn (Pruthi, Liu, Sundararajan, Kale 2020): which training examples made the network answer as it does."""

import os
from collections.abc import Sequence

import numpy as np

from npgrad._outputs import expect_classes, explained
from npgrad._parallel import threads as parallel
from npgrad._parallel.batches import BUDGET, batches
from npgrad._typing import Array, Path, Progress
from npgrad._validate import check_input, is_number
from npgrad.errors import InputError
from npgrad.io import checkpoints as files
from npgrad.model import Model
from npgrad.training.gradients import loss_and_gradient

__all__ = ["checkpoint_model", "tracin"]


def tracin(
    model: Model,
    checkpoints: Sequence[Model | Path],
    x: Array,
    target: Sequence[int | str] | Array,
    x_test: Array | None = None,
    target_test: Sequence[int | str] | Array | None = None,
    learning_rates: float | Sequence[float] = 1.0,
    layers: Sequence[str] | None = None,
    progress: Progress = None,
) -> Array:
    """Compute how much each training example lowered, or raised, the loss of test examples.

    TracInCP, section 3.2 of the paper: a step of gradient descent on example z changes the loss of z' by about
    -rate * dloss(z) . dloss(z'), so that over checkpoints w_i

        influence(z, z') = sum over i of rate_i * dloss(w_i, z) . dloss(w_i, z')

    with dloss the gradient of the cross-entropy of one example with respect to the parameters. Positive: the example is
    a proponent, training on it lowers the loss of z'. Negative: an opponent. Each gradient comes from one backward pass
    in inference mode, and the dot products are exact: nothing is projected or approximated.

    Parameters
    ----------
    model : Model
        The network, for the architecture of the checkpoints.
    checkpoints : sequence of Model or path
        The states of the network in training, in any order: models, or checkpoint files of `train`. To collect them,
        train with ``validate=models.append, validate_every=...``.
    x : ndarray (N, C, H, W)
        Preprocessed training images.
    target : sequence of int or str (N,)
        Their classes, as in training.
    x_test : ndarray (M, C, H, W) or None
        Preprocessed test images. None: the self-influence of each training example, which is high for examples that
        only they themselves explain, such as mislabeled ones.
    target_test : sequence of int or str (M,), or None
        The classes of the test images.
    learning_rates : float or sequence of float, default 1.0
        The learning rate at each checkpoint, or of all.
    layers : sequence of str or None
        Layers whose parameters count, such as the last one, which takes less time and memory. None: all.
    progress : callable or None
        Called with (done, total), counted in training examples and checkpoints.

    Returns
    -------
    ndarray (M, N), float64
        The influence of each training example on each test example; (N,) of each on itself if there is no x_test.

    Raises
    ------
    InputError, UnknownName
        An argument or file cannot be used; there is no such layer or class.
    """
    rates = _rates(learning_rates, checkpoints)
    x, target = _examples(model, x, target, "target")
    alone = x_test is None
    if alone and target_test is not None:
        raise InputError("target_test: expected None without x_test, found classes")
    if not alone:
        x_test, target_test = _examples(model, x_test, target_test, "target_test")
    kept = _parameters(model, layers)
    influence = np.zeros(len(x) if alone else (len(x_test), len(x)))
    size = sum(model.parameters()[name].nbytes for name in kept)
    at_once = max(1, BUDGET // max(size, 1))  # examples whose gradients fit into memory
    parts = [None] if alone else [slice(k, k + at_once) for k in range(0, len(x_test), at_once)]
    done, total = 0, len(checkpoints) * len(parts) * len(x)
    for checkpoint, rate in zip(checkpoints, rates, strict=True):
        state = _state(model, checkpoint)
        for part in parts:
            tests = (
                None
                if alone
                else np.stack(list(_gradients(state, x_test[part], target_test[part], kept, at_once)))
            )
            for i, gradient in enumerate(_gradients(state, x, target, kept, at_once)):
                if alone:
                    influence[i] += rate * float(gradient @ gradient)
                else:
                    influence[part, i] += rate * (tests @ gradient).astype(np.float64)
                done += 1
                if progress is not None:
                    progress(done, total)
    return influence


def checkpoint_model(model: Model, path: Path) -> Model:
    """Return the network as a checkpoint of `train` has it.

    Parameters
    ----------
    model : Model
        A network of the same architecture, such as the one that training began with.
    path : str or path
        The checkpoint file.

    Returns
    -------
    Model

    Raises
    ------
    InputError, UnknownName
        There is no such file, it is not a checkpoint of training, or it is one of another architecture.
    """
    stored = files.read(path, None)
    if stored is None:
        raise InputError(f"{os.fspath(path)}: expected a checkpoint, found no such file")
    arrays = {
        name.removeprefix("model/"): array for name, array in stored[0].items() if name.startswith("model/")
    }
    missing = sorted(set(model.network.arrays(buffers=True)) - set(arrays))
    if missing:
        raise files.damaged(path, f"it has no {missing[0]}, which the network has")
    return model.with_parameters(arrays)


def _gradients(model, x, target, kept, at_once):
    """The gradient of each example's loss with respect to the parameters `kept`, as one vector."""

    def of_one(i):
        tape = model.forward(x[i : i + 1], keep=())
        _, _, dy = loss_and_gradient(model, tape.output, target[i : i + 1])
        gradients = tape.parameter_gradients(dy)
        return np.concatenate([gradients[name].ravel() for name in kept])

    for rows in batches(len(x), at_once):  # threads may be done with all of them before the first is used
        yield from parallel.thread_imap(of_one, rows)


def _state(model, checkpoint):
    if not isinstance(checkpoint, (Model, str, os.PathLike)):
        raise InputError(f"checkpoints: expected models or files, found {type(checkpoint).__name__}")
    state = checkpoint if isinstance(checkpoint, Model) else checkpoint_model(model, checkpoint)
    return explained(state, declared=True)


def _rates(learning_rates, checkpoints):
    if not isinstance(checkpoints, (list, tuple)) or not checkpoints:
        raise InputError(f"checkpoints: expected a list of models or files, found {checkpoints!r:.60}")
    rates = [learning_rates] * len(checkpoints) if np.ndim(learning_rates) == 0 else list(learning_rates)
    if len(rates) != len(checkpoints) or not all(is_number(rate) and np.isfinite(rate) for rate in rates):
        count = len(checkpoints)
        raise InputError(
            f"learning_rates: expected a number, or {count}, one per checkpoint; found {learning_rates!r:.60}"
        )
    return rates


def _examples(model, x, target, name):
    """(x checked, the class indices)."""
    expect_classes(model, "tracin")
    x = check_input(x)
    if np.ndim(target) != 1 or len(target) != len(x):
        raise InputError(f"{name}: expected {len(x)} classes, one per image, found shape {np.shape(target)}")
    return x, np.array([model.class_index(one) for one in target])


def _parameters(model, layers):
    """The names of the parameters of the layers."""
    if layers is None:
        kept = list(model.parameters())
    else:
        if isinstance(layers, str) or not layers:
            raise InputError(f"layers: expected a list of names, found {layers!r}")
        owners = tuple(f"{model.resolve(name)}." for name in layers)
        kept = [name for name in model.parameters() if name.startswith(owners)]
    if not kept:
        raise InputError("layers: expected layers with parameters, found none")
    return kept
