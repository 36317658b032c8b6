"""An image in the making: what every generator's loop shares, so that each loop shows its own steps alone.

    with Run(x, steps=200, callback=callback, checkpoint="night.ckpt") as run:
        for t in run:
            x = run.image ...
            run.update(x, {"content": 3.1, "tv": 0.2})
    run.image, run.t, run.losses, run.interrupted

It counts the steps, tells the callback, writes checkpoints, and keeps the latest image when it is interrupted.
"""

from dataclasses import dataclass

import numpy as np

from npgrad._validate import generator, whole_number
from npgrad.io import checkpoints


@dataclass(frozen=True, eq=False)
class Synthesis:
    """What a generator made.

    image: (1, 3, H, W), normalized; `model.deprocess(image)` gives pixels. steps: how many were taken. losses:
    {name: one number a step}. interrupted: True if Ctrl-C ended it early; then image is the latest one.
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
    """The loop of one image, from image `x` (or the checkpoint's) for at most `steps` steps.

    rng, optimizer: what the steps draw and remember; both go into checkpoints. callback(step, image, losses) is
    called after every step; `image` is not to be changed. checkpoint: a file that is written every `every`
    steps, at Ctrl-C and at the end; if it exists, the run goes on from it, to the same bits as if it had not been
    interrupted. settings: {name: value} of all that decides the result; a checkpoint made with others is refused
    (where rng is None, the checkpoint's own draws go on).

    KeyboardInterrupt, be it Ctrl-C or raised by the callback, ends the `with` block quietly.
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
            draws = None if rng is None else self.rng.bit_generator.state
            begin = {"image": x, "steps": self.steps, "rng": draws}
            self._settings = checkpoints.fingerprint({**begin, **(settings or {})})
            stored = checkpoints.read(checkpoint, self._settings)
            if stored is not None:
                self._restore(*stored)
        self._kept = self._state()
        if checkpoint is not None:
            self._save()  # a place that cannot be written is found out before the work, not after

    def __iter__(self):
        while self.t < self.steps and not self.finished:
            yield self.t

    def update(self, image, losses=None, finished=False):
        """The end of a step: its image and {name: loss}. finished: there is nothing left to do."""
        self.finished = finished
        self._note(image, losses or {})
        self._kept = self._state()
        self._tell(losses or {})
        self._save_when_due()

    def show(self, image, losses):
        """A step inside a round that cannot be resumed in its middle (L-BFGS): counted and told, not yet kept."""
        self._note(image, losses)
        self._tell(losses)

    def keep(self, image, t):
        """The end of a round, step `t`: from here the run can go on."""
        self.image, self.t = _channels_last(image), t
        self._kept = self._state()
        self._save_when_due()

    def _note(self, image, losses):
        self.image, self.t = _channels_last(image), self.t + 1
        for name, value in losses.items():
            self.losses.setdefault(name, []).append(float(value))

    def _tell(self, losses):
        if self._callback is not None:
            self._callback(self.t, self.image, losses)

    def _state(self):
        """All that is needed to go on from here. Nothing in it is ever changed in place, so it costs no copy."""
        return {
            "image": self.image,
            "optimizer": {} if self.optimizer is None else self.optimizer.state,
            "rng": self.rng.bit_generator.state,
            "t": self.t,
            "finished": self.finished,
            "noted": {name: len(values) for name, values in self.losses.items()},
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
            self._save()

    def _save(self):
        kept = self._kept
        arrays = {f"optimizer/{name}": array for name, array in kept["optimizer"].items()}
        rest = {name: kept[name] for name in ("rng", "t", "finished")}
        losses = {name: self.losses[name][:count] for name, count in kept["noted"].items()}
        checkpoints.write(
            self._path, self._settings, {"image": kept["image"], **arrays}, {**rest, "losses": losses}
        )
        self._saved = kept

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.interrupted = interrupted
        if self._path is not None and (kind is None or interrupted) and self._saved is not self._kept:
            self._save()
        return interrupted


def _channels_last(image):
    """The same image in one fixed order in memory. A checkpoint forgets it, and a sum's last bits depend on it."""
    if image.ndim != 4:
        return image
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
