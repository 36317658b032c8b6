"""The files that a command writes: checked before the work, named so that none is replaced, and written one by one."""

import os
from pathlib import Path

from npgrad._files import check_suffix, check_writable, shown
from npgrad.cli._messages import fail
from npgrad.cli._streams import takes_stdout
from npgrad.errors import InputError, NpgradError
from npgrad.images.animation import FORMATS as ANIMATIONS
from npgrad.images.saving import WRITE_FORMATS

# option -> (what it writes, its suffixes); what is not here may have any
_SUFFIXES = {
    "output": ("an image", WRITE_FORMATS),
    "compare": ("an image", WRITE_FORMATS),
    "animate": ("an animation", ANIMATIONS),
    "save_array": ("an array", (".npy",)),
    "network": ("a network", (".h5",)),
    "page": ("a page", (".html", ".htm")),
}


def check_outputs(inputs, **outputs):
    """Before any work: an InputError or ImageError for the first path that a result cannot be written to.

    inputs: paths that must stay as they are; what is not a file (a network's name, "noise") is ignored.
    outputs: {option: path, or None where it was not given}; see `_SUFFIXES`.
    """
    inputs = [path for path in inputs if path and os.path.exists(path)]
    outputs = {option: os.fspath(path) for option, path in outputs.items() if path is not None}
    for option, path in outputs.items():
        if option in _SUFFIXES:
            check_suffix(path, *_SUFFIXES[option])
    given = []
    for path in outputs.values():
        if any(same_file(path, source) for source in inputs):
            raise InputError(f"{shown(path)}: this is one of the inputs; give another name for the result")
        if any(same_file(path, other) for other in given):
            raise InputError(f"{shown(path)}: two results would have this name; give another one")
        check_writable(path)
        given.append(path)


def same_file(a, b):
    """Whether two paths are of one file, which need not exist."""
    there = os.path.exists(a) and os.path.exists(b)
    return os.path.samefile(a, b) if there else os.path.realpath(a) == os.path.realpath(b)


def add_page(parser, name):
    """-o OUT.html; name: the default one, as the help has it."""
    output = parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.html",
        help="file to write, of several images a folder, or - for stdout; "
        f"default: {name}.html (or -2.html, ... rather than replace a file) in this folder",
    )
    takes_stdout(output, ".html")


def suffixes_of(*options):
    """The suffixes of what these options write."""
    return {suffix for option in options for suffix in _SUFFIXES[option][1]}


def output_of(args, name):
    """Where -o says that the result goes; otherwise a free name like `name`, in the folder that -o names or in this."""
    if args.output is not None:
        return args.output
    return free_name(Path(getattr(args, "folder", None) or "", name))


def free_name(path):
    """A default name for a result: `path`, or with the first number (-2, -3, ...) that is not taken.

    Two inputs, methods or settings may have one default name, and no result may replace another unasked.
    """
    path, number = Path(path), 1
    found = path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def written(write, *arguments):
    """Write one of several results: whether it could be written; if not, say so, so that the others are kept."""
    try:
        write(*arguments)
    except NpgradError as error:
        fail(error)
        return False
    return True
