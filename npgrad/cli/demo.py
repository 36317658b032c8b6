"""Make a folder of images that show what npgrad does, with a page (index.html) to view them. Nothing is downloaded.

Without a photo, the bundled network classifies drawn scenes like those it was trained on, followed by attributions, a
fooling image, class visualizations, a style transfer and feature inversions. With PHOTO the same is done for that
photo; photos need a network for ImageNet's classes (--weights)."""

import sys
import time
from dataclasses import replace
from pathlib import Path

from npgrad._files import atomic_write, check_folder, reason, shown
from npgrad._outputs import expect_classes
from npgrad._parallel.threads import one_blas_thread
from npgrad.cli._common import (
    add_json,
    add_seed,
    add_weights,
    load_network,
    print_json,
    say,
    say_what_is_seen,
)
from npgrad.cli._results import free_name, same_file, written
from npgrad.errors import InputError, NpgradError

HELP = "folder of images that show what npgrad does, with a page to view them"
EXAMPLES = """examples:
  npgrad demo
  npgrad demo --seed 12 -o twelve
  npgrad demo your-photo.jpg --weights squeezenet1_1 -o cat"""


def add_arguments(parser):
    parser.add_argument("photo", nargs="?", metavar="PHOTO", help="image file; default: drawn scenes")
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
        for number, make in enumerate(images.MAKERS):
            began = time.perf_counter()
            title = make.__doc__ or make.__name__.replace("_", " ")  # no docstrings under python -OO
            print(f"{number + 1}/{len(images.MAKERS)} {title}", file=sys.stderr, flush=True)
            try:
                section = make(model, subject, folder)
                sections.append(replace(section, seconds=time.perf_counter() - began))
                _write_page(folder, subject, sections)
            except NpgradError as error:  # a full disk, or a network without the layers that this part needs
                say(error)
                code = 1
    except KeyboardInterrupt:
        interrupted = True
    say_what_is_seen(model, [args.photo] if args.photo else [])
    _report(args, folder, sections, time.perf_counter() - start, interrupted)
    return 130 if interrupted else code


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
