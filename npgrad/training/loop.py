"""Training: a batch, its gradients, a step of the optimizer, again."""

import time
from dataclasses import dataclass

import numpy as np

from npgrad._validate import generator, whole_number
from npgrad.errors import InputError
from npgrad.io import checkpoints
from npgrad.model import Model
from npgrad.optim import Adam
from npgrad.training.gradients import batch_gradients


@dataclass(frozen=True, eq=False)
class Training:
    """What training made. model: the trained one. losses, accuracies: of every step's batch, before the step.

    validations: [(step, what `validate` returned)]. interrupted: True if Ctrl-C ended it early.
    """

    model: Model
    steps: int
    losses: list
    accuracies: list
    validations: list
    interrupted: bool = False


def train(
    model,
    batch,
    steps,
    optimizer=None,
    parts=None,
    rng=0,
    validate=None,
    validate_every=500,
    callback=None,
    checkpoint=None,
    checkpoint_every=200,
):
    """Train a model by cross-entropy and the hand-written gradients: a Training. The model given stays as it was.

    batch: a function of the step t = 0, 1, ... -> (x (N, C, H, W) normalized, target (N,)). optimizer: see
    npgrad.optim; default Adam(1e-3). parts: see `batch_gradients`. rng: draws the dropout masks. validate: a
    function of the model, called every `validate_every` steps. callback(step, {"loss", "accuracy", "rate"}) after
    every step; the rate is in images a second.

    checkpoint: a file written every `checkpoint_every` steps, at Ctrl-C and at the end; if it exists, training goes on
    from it, and ends with the same bits as without the interruption. What `batch` gives for a step must
    depend on nothing but the step. Ctrl-C ends training early and keeps what there is.

    InputError if the loss is no longer finite: the learning rate was too high.
    """
    steps = whole_number(steps, "steps", 0)
    parts = None if parts is None else whole_number(parts, "parts")
    optimizer, rng = optimizer or Adam(1e-3), generator(rng)
    state = _State(model, optimizer, rng, checkpoint, {"steps": steps, "parts": parts})
    interrupted = False

    def validate_when_due():
        due = state.t % validate_every == 0 or state.t == steps
        if validate is not None and state.t and due and state.t not in dict(state.validations):
            state.validations.append((state.t, validate(state.model)))

    try:
        validate_when_due()  # for Ctrl-C may have come between the last step and its validation
        while state.t < steps:
            began = time.perf_counter()
            x, target = batch(state.t)
            seed = int(rng.integers(2**63))
            loss, right, gradients, statistics = batch_gradients(state.model, x, target, seed, parts)
            if not np.isfinite(loss):
                raise InputError(
                    f"training: the loss is {loss} at step {state.t}; a lower learning rate may help"
                )
            state.step(gradients, statistics, loss, right / len(x))
            rate = len(x) / (time.perf_counter() - began)
            validate_when_due()
            if callback is not None:
                callback(state.t, {"loss": loss, "accuracy": right / len(x), "rate": rate})
            if checkpoint is not None and (state.t % checkpoint_every == 0 or state.t == steps):
                state.save()
    except KeyboardInterrupt:
        interrupted = True
        if checkpoint is not None:
            state.save()
    return Training(state.model, state.t, state.losses, state.accuracies, state.validations, interrupted)


class _State:
    """All that a step changes: the parameters, what the optimizer remembers, the generator, the curve."""

    def __init__(self, model, optimizer, rng, path, settings):
        self.model, self.optimizer, self.rng = model, optimizer, rng
        self.t, self.losses, self.accuracies, self.validations = 0, [], [], []
        self._path = path
        if path is not None:
            begin = {"model": model, "optimizer": type(optimizer).__name__, "rng": rng.bit_generator.state}
            self._settings = checkpoints.fingerprint({**begin, **settings})
            stored = checkpoints.read(path, self._settings)
            if stored is not None:
                self._restore(*stored)
        self._kept = self._now()
        if path is not None:
            self.save()  # a place that cannot be written is found out before the work, not after

    def step(self, gradients, statistics, loss, accuracy):
        parameters = self.optimizer.step(self.model.parameters(), gradients)
        self.model = self.model.with_parameters({**parameters, **statistics})
        self.t += 1
        self.losses.append(float(loss))
        self.accuracies.append(float(accuracy))
        self._kept = self._now()

    def _now(self):
        """References only: no array is ever changed in place."""
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
