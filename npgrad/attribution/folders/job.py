"""The work on one photo of a folder, as it is done in whatever process an executor has."""

import errno
import os
import re
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from npgrad import __version__
from npgrad._files import reason, shown
from npgrad.attribution.explain import Question, explain, save_array
from npgrad.errors import ImageError, InputError, NpgradError
from npgrad.images import save_image
from npgrad.io.checkpoints import fingerprint

_jobs = {}  # what this process has been sent


def task(key, photo, job=None):
    """One photo's line for the manifest, its results written; None if this process does not have the job yet.

    So a task is as small as its photo's name, and the network is sent only where it is not.
    """
    if job is not None:
        if len(_jobs) > 3:  # of earlier runs, in processes that live on
            _jobs.clear()
        _jobs[key] = job
    job = job or _jobs.get(key)
    return None if job is None else job.do(photo)


def forget(key):
    """Drop the job from this process."""
    _jobs.pop(key, None)


@dataclass(frozen=True)
class Job:
    """All that a process must have to do one photo after another. Folders are whole paths."""

    model: object
    question: Question
    folder: str
    output: str
    arrays: bool

    def settings(self):
        """What makes the results what they are, for the manifest."""
        question = self.question
        network = {"model": self.model, "layers": self.model.layer_names(), "classes": self.model.classes}
        return {
            "npgrad": __version__,
            "folder": self.folder,
            "network": fingerprint(network)[:16],
            "method": question.title,
            "options": _plain(question.options),
            "target": "auto" if question.target is None else self.model.class_index(question.target),
            "sign": question.sign,
            "outliers": float(question.outliers),
            "alone": bool(question.alone),
            "arrays": self.arrays,
        }

    def results(self, photo):
        """{"output": the image's name} and, if asked for, the "array"'s; names below the folder of results."""
        return {"output": f"{photo}.png"} | ({"array": f"{photo}.npy"} if self.arrays else {})

    def is_done(self, photo, manifest):
        """Whether an earlier run did this photo, as it is now, and the results are still there."""
        there = manifest.has(photo, _stamp(os.path.join(self.folder, photo)))
        return there and all(
            os.path.isfile(os.path.join(self.output, name)) for name in self.results(photo).values()
        )

    def do(self, photo):
        """Explain one photo and write its results: its line for the manifest. InputError: not for its own fault."""
        start = time.perf_counter()
        path = os.path.join(self.folder, photo)
        stamp = _stamp(path)  # before it is read: if it changes meanwhile, it is done again
        try:
            with _warnings() as warned:
                explanation = self._explain(path)
                self._write(explanation, photo)
        except _Broken as error:
            return {"image": photo, "error": str(error).removeprefix(f"{shown(path)}: "), **stamp}
        target = dict(zip(("index", "name", "probability"), explanation.target, strict=True))
        line = {"image": photo, "method": self.question.title, "target": target, **self.results(photo)}
        line["seconds"] = round(time.perf_counter() - start, 4)
        return line | stamp | ({"warnings": warned} if warned else {})

    def _explain(self, path):
        try:
            return explain(self.model, path, self.question)
        except ImageError as error:
            raise _Broken(error) from None
        except NpgradError as error:
            # Is it for this photo, or for what is asked? Then any other fails, too, and that ends the run.
            side = self.model.preprocessing.crop
            noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
            explain(self.model, noise, self.question)
            raise _Broken(error) from None

    def _write(self, explanation, photo):
        paths = {kind: os.path.join(self.output, name) for kind, name in self.results(photo).items()}
        try:
            _make_folder(os.path.dirname(paths["output"]))
            if self.arrays and explanation.array is not None:
                save_array(explanation.array, paths["array"])
            save_image(explanation.image, paths["output"])
        except InputError as error:
            if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
                raise _Broken("its name is too long to be continued with .png") from None
            raise


class _Broken(Exception):
    """What is wrong with one photo."""


def _stamp(path):
    """Tells one state of a photo from another."""
    try:
        found = os.stat(path)
    except OSError:
        return {"size": None, "modified": None}
    return {"size": found.st_size, "modified": found.st_mtime}


@contextmanager
def _warnings():
    """A list that the warnings of the block come to, once each.

    Only in a process's main thread: what is done about warnings holds for the whole process, so that other threads,
    if they did this, would take each other's.
    """
    messages = []
    if threading.current_thread() is not threading.main_thread():
        yield messages
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield messages
    messages.extend(dict.fromkeys(str(warning.message) for warning in caught))


def _make_folder(path):
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be made: {reason(error)}") from error


def _plain(value):
    """An option as JSON can hold it: an array by its fingerprint, other things by their names."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else _plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {fingerprint(value)[:16]}"
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
