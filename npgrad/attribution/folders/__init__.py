"""Every photo in a folder explained: any number of them, each to an image of its own, a few at a time in memory.

What is done is written down beside the images (see `npgrad.attribution.folders.manifest`), so a run that was interrupted goes
on where it stopped, and a broken photo is passed over and told of.
"""

import itertools
import os
import secrets
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from npgrad._validate import whole_number
from npgrad.attribution.explain import Question
from npgrad.attribution.folders import job as jobs
from npgrad.attribution.folders.finding import find_photos
from npgrad.attribution.folders.manifest import LINES, Manifest, remove_leftovers
from npgrad.errors import InputError

__all__ = ["FolderRun", "attribute_folder"]


@dataclass
class FolderRun:
    """What became of a folder.

    output     the folder of the results, and `manifest`, the file in it with a line for each photo
    total      photos found; of them were `made` now, `there` from an earlier run, and are `broken`: a list of
               (photo, reason). What is left of `total` was interrupted.
    skipped    other files in the folder, which are no images by their suffix
    warned     of those made now, how many have "warnings" in the manifest
    """

    output: Path
    total: int
    there: int
    skipped: int
    made: int = 0
    warned: int = 0
    broken: list = field(default_factory=list)
    interrupted: bool = False

    @property
    def manifest(self):
        """The manifest's path."""
        return self.output / LINES

    @property
    def left(self):
        """How many photos an interrupted run did not come to."""
        return self.total - self.there - self.made - len(self.broken)

    def _count(self, line):
        if "error" in line:
            self.broken.append((line["image"], line["error"]))
        else:
            self.made += 1
            self.warned += "warnings" in line


def attribute_folder(
    model,
    folder,
    output,
    method="saliency",
    target=None,
    options=None,
    sign=None,
    outliers=2.0,
    alone=False,
    save_arrays=False,
    executor=None,
    ahead=None,
    progress=None,
):
    """Explain every photo in a folder and its subfolders, as `npgrad attribute` does for one: a FolderRun.

    folder       its images are taken by their suffix, in order of their names; hidden files and folders, links
                 to folders, and folders of results are passed over
    output       the folder of the results, new, empty, or of an earlier run with the same settings, which goes
                 on; sub/cat.jpg becomes sub/cat.jpg.png
    method, target, options, sign, outliers, alone    see `npgrad.attribution.explain.Question`
    save_arrays  save the raw arrays as well, as sub/cat.jpg.npy
    executor     a concurrent.futures.Executor that does the work, or None: it is done here, photo by photo.
                 Processes, or a Dask cluster's (`client.get_executor()`), must see both folders under the same
                 paths; a task is a photo's name, and the model is sent only to a process that does not have it.
    ahead        how many photos are given to the executor at a time; None: two for each core of this machine
    progress     called with (photos done, photos in all), first before any work

    Each photo gets a line in the manifest when its image is on the disk. A photo that was done and has not
    changed since (by size and time) is passed over, a broken one is tried again. Ctrl-C ends the run; the result
    then says `interrupted`, and the same call goes on; what the executor still finishes is then made again.

    Raises InputError and its family for what is asked wrongly, a folder without images or that holds other
    things, results that cannot be written; and whatever the executor raises.
    """
    question = Question(
        method if isinstance(method, str) else tuple(method),
        target,
        dict(options or {}),
        sign,
        outliers,
        alone,
    )
    question.check(model)
    if "rng" in question.options:  # a generator would be in another state for each photo, or in the same
        whole_number(question.options["rng"], "rng", 0)
    if save_arrays and not isinstance(question.method, str):
        raise InputError("save_arrays: several methods are asked for; one array is saved for each photo")
    ahead = 2 * (os.cpu_count() or 1) if ahead is None else whole_number(ahead, "ahead")
    if executor is None:
        executor, ahead = _Here(), 1
    photos, unreadable, skipped = find_photos(folder)
    job = jobs.Job(model, question, os.path.realpath(folder), os.path.realpath(output), bool(save_arrays))
    with Manifest(output, job.settings()) as manifest:
        remove_leftovers(output)
        todo = [photo for photo in photos if not job.is_done(photo, manifest)]
        run = FolderRun(Path(output), len(photos) + len(unreadable), len(photos) - len(todo), skipped)
        run.broken.extend(unreadable)
        try:
            done = run.there + len(unreadable)
            _tell(progress, done, run.total)
            with closing(_lines(job, todo, executor, ahead)) as lines:
                for line in lines:
                    manifest.add(line)
                    run._count(line)
                    done += 1
                    _tell(progress, done, run.total)
        except KeyboardInterrupt:
            run.interrupted = True
    return run


def _lines(job, photos, executor, ahead):
    """The photos' lines for the manifest as they come; at most `ahead` photos are under way."""
    key, photos, futures = secrets.token_hex(8), iter(photos), {}
    try:
        while True:
            for photo in itertools.islice(photos, ahead - len(futures)):
                futures[executor.submit(jobs.task, key, photo)] = photo
            if not futures:
                return
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                photo, line = futures.pop(future), future.result()
                if line is None:  # that process does not have the job yet
                    futures[executor.submit(jobs.task, key, photo, job)] = photo
                else:
                    yield line
    finally:
        jobs.forget(key)
        for future in futures:
            future.cancel()


class _Here(Executor):
    """Does what is submitted at once, in this thread."""

    def submit(self, work, /, *arguments):
        future = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def _tell(progress, done, total):
    if progress is not None:
        progress(done, total)
