"""Explain every photo in a folder: each gets its own heat map, and only a few are in memory at a time.

Finished photos are recorded next to the results (see `npgrad.attribution.folders.manifest`), so an interrupted run
resumes where it stopped. Photos that cannot be read are skipped and reported.
"""

import itertools
import os
import secrets
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npgrad import _typing
from npgrad._asked import target_found
from npgrad._outputs import scores_of
from npgrad._validate import whole_number
from npgrad.attribution.folders import job as jobs
from npgrad.attribution.folders.finding import find_photos
from npgrad.attribution.folders.manifest import LINES, Manifest, remove_leftovers
from npgrad.attribution.request import Request
from npgrad.errors import InputError
from npgrad.model import Model

__all__ = ["FolderRun", "attribute_folder"]


@dataclass
class FolderRun:
    """The outcome of `attribute_folder`.

    Parameters
    ----------
    output : Path
        The folder of the results.
    total : int
        How many photos were found.
    there : int
        How many of them had been explained by an earlier run.
    skipped : int
        How many other files are in the folder: those without the suffix of an image.
    made : int
        How many photos were explained by this run.
    warned : int
        How many of these have "warnings" in the manifest.
    messages : list of str
        The different warnings among them.
    broken : list of (str, str)
        The photos that cannot be read or explained, each with the reason.
    interrupted : bool
        Whether the run was interrupted by Ctrl-C.
    limit : float or None
        The value that has the strongest color in every image, if they share one scale.
    """

    output: Path
    total: int
    there: int
    skipped: int
    made: int = 0
    warned: int = 0
    messages: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False
    limit: float | None = None

    @property
    def manifest(self) -> Path:
        """The path of the manifest, which has a line for each photo."""
        return self.output / LINES

    @property
    def left(self) -> int:
        """How many photos an interrupted run did not reach."""
        return self.total - self.there - self.made - len(self.broken)

    def _count(self, line):
        if "error" in line:
            self.broken.append((line["image"], line["error"]))
        else:
            self.made += 1
            self.warned += "warnings" in line
            self.messages = list(dict.fromkeys([*self.messages, *line.get("warnings", ())]))


def attribute_folder(
    model: Model,
    folder: _typing.Path,
    output: _typing.Path,
    method: str | tuple[str, ...] = "saliency",
    target: Any = None,
    options: dict[str, Any] | None = None,
    sign: str | None = None,
    outliers: float = 2.0,
    alone: bool = False,
    save_arrays: bool = False,
    executor: Executor | None = None,
    ahead: int | None = None,
    progress: _typing.Progress = None,
    bare: bool = False,
    colormap: str | None = None,
    scale: float | str | None = None,
) -> FolderRun:
    """Explain every photo in a folder and its subfolders, as `npgrad attribute` does for one photo.

    Each photo gets a line in the manifest once its result is on disk. A photo that was explained before and has not
    changed since (by size and time) is skipped; a broken one is tried again. Ctrl-C ends the run; the result is then
    marked as `interrupted`, and the same call resumes it. Photos that the executor still finishes after Ctrl-C are
    explained again.

    Parameters
    ----------
    model : Model
        The network.
    folder : str or path-like
        Its images are found by their suffix and taken in the order of their names. Hidden files and folders, links to
        folders, and folders of results are skipped.
    output : str or path-like
        The folder of the results: new, empty, or that of an earlier run with the same settings, which is resumed.
        The heat map of sub/cat.jpg is sub/cat.jpg.png.
    method, target, options, sign, outliers, alone, bare, colormap
        As for `npgrad.attribution.request.Request`.
    save_arrays : bool, default False
        Whether to save the raw attributions as well, as sub/cat.jpg.npy.
    executor : concurrent.futures.Executor or None
        Does the work. None: it is done in this thread, photo by photo. Worker processes, or those of a Dask cluster
        (``client.get_executor()``), must see both folders under the same paths. A task is the name of a photo; the
        model is sent only to a process that does not have it yet.
    ahead : int or None
        How many photos are submitted to the executor at a time. None: two for each core of this machine.
    progress : callable or None
        Called with (done, total), counted in photos; the first call is before any work.
    scale : float, "shared" or None
        The value that has the strongest color in every image; each line of the manifest has it as "limit". "shared":
        the largest one that an image would have by itself ("own_limit"), for which the raw attributions are saved and
        the images are drawn again in the end. With several methods, those of a sheet share it. None: each its own.

    Returns
    -------
    FolderRun

    Raises
    ------
    InputError
        An argument cannot be used, the folder has no images, the folder of the results holds other things, or the
        results cannot be written.
    NpgradError
        The method fails for reasons that do not depend on the photo. Exceptions of the executor are not caught.
    """
    if target is not None:  # once, so that a warning about its name does not come with every photo
        target = target_found(model, target)
    request = Request(
        method if isinstance(method, str) else tuple(method),
        target,
        dict(options or {}),
        sign,
        outliers,
        alone,
        bare,
        colormap,
        scale,
    )
    request.check(model)
    scores_of(model)  # says once what is explained, not with every photo
    if "rng" in request.options:  # results must not depend on which photos a Generator was used for before
        whole_number(request.options["rng"], "rng", 0)
    if save_arrays and not isinstance(request.method, str):
        raise InputError(
            "save_arrays: several methods were given; expected one, since each photo gets one array"
        )
    ahead = 2 * (os.cpu_count() or 1) if ahead is None else whole_number(ahead, "ahead")
    if executor is None:
        executor, ahead = _SameThread(), 1
    photos, unreadable, skipped = find_photos(folder)
    model.preprocessing.say_doubts()
    model = model.with_preprocessing()  # so that no process says it again, into the manifest
    shared = scale == "shared" and isinstance(request.method, str)
    arrays = bool(save_arrays) or shared
    job = jobs.Job(model, request, os.path.realpath(folder), os.path.realpath(output), arrays)
    with Manifest(output, job.settings()) as manifest:
        remove_leftovers(output)
        todo = [photo for photo in photos if not job.is_done(photo, manifest)]
        run = FolderRun(Path(output), len(photos) + len(unreadable), len(photos) - len(todo), skipped)
        run.broken.extend(unreadable)
        try:
            done = run.there + len(unreadable)
            _report(progress, done, run.total)
            with closing(_lines(job, ((photo, None) for photo in todo), executor, ahead)) as lines:
                for line in lines:
                    manifest.add(line)
                    run._count(line)
                    done += 1
                    _report(progress, done, run.total)
            if shared:
                run.limit = _draw_again(job, photos, manifest, run, executor, ahead)
        except KeyboardInterrupt:
            run.interrupted = True
    return run


def _draw_again(job, photos, manifest, run, executor, ahead):
    """Draw with the largest limit what was drawn with another one. Returns that limit, or None without any image."""
    lines = [line for photo in photos if (line := manifest.lines.get(photo)) and "own_limit" in line]
    limit = max((line["own_limit"] for line in lines), default=0) or None
    todo = ((line["image"], (line, limit)) for line in lines if limit and line["limit"] != limit)
    with closing(_lines(job, todo, executor, ahead)) as drawn:
        for line in drawn:
            manifest.add(line)
            if "error" in line:
                run.broken.append((line["image"], line["error"]))
    return limit


def _lines(job, todo, executor, ahead):
    """Yield the lines for the manifest as the photos finish; at most `ahead` of them are submitted at a time.

    todo: (photo, how to draw it again or None) of each.
    """
    key, todo, futures = secrets.token_hex(8), iter(todo), {}
    try:
        while True:
            for photo, again in itertools.islice(todo, ahead - len(futures)):
                futures[executor.submit(jobs.task, key, photo, None, again)] = photo, again
            if not futures:
                return
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                (photo, again), line = futures.pop(future), future.result()
                if line is None:  # that process does not have the job yet
                    futures[executor.submit(jobs.task, key, photo, job, again)] = photo, again
                else:
                    yield line
    finally:
        jobs.forget(key)
        for future in futures:
            future.cancel()


class _SameThread(Executor):
    """Runs each task in this thread when it is submitted."""

    def submit(self, work, /, *arguments):
        future = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def _report(progress, done, total):
    if progress is not None:
        progress(done, total)
