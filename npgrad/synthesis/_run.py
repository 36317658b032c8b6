"""The loop over the steps of one image, shared by all synthesis functions.

    with Run(x, steps=200, callback=callback, checkpoint="night.ckpt") as run:
        for t in run:
            x = run.image ...
            run.update(x, {"content": 3.1, "tv": 0.2})
    run.image, run.t, run.losses, run.interrupted

A run counts the steps, calls the callback, writes checkpoints, and keeps the latest image when it is interrupted.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from npgrad._blas import same_threads
from npgrad._typing import Array
from npgrad._validate import generator, whole_number
from npgrad.errors import InputError, NotWritten, level_outside
from npgrad.io import checkpoints

Callback: TypeAlias = Callable[[int, Array, dict[str, Any]], object] | None
"""Called with (step, image, losses)."""


@dataclass(frozen=True, eq=False)
class Synthesis:
    """The result of a synthesis.

    Attributes
    ----------
    image : ndarray (1, 3, H, W)
        The normalized image; ``model.deprocess(image)`` returns pixels.
    steps : int
        Number of steps taken.
    losses : dict of str to list of float
        Each loss at every step.
    interrupted : bool
        Whether Ctrl-C ended the run early; `image` is then the latest one.
    """

    image: np.ndarray
    steps: int
    losses: dict
    interrupted: bool = False

    def __repr__(self):
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.losses.items() if values)
        state = ", interrupted" if self.interrupted else ""
        size = f"{self.image.shape[2]}x{self.image.shape[3]} px"
        return f"{type(self).__name__}({size}, {self.steps} steps{state}{'; ' * bool(last)}{last})"


class Run:
    """The loop over the steps of one image.

    A KeyboardInterrupt, from Ctrl-C or from the callback, ends the `with` block without an error.

    Parameters
    ----------
    x : ndarray (1, 3, H, W)
        The first image, unless the checkpoint holds a later one.
    steps : int
        Number of steps.
    rng : Generator, int or None
        The source of the steps' random numbers. Its state is part of a checkpoint. None: a resumed run continues with
        the checkpoint's generator, whatever seed it had.
    optimizer : object with a `state`, or None
        What the steps remember. Its state is part of a checkpoint.
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every `every` steps, at Ctrl-C and at the end. If it exists, the run resumes from it, and the
        result is bit-identical to that of an uninterrupted run with the same machine, versions and settings.
    every : int, default 50
    settings : dict or None
        Everything else that decides the result. A checkpoint made with other settings is refused.
    """

    def __init__(
        self, x, steps, rng=None, optimizer=None, callback=None, checkpoint=None, every=50, settings=None
    ):
        self.steps = whole_number(steps, "steps", 0)
        self.rng = generator(rng)
        self.optimizer = optimizer
        self.image, self.t, self.losses = _channels_last(x), 0, {}
        self.interrupted = self.finished = False
        self._callback, self._path, self._every = callback, checkpoint, every
        if checkpoint is not None:
            rng_state = None if rng is None else self.rng.bit_generator.state
            start = {"start": x, "steps": self.steps, "rng": rng_state}
            self._settings = checkpoints.fingerprint({**start, **(settings or {})})
            stored = checkpoints.read(checkpoint, self._settings)
            if stored is not None:
                self._restore(*stored)
        self._kept = self._state()
        if checkpoint is not None:
            self._save()  # a path that cannot be written to is reported before the work, not after it

    def __iter__(self):
        while self.t < self.steps and not self.finished:
            yield self.t

    def update(self, image, losses=None, finished=False):
        """End a step with its image and {name: loss}; `finished` ends the run."""
        self.finished = finished
        self._record(image, losses or {})
        self._kept = self._state()
        self._call_back(losses or {})
        self._save_when_due()

    def show(self, image, losses):
        """Count and report a step within a round that can only be resumed as a whole (L-BFGS)."""
        self._record(image, losses)
        self._call_back(losses)

    def keep(self, image, t):
        """End a round at step `t`; a checkpoint resumes from here."""
        self.image, self.t = _channels_last(image), t
        self._kept = self._state()
        self._save_when_due()

    def _record(self, image, losses):
        self.image, self.t = _channels_last(image), self.t + 1
        for name, value in losses.items():
            self.losses.setdefault(name, []).append(float(value))

    def _call_back(self, losses):
        if self._callback is not None:
            self._callback(self.t, self.image, losses)

    def _state(self):
        """Everything needed to resume from here. Nothing in it is modified in place, so it needs no copies."""
        return {
            "image": self.image,
            "optimizer": {} if self.optimizer is None else self.optimizer.state,
            "rng": self.rng.bit_generator.state,
            "t": self.t,
            "finished": self.finished,
            "recorded": {name: len(values) for name, values in self.losses.items()},
        }

    def _restore(self, arrays, rest):
        try:
            self.image = _channels_last(arrays.pop("image"))
            self.t, self.finished = int(rest["t"]), bool(rest["finished"])
            self.losses = {name: list(map(float, values)) for name, values in rest["losses"].items()}
            self.rng.bit_generator.state = rest["rng"]
            if self.optimizer is not None:
                remembered = {name.removeprefix("optimizer/"): array for name, array in arrays.items()}
                self.optimizer.state = remembered
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise checkpoints.damaged(self._path, error) from None

    def _save_when_due(self):
        if self._path is not None and (self.t % self._every == 0 or self.finished or self.t >= self.steps):
            self._save_or_warn()

    def _save_or_warn(self):
        """A disk that fills up during the run costs the checkpoint, not the image."""
        try:
            self._save()
        except InputError as error:
            warnings.warn(f"{error}; the run goes on without it", NotWritten, stacklevel=level_outside())

    def _save(self):
        """Write the last complete state; steps shown since then are not part of it."""
        kept = self._kept
        arrays = {f"optimizer/{name}": array for name, array in kept["optimizer"].items()}
        rest = {name: kept[name] for name in ("rng", "t", "finished")}
        rest["losses"] = {name: self.losses[name][:count] for name, count in kept["recorded"].items()}
        checkpoints.write(self._path, self._settings, {"image": kept["image"], **arrays}, rest)
        self._saved = kept

    def __enter__(self):
        self._threads = same_threads(self._path is not None)
        self._threads.__enter__()
        return self

    def __exit__(self, kind, error, traceback):
        self._threads.__exit__(None, None, None)
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.interrupted = interrupted
        if self._path is not None and (kind is None or interrupted) and self._saved is not self._kept:
            self._save_or_warn()
        return interrupted


def _channels_last(image):
    """The same image in one memory order: the last bits of sums depend on it, and a checkpoint does not store it."""
    if image.ndim != 4:
        return image
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
