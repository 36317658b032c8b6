"""`npgrad attribute FOLDER`: what the command adds to npgrad.attribution.folders.attribute_folder."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _methods as methods
from npgrad.cli._common import network, print_json, whole_number
from npgrad.errors import InputError

MOST_LISTED = 100  # broken photos; the manifest has them all


def add_options(parser):
    """The options that only a folder has."""
    group = parser.add_argument_group("for a folder")
    group.add_argument("--save-arrays", action="store_true", help="save each raw array, beside its image")
    group.add_argument(
        "--workers",
        type=whole_number(1),
        metavar="N",
        help="processes that share the photos and the cores; default: one a core, at most 8, with ten photos each",
    )


def refuse(args):
    """An InputError where one image was given with an option for folders."""
    for flag, value in (("--save-arrays", args.save_arrays), ("--workers", args.workers)):
        if value:
            raise InputError(f"{flag}: this is for a folder of photos; {shown(args.image)} is none")


def run(args, options):
    """Explain the folder; the exit code: 0, 2 if any photo is broken, 130 if interrupted."""
    if args.save_array:
        raise InputError("--save-array: this is for one photo; of a folder, --save-arrays saves every array")
    output = Path(args.output or f"{Path(args.image).resolve().name}-{args.method}")
    if output.suffix.lower() in (".png", ".jpg", ".jpeg") and not output.is_dir():
        raise InputError(
            f"{shown(output)}: expected a folder's name, since a folder of photos gives one of images"
        )
    from npgrad.attribution.folders import attribute_folder
    from npgrad.attribution.folders.finding import find_photos
    from npgrad.attribution.folders.manifest import remove_leftovers
    from npgrad.attribution.folders.processes import usual_count

    start = time.perf_counter()
    model = network(args)
    bar = _Bar(args.method)
    workers = args.workers or usual_count(len(find_photos(args.image)[0]))
    with _executor(workers) as executor:
        try:
            run = attribute_folder(
                model,
                args.image,
                output,
                tuple(methods.METHODS) if args.method == "all" else args.method,
                target=None if args.target == "auto" else args.target,
                options=options,
                sign=args.sign,
                outliers=args.outliers,
                alone=args.alone,
                save_arrays=args.save_arrays,
                executor=executor,
                ahead=2 * workers,
                progress=bar,
            )
        finally:
            bar.close()
        if run.interrupted and executor is not None:
            executor.stop()
            remove_leftovers(output)
    return _report(run, time.perf_counter() - start, args)


@contextmanager
def _executor(workers):
    """None for one worker, which is this process; otherwise as many processes."""
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
            "a worker process was ended from outside, perhaps since memory ran out; "
            "fewer --workers need less, and the same command goes on"
        ) from None


class _Bar:
    """A progress bar whose speed is that of this run, not of what was there before it."""

    def __init__(self, title):
        self.title, self.bar = title, None

    def __call__(self, done, total):
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(desc=self.title, total=total, initial=done, unit="photo", leave=False)
        self.bar.update(done - self.bar.n)

    def close(self):
        if self.bar is not None:
            self.bar.close()


def _report(run, seconds, args):
    for photo, reason in run.broken[:MOST_LISTED]:
        print(f"npgrad: {shown(photo)}: {reason}", file=sys.stderr)
    if len(run.broken) > MOST_LISTED:
        print(f"npgrad: and {len(run.broken) - MOST_LISTED} more, see {shown(run.manifest)}", file=sys.stderr)
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
                "seconds": round(seconds, 3),
            }
        )
    else:
        print(f"{args.image}: {args.method} of {_told(run, seconds)} -> {shown(run.output)}")
    if run.interrupted:
        print(
            f"npgrad: interrupted, {run.left} of {run.total} photos left; the same command goes on",
            file=sys.stderr,
        )
        return 130
    return 2 if run.broken else 0


def _told(run, seconds):
    """What became of the photos, in one line: "12 photos in 3.4 s, 5 were there already, 1 broken"."""
    parts = [f"{run.made} photo{'s' * (run.made != 1)} in {seconds:.3g} s"]
    if run.there:
        parts.append(f"{run.there} were there already")
    if run.broken:
        parts.append(f"{len(run.broken)} broken")
    if run.warned:
        parts.append(f"{run.warned} with a warning (see {run.manifest.name})")
    if run.skipped:
        parts.append(f"{run.skipped} other file{'s' * (run.skipped != 1)} passed over")
    return ", ".join(parts)
