"""The work on one photo of a folder, which runs in any process of an executor."""

import errno
import os
import re
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from npgrad import __version__
from npgrad._asked import target_found
from npgrad._files import reason, shown
from npgrad.attribution.explain import answer
from npgrad.attribution.explanation import Explanation, save_array, weights_hash
from npgrad.attribution.folders.manifest import Manifest, Stamp
from npgrad.attribution.request import Request
from npgrad.errors import ImageError, InputError, NpgradError
from npgrad.images.reading import open_image
from npgrad.io.checkpoints import fingerprint
from npgrad.model import Model

_jobs = {}  # the jobs that this process has received


def task(
    key: str, photo: str, job: Optional["Job"] = None, again: tuple[dict[str, Any], float] | None = None
) -> dict[str, Any] | None:
    """Explain one photo, as a task for an executor.

    A task is as small as the name of its photo; the network is sent only to a process that does not have it yet.

    Parameters
    ----------
    key : str
        Identifies the job.
    photo : str
        The photo, relative to the folder.
    job : Job or None
        The job, to be kept by this process. None: the one that it received before under this key.
    again : (dict, float) or None
        For a photo that is explained already: its line, and the limit with which it is drawn again.

    Returns
    -------
    dict or None
        The photo's line for the manifest. None: this process does not have the job yet.
    """
    if job is not None:
        if len(_jobs) > 3:  # left by earlier runs in a process that is reused
            _jobs.clear()
        _jobs[key] = job
    job = job or _jobs.get(key)
    if job is None:
        return None
    return job.do(photo) if again is None else job.draw_again(*again)


def forget(key: str) -> None:
    """Drop a job from this process.

    Parameters
    ----------
    key : str
        Identifies the job.
    """
    _jobs.pop(key, None)


@dataclass(frozen=True)
class Job:
    """All that a process needs for explaining photos one by one.

    Parameters
    ----------
    model : Model
        The network.
    request : Request
        What to compute and how to show it.
    folder, output : str
        Absolute paths of the folders of the photos and of the results.
    arrays : bool
        Whether to save the raw attributions.
    """

    model: Model
    request: Request
    folder: str
    output: str
    arrays: bool

    def settings(self) -> dict[str, Any]:
        """Return everything that the results depend on, for the manifest.

        Returns
        -------
        dict
            Values that JSON can hold.
        """
        request = self.request
        return {
            "npgrad": __version__,
            "folder": self.folder,
            "network": weights_hash(self.model),
            "method": request.title,
            "options": _plain(request.options),
            "target": _plain_target(self.model, request.target),
            "sign": request.sign,
            "outliers": float(request.outliers),
            "alone": bool(request.alone),
            "bare": bool(request.bare),
            "colormap": request.colormap,
            "scale": request.scale,
            "arrays": self.arrays,
        }

    def results(self, photo: str) -> dict[str, str]:
        """Name the files of a photo's results.

        Parameters
        ----------
        photo : str
            The photo, relative to the folder.

        Returns
        -------
        dict
            "output", the heat map, and with `arrays` also "array", relative to the folder of the results.
        """
        return {"output": f"{photo}.png"} | ({"array": f"{photo}.npy"} if self.arrays else {})

    def is_done(self, photo: str, manifest: Manifest) -> bool:
        """Return whether an earlier run explained this photo in its present state, and the results still exist.

        Parameters
        ----------
        photo : str
            The photo, relative to the folder.
        manifest : Manifest
            The record of the folder of the results.

        Returns
        -------
        bool
        """
        there = manifest.has(photo, _stamp(os.path.join(self.folder, photo)))
        return there and all(
            os.path.isfile(os.path.join(self.output, name)) for name in self.results(photo).values()
        )

    def do(self, photo: str) -> dict[str, Any]:
        """Explain one photo and write its results.

        Parameters
        ----------
        photo : str
            The photo, relative to the folder.

        Returns
        -------
        dict
            The photo's line for the manifest, with "error" if the photo is broken.

        Raises
        ------
        NpgradError
            It fails for a reason that does not depend on the photo.
        """
        start = time.perf_counter()
        path = os.path.join(self.folder, photo)
        stamp = _stamp(path)  # before it is read, so that a photo that changes meanwhile is explained again
        try:
            with _warnings() as warned:
                explanation = self._explain(path)
                self._write(explanation, photo)
        except _Broken as error:
            return {"image": photo, "error": str(error).removeprefix(f"{shown(path)}: "), **stamp}
        names = ("index", "name", explanation.measure)
        target = explanation.target and dict(zip(names, explanation.target, strict=True))
        line = {"image": photo, "method": self.request.title, "target": target, **self.results(photo)}
        if explanation.array is not None:
            line["limit"] = explanation.limit
            if self.request.scale == "shared":
                line["own_limit"] = explanation.limit
        line["seconds"] = round(time.perf_counter() - start, 4)
        return line | stamp | ({"warnings": warned} if warned else {})

    def draw_again(self, line: dict[str, Any], limit: float) -> dict[str, Any]:
        """Draw the image of a photo that is explained already with another limit.

        Parameters
        ----------
        line : dict
            The photo's line in the manifest.
        limit : float
            The value that has the strongest color.

        Returns
        -------
        dict
        """
        path, target = os.path.join(self.folder, line["image"]), line["target"]
        request, measure = replace(self.request, scale=limit), list(target or ["probability"])[-1]
        target = target and tuple(target.values())
        try:
            array = np.load(os.path.join(self.output, line["array"]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # they are in the line already
                again = Explanation(array, target, measure, request, self.model, open_image(path))
                self._write(again, line["image"])
        except (ImageError, _Broken, OSError, ValueError) as error:
            stamp = {key: line[key] for key in ("image", "size", "modified")}
            return {**stamp, "error": f"cannot be drawn again: {error}"}
        return {**line, "limit": limit}

    def _explain(self, path):
        try:
            return answer(self.model, path, self.request)
        except ImageError as error:
            raise _Broken(error) from None
        except NpgradError as error:
            # If the request is at fault, not the photo, any other image fails too, and that ends the run.
            size = self.model.preprocessing.size
            noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
            answer(self.model, noise, self.request)
            raise _Broken(error) from None

    def _write(self, explanation, photo):
        paths = {kind: os.path.join(self.output, name) for kind, name in self.results(photo).items()}
        try:
            _make_folder(os.path.dirname(paths["output"]))
            if self.arrays and explanation.array is not None:
                save_array(explanation.array, paths["array"])
            explanation.save(paths["output"])
        except InputError as error:
            if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
                raise _Broken("its name is too long for .png to be appended") from None
            raise


class _Broken(Exception):
    """Why one photo cannot be explained."""


def _stamp(path) -> Stamp:
    """Size and time of modification, which change with the photo."""
    try:
        found = os.stat(path)
    except OSError:
        return {"size": None, "modified": None}
    return {"size": found.st_size, "modified": found.st_mtime}


@contextmanager
def _warnings():
    """Yield a list to which the warnings of the block are added, once each.

    Only in the main thread of a process: warning filters are global, so other threads would receive each other's.
    """
    messages = []
    if threading.current_thread() is not threading.main_thread():
        yield messages
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.filterwarnings("ignore", "the network (ends in|has one output)")  # said once for the folder
        yield messages
    messages.extend(dict.fromkeys(str(warning.message) for warning in caught))


def _make_folder(path):
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be created: {reason(error)}") from error


def _plain_target(model, target):
    """A target as JSON can hold it: "auto", the index of a class, or the text of what else is asked for."""
    found = "auto" if target is None else target_found(model, target)
    return found if isinstance(found, int) else str(found)


def _plain(value):
    """An option as JSON can hold it: an array by its fingerprint, other objects by their repr without the address."""
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
