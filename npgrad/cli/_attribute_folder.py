"""`npgrad attribute FOLDER`: what the command adds to npgrad.attribution.folders.attribute_folder."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

from npgrad._files import check_folder, shown
from npgrad.cli import _methods as methods
from npgrad.cli._common import load_network, print_json, say_what_is_seen, target_of, whole_number_type
from npgrad.cli._messages import bar, fail, warn
from npgrad.errors import InputError
from npgrad.images.captions import duration

MOST_WARNINGS = 3  # different ones; the manifest has those of every image
MOST_LISTED = 100  # unreadable images in messages; the manifest has all of them


def add_options(parser):
    """The options for folders only."""
    group = parser.add_argument_group("for folders")
    group.add_argument(
        "--save-arrays", action="store_true", help="save each raw attribution (.npy) beside its heat map"
    )
    group.add_argument(
        "--workers",
        type=whole_number_type(1),
        metavar="N",
        help="number of processes; default: one per core, at most 8, and at least ten images for each",
    )


def check_no_folder_options(args):
    """An InputError if an option for folders was given with a single image."""
    for flag, value in (("--save-arrays", args.save_arrays), ("--workers", args.workers)):
        if value:
            raise InputError(f"{flag}: expected a folder of images, found {shown(args.image)}")


def run(args, options):
    """Explain the folder. Returns the exit code: 0, 2 if an image cannot be read, 130 if interrupted."""
    from npgrad.attribution.folders import attribute_folder
    from npgrad.attribution.folders.finding import find_photos
    from npgrad.attribution.folders.manifest import holds_results, remove_leftovers
    from npgrad.attribution.folders.processes import usual_count
    from npgrad.images.saving import WRITE_FORMATS

    if args.save_array:
        raise InputError(
            "--save-array: expected a single image, found a folder; --save-arrays saves the arrays of a folder"
        )
    own_name = f"{os.path.basename(os.path.realpath(args.image))}-{args.method.replace(',', '-')}"
    output = Path(own_name if args.output is None else args.output)
    if output.suffix.lower() in WRITE_FORMATS and not os.path.isdir(output):
        raise InputError(f"{shown(output)}: expected the name of a folder, since the input is a folder")
    if not holds_results(output):
        check_folder(output)
    start = time.perf_counter()
    model = load_network(args)
    target, options = target_of(model, args.target), methods.with_layer_name(model, options)
    progress = _Bar(args.method)
    photos = find_photos(args.image)[0]
    workers = args.workers or usual_count(len(photos))
    with _executor(workers) as executor:
        try:
            run = attribute_folder(
                model,
                args.image,
                output,
                args.methods if len(args.methods) > 1 else args.method,
                target=target,
                options=options,
                sign=args.sign,
                outliers=args.outliers,
                alone=args.alone,
                bare=args.bare,
                colormap=args.colormap,
                scale=args.color_scale,
                save_arrays=args.save_arrays,
                executor=executor,
                ahead=2 * workers,
                progress=progress,
            )
        finally:
            progress.close()
        if run.interrupted and executor is not None:
            executor.stop()
            remove_leftovers(output)
    say_what_is_seen(model, (os.path.join(args.image, photo) for photo in photos))
    return _report(run, time.perf_counter() - start, args)


@contextmanager
def _executor(workers):
    """None for one worker, which is this process; otherwise that many processes."""
    if workers == 1:
        yield None
        return
    from concurrent.futures.process import BrokenProcessPool

    from npgrad.attribution.folders.processes import Processes

    try:
        with Processes(workers) as executor:
            yield executor
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, perhaps for lack of memory; fewer --workers need less, "
            "and the same command continues the run"
        ) from None


class _Bar:
    """A progress bar whose speed counts this run's images only, not those that were done before."""

    def __init__(self, title):
        self.title, self.bar = title, None

    def __call__(self, done, total):
        if self.bar is None:
            self.bar = bar(desc=self.title, total=total, initial=done, unit="photo")
        self.bar.update(done - self.bar.n)

    def close(self):
        if self.bar is not None:
            self.bar.close()


def _report(run, seconds, args):
    for photo, reason in run.broken[:MOST_LISTED]:
        fail(f"{shown(photo)}: {reason}")
    if len(run.broken) > MOST_LISTED:
        fail(f"and {len(run.broken) - MOST_LISTED} more, see {shown(run.manifest)}")
    for text in run.messages[:MOST_WARNINGS]:
        warn(text)
    if args.json:
        print_json(
            {
                "folder": args.image,
                "method": args.method,
                "output": str(run.output),
                "manifest": str(run.manifest),
                "photos": run.total,
                "made": run.made,
                "there": run.there,
                "broken": [{"image": photo, "error": reason} for photo, reason in run.broken],
                "warned": run.warned,
                "skipped": run.skipped,
                "interrupted": run.interrupted,
                "limit": run.limit,
                "seconds": round(seconds, 3),
            }
        )
    else:
        print(f"{args.image}: {args.method} of {_summary(run, seconds)} -> {shown(run.output)}")
    if run.interrupted:
        fail(f"interrupted, {run.left} of {run.total} photos left; the same command continues the run")
        return 130
    return 2 if run.broken else 0


def _summary(run, seconds):
    """One line: "12 photos in 3.4 s, 5 already done, 1 unreadable"."""
    parts = [f"{run.made} photo{'s' * (run.made != 1)} in {duration(seconds)}"]
    if run.there:
        parts.append(f"{run.there} already done")
    if run.broken:
        parts.append(f"{len(run.broken)} unreadable")
    if run.warned:
        parts.append(f"{run.warned} with a warning (see {run.manifest.name})")
    if run.skipped:
        parts.append(f"{run.skipped} other file{'s' * (run.skipped != 1)} skipped")
    return ", ".join(parts)
