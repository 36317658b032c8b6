"""Make a folder of images that show what npgrad does, with a page (index.html) to view them. Nothing is downloaded.

Without a photo, the bundled network classifies drawn scenes like those it was trained on, followed by attributions, a
fooling image, class visualizations, a style transfer and feature inversions. With PHOTO the same is done for that
photo; photos need a network for ImageNet's classes (--weights). With the bundled network this is about 20 s of work for
one processor core; the first line says how long it takes on this machine as it is now. Ctrl-C keeps what is done."""

import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from npgrad._files import atomic_write, check_folder, reason, shown
from npgrad._outputs import expect_classes
from npgrad._parallel.threads import one_blas_thread
from npgrad.cli._common import (
    add_json,
    add_seed,
    add_weights,
    load_network,
    print_json,
    say_what_is_seen,
)
from npgrad.cli._messages import fail, is_quiet, say
from npgrad.cli._results import free_name, same_file, written
from npgrad.cli._streams import takes_stdin
from npgrad.errors import InputError, NpgradError

HELP = "folder of images that show what npgrad does, with a page to view them"
EXAMPLES = """examples:
  npgrad demo
  npgrad demo --seed 12 -o twelve
  npgrad demo your-photo.jpg --weights squeezenet1_1 -o cat"""


def add_arguments(parser):
    photo = parser.add_argument(
        "photo",
        nargs="?",
        metavar="PHOTO",
        help="image file, or - for the one on stdin; default: drawn scenes",
    )
    takes_stdin(photo)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="folder to write to (default npgrad-demo, or npgrad-demo-2, ... if there is one already)",
    )
    add_seed(parser, "scenes and images")
    add_weights(parser)
    add_json(parser)


def run(args):
    import scipy.linalg  # noqa: F401  its BLAS is limited with the others only if it is there already

    with one_blas_thread():
        return _run(args)


def _run(args):
    from npgrad.cli import _demo_images as images

    start = time.perf_counter()
    model = load_network(args)
    expect_classes(model, "demo")
    folder = free_name("npgrad-demo") if args.output is None else Path(args.output)
    check_folder(folder, images.FILES)
    if args.photo is not None:
        _check_photo(args.photo, folder, images.FILES)
    subject = images.Scenes(model, args) if args.photo is None else images.Photo(model, args)
    _make(folder)
    code = 0 if written(subject.save, folder) else 1
    sections, interrupted = [], False
    try:
        work = [images.PASSES.get(make.__name__, 0) for make in images.MAKERS]
        speed = _Speed(model, subject.x)
        say(f"{len(work)} parts, {speed.about(sum(work))} at this machine's present speed; nothing is downloaded; "
            f"Ctrl-C ends it and keeps what is done in {shown(folder)}")  # fmt: skip
        for number, make in enumerate(images.MAKERS):
            began = time.perf_counter()
            title = make.__doc__ or make.__name__.replace("_", " ")  # no docstrings under python -OO
            if not is_quiet():
                left = f", {speed.about(sum(work[number:]))} left" if number else ""
                print(f"{number + 1}/{len(work)} {title}{left}", file=sys.stderr, flush=True)
            try:
                section = make(model, subject, folder)
                sections.append(replace(section, seconds=time.perf_counter() - began))
                _write_page(folder, subject, sections)
                speed.took(work[number], time.perf_counter() - began)
            except NpgradError as error:  # a full disk, or a network without the layers that this part needs
                fail(error)
                code = 1
    except KeyboardInterrupt:
        interrupted = True
    say_what_is_seen(model, [args.photo] if args.photo else [])
    _report(args, folder, sections, time.perf_counter() - start, interrupted)
    return 130 if interrupted else code


class _Speed:
    """How long is left, from the time of a few passes at the start, and then from that of the finished parts."""

    def __init__(self, model, x):
        def one_pass():
            tape = model.forward(x)
            tape.backward(np.ones_like(tape.output))

        one_pass()  # loads what is loaded at first use
        self.passes, began = 0, time.perf_counter()
        while self.passes < 3 or time.perf_counter() - began < 0.3:
            one_pass()
            self.passes += 1
        self.seconds = time.perf_counter() - began

    def took(self, passes, seconds):
        """Take the time of a part into account."""
        self.passes, self.seconds = self.passes + passes, self.seconds + seconds

    def about(self, passes):
        """The time of so many passes: "about 30 s"."""
        seconds = passes * self.seconds / self.passes
        return (
            f"about {math.ceil(seconds / 10) * 10} s"
            if seconds < 90
            else f"about {math.ceil(seconds / 60)} minutes"
        )


def _check_photo(photo, folder, names):
    for name in names:
        if same_file(folder / name, photo):
            raise InputError(f"{shown(photo)}: a result would replace this input; give another --output")


def _make(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shown(folder)}: expected a folder to write to; {reason(error)}") from None


def _write_page(folder, subject, sections):
    """Written after every section, so that an interrupted run has a page of what is done."""
    from npgrad import __version__
    from npgrad.cli._demo_page import page

    footer = f"npgrad {__version__}. Every gradient on this page was computed by hand-written backpropagation in NumPy."
    with atomic_write(folder / "index.html") as temporary:
        Path(temporary).write_text(page("npgrad", subject.introduction, sections, footer), encoding="utf-8")


def _report(args, folder, sections, seconds, interrupted):
    if args.json:
        made = [{"file": s.file, "title": s.title, "seconds": round(s.seconds, 2)} for s in sections]
        print_json(
            {
                "folder": str(folder),
                "page": str(folder / "index.html") if sections else None,
                "sections": made,
                "seconds": round(seconds, 2),
                "interrupted": interrupted,
            }
        )
    elif sections:
        state = "interrupted, partly done" if interrupted else "done"
        print(f"{state} in {seconds:.0f} s: open {shown(folder / 'index.html')}")
