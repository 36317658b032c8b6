"""The training loop: a batch, its gradients, a step of the optimizer."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._blas import same_threads
from npgrad._typing import Array, Path, Rng
from npgrad._validate import all_finite, generator, whole_number
from npgrad.errors import InputError
from npgrad.io import checkpoints
from npgrad.model import Model
from npgrad.optim import Adam, Optimizer
from npgrad.training.gradients import batch_gradients, labeled

__all__ = ["Training", "train"]


@dataclass(frozen=True, eq=False)
class Training:
    """The result of training.

    Attributes
    ----------
    model : Model
        The trained network.
    steps : int
        Number of steps taken.
    losses, accuracies : list of float
        Loss and accuracy on each step's batch, before the step.
    validations : list of (int, object)
        (step, return value of `validate`).
    interrupted : bool
        Whether Ctrl-C ended training early.
    """

    model: Model
    steps: int
    losses: list
    accuracies: list
    validations: list
    interrupted: bool = False


@same_threads()
def train(
    model: Model,
    batch: Callable[[int], tuple[Array, ...]],
    steps: int,
    optimizer: Optimizer | None = None,
    parts: int | None = None,
    rng: Rng = 0,
    attack: Callable[[Model, Array, Array, Rng, int], Array] | None = None,
    penalty: Callable[..., tuple[float, dict[str, Array]]] | None = None,
    validate: Callable[[Model], Any] | None = None,
    validate_every: int = 500,
    callback: Callable[[int, dict[str, float]], object] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 200,
) -> Training:
    """Train a network by minimizing the cross-entropy.

    Ctrl-C ends training early and returns the result so far.

    Parameters
    ----------
    model : Model
        The network; it is not modified.
    batch : callable
        Step t = 0, 1, ... -> (x (N, C, H, W), preprocessed; target (N,), class indices; more arrays for the penalty).
        For a checkpoint, it must depend on t only.
    steps : int
        Number of steps.
    optimizer : npgrad.optim.Optimizer or None
        None: Adam(1e-3).
    parts : int or None
        See `batch_gradients`.
    rng : numpy.random.Generator or int, default 0
        For the dropout masks and the attack.
    attack : callable or None
        Adversarial training: (model, x, target, rng, step) -> the images to train on instead of x, such as `Attack`.
    penalty : callable or None
        (model, x, target, more arrays of the batch) -> (number, its gradients by parameter), such as `RightReasons`;
        added to the cross-entropy's gradients. Its x is not attacked.
    validate : callable or None
        Called with the model every `validate_every` steps and after the last one. With a checkpoint, its return value
        must be of numbers, strings, lists and dicts.
    validate_every : int, default 500
    callback : callable or None
        Called after each step with (step, {"loss", "accuracy", "rate"}); the rate is in images per second. With a
        penalty, "penalty" is another entry.
    checkpoint : path or None
        A file written every `checkpoint_every` steps, at Ctrl-C and at the end. If it exists, training resumes from it:
        bit-identically on the same machine with the same versions and settings.
    checkpoint_every : int, default 200

    Returns
    -------
    Training

    Raises
    ------
    InputError
        If an argument or a batch cannot be used, or the loss or the weights are no longer finite because the learning
        rate is too high.

    Examples
    --------
    >>> from npgrad import Model, layers, training
    >>> parts = {"conv": layers.Conv2d.init(3, 4, 3, rng=0), "relu": layers.ReLU(), "mean": layers.GlobalAvgPool2d()}
    >>> net = Model(layers.Sequential({**parts, "fc": layers.Linear.init(4, 2, rng=1)}))
    >>> x = np.random.default_rng(2).standard_normal((8, 3, 6, 6)).astype(np.float32)
    >>> result = training.train(net, lambda t: (x, np.arange(8) % 2), steps=20)
    >>> result.losses[-1] < result.losses[0]
    True
    """
    steps = whole_number(steps, "steps", 0)
    parts = None if parts is None else whole_number(parts, "parts")
    validate_every = whole_number(validate_every, "validate_every")
    checkpoint_every = whole_number(checkpoint_every, "checkpoint_every")
    optimizer, rng = Adam(1e-3) if optimizer is None else optimizer, generator(rng)
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"optimizer: expected one of npgrad.optim, such as Adam(1e-3), found {optimizer!r}")
    given = {"attack": attack, "penalty": penalty, "validate": validate, "callback": callback}
    for name, value in given.items():
        if value is not None and not callable(value):
            raise InputError(f"{name}: expected a function, found {value!r:.60}")
    settings = {"steps": steps, "parts": parts, "attack": attack, "penalty": penalty}
    state = _State(model, optimizer, rng, checkpoint, settings)
    interrupted = False

    def validate_when_due():
        due = state.t % validate_every == 0 or state.t == steps
        if validate is not None and state.t and due and state.t not in dict(state.validations):
            state.validations.append((state.t, _validation(validate(state.model), checkpoint)))

    try:
        validate_when_due()  # Ctrl-C may have come between the last step and its validation
        while state.t < steps:
            began = time.perf_counter()
            x, target, more = _batch(batch, state.t)
            seed, added, seen = int(rng.integers(2**63)), {}, {}
            if penalty is not None:
                seen["penalty"], added = penalty(state.model, x, target, *more)
            if attack is not None:
                x = attack(state.model, x, target, rng, state.t)
            loss, right, gradients, statistics = batch_gradients(state.model, x, target, seed, parts)
            if odd := sorted(added.keys() - gradients.keys()):
                raise InputError(f"penalty: expected gradients of parameters, found one of {', '.join(odd)}")
            gradients |= {name: gradients[name] + array for name, array in added.items()}
            if not np.isfinite(loss):
                raise InputError(
                    f"training: the loss is {loss} at step {state.t}; a lower learning rate may help"
                )
            state.step(gradients, statistics, loss, right / len(x))
            rate = len(x) / (time.perf_counter() - began)
            validate_when_due()
            if callback is not None:
                callback(state.t, {"loss": loss, "accuracy": right / len(x), "rate": rate, **seen})
            if checkpoint is not None and (state.t % checkpoint_every == 0 or state.t == steps):
                state.save()
    except KeyboardInterrupt:
        interrupted = True
        if checkpoint is not None:
            state.save()
    return Training(state.model, state.t, state.losses, state.accuracies, state.validations, interrupted)


def _batch(batch, t):
    """(x, target, the rest) of step t; an InputError that names the step for anything else."""
    found = batch(t)
    if not isinstance(found, (tuple, list)) or len(found) < 2:
        raise InputError(f"batch({t}): expected (images, class indices), found {type(found).__name__}")
    x, target, *more = found
    try:
        return *labeled(x, target), more
    except InputError as error:
        raise InputError(f"batch({t}): {error}") from None


def _validation(value, checkpoint):
    """What `validate` returned; with a checkpoint, as it will be after resuming, so that both runs return the same."""
    if checkpoint is None:
        return value
    try:
        return json.loads(json.dumps(value, default=lambda scalar: scalar.item()))
    except (TypeError, ValueError, AttributeError):
        raise InputError(
            f"validate: expected numbers, strings, lists or dicts, which a checkpoint can hold; found {value!r:.60}"
        ) from None


class _State:
    """Everything that a step changes: the parameters, the optimizer's state, the generator, the curves."""

    def __init__(self, model, optimizer, rng, path, settings):
        self.model, self.optimizer, self.rng = model, optimizer, rng
        self.t, self.losses, self.accuracies, self.validations = 0, [], [], []
        self._path = path
        if path is not None:
            made = [type(optimizer).__name__, optimizer.settings]
            start = {"model": model, "optimizer": made, "rng": rng.bit_generator.state}
            self._settings = checkpoints.fingerprint({**start, **settings})
            stored = checkpoints.read(path, self._settings)
            if stored is not None:
                self._restore(*stored)
        self._kept = self._snapshot()
        if path is not None:
            self.save()  # a path that cannot be written to is reported before the work, not after it

    def step(self, gradients, statistics, loss, accuracy):
        before = self.model.parameters()
        parameters = self.optimizer.step(before, gradients)
        parameters = {
            name: array.astype(before[name].dtype, copy=False) for name, array in parameters.items()
        }
        broken = [name for name, array in parameters.items() if not all_finite(array)]
        if broken:
            raise InputError(
                f"training: {broken[0]} is no longer finite after step {self.t}; a lower learning rate may help"
            )
        self.model = self.model.with_parameters({**parameters, **statistics})
        self.t += 1
        self.losses.append(float(loss))
        self.accuracies.append(float(accuracy))
        self._kept = self._snapshot()

    def _snapshot(self):
        """The latest complete state, by reference: no array is ever modified in place."""
        return self.model, self.optimizer.state, self.rng.bit_generator.state, self.t

    def save(self):
        model, optimizer, rng, t = self._kept
        arrays = {f"model/{name}": array for name, array in model.network.arrays(buffers=True).items()}
        arrays |= {f"optimizer/{name}": np.asarray(value) for name, value in optimizer.items()}
        arrays |= {"losses": np.array(self.losses[:t]), "accuracies": np.array(self.accuracies[:t])}
        validations = [entry for entry in self.validations if entry[0] <= t]
        checkpoints.write(
            self._path, self._settings, arrays, {"rng": rng, "t": t, "validations": validations}
        )

    def _restore(self, arrays, rest):
        def group(prefix):
            return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}

        self.model = self.model.with_parameters(group("model/"))
        self.optimizer.state = group("optimizer/")
        self.rng.bit_generator.state = rest["rng"]
        self.t, self.validations = rest["t"], [tuple(entry) for entry in rest["validations"]]
        self.losses, self.accuracies = arrays["losses"].tolist(), arrays["accuracies"].tolist()
