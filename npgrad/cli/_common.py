"""What several commands share: options, loading the network, printing."""

import json
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path

from npgrad._files import check_suffix, check_writable, shown
from npgrad.errors import InputError, NpgradError, unknown
from npgrad.images.animation import FORMATS as ANIMATIONS
from npgrad.images.saving import WRITE_FORMATS
from npgrad.images.seen import DRAWN_SCENES, middle, upright_size
from npgrad.io.loading import load

IMAGE_HELP = "image file (JPEG, PNG, WebP, ...)"
CROPPED_HELP = f"{IMAGE_HELP}; the network sees its middle square only"
TARGET_HELP = (
    "class by index or name; case is ignored, _ and - stand for spaces, and a word that only one class has is enough; "
    "also by WordNet id, for ImageNet's classes and where the weights file has the ids"
)
SEED_HELP = (
    "seed of the random generator (default {default}); the same seed gives the same {gives} with the same settings, "
    "machine and versions"
)


def add_weights(parser):
    """--weights: the network."""
    parser.add_argument(
        "--weights",
        metavar="FILE|NAME",
        help="weights file (.h5, .onnx), or a name from `npgrad weights list`; default: the bundled network",
    )


def add_network(parser):
    """--weights or --arch: a network with weights, or a freshly initialized one."""
    add_weights(parser)
    parser.add_argument(
        "--arch", metavar="NAME", help="freshly initialized network instead, e.g. squeezenet1_1"
    )


def add_json(parser):
    """--json: output for programs."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_seed(parser, gives, default=0):
    """--seed: the seed of the random generator; `gives` says what it determines."""
    parser.add_argument(
        "--seed",
        type=whole_number_type(0),
        default=default,
        metavar="N",
        help=SEED_HELP.format(default=default, gives=gives),
    )


def whole_number_type(smallest):
    """An argparse type: a whole number >= smallest."""

    def convert(text):
        value = int(text)
        if value < smallest:
            raise ValueError
        return value

    convert.__name__ = f"whole number >= {smallest}"
    return convert


def spelled(text, names):
    """The one of `names` (methods) that `text` means; case, hyphens and spaces do not matter."""

    def plain(name):
        return re.sub(r"[\s_-]", "", name.casefold())

    found = next((name for name in names if plain(name) == plain(text)), None)
    if found is None:
        raise unknown("method", text, names)
    return found


def load_network(args):
    """The Model that --weights or --arch names."""
    if not getattr(args, "arch", None):
        return load(args.weights)
    if args.weights:
        raise InputError("--weights and --arch: expected one of them, found both")
    from npgrad.models import registry

    return registry.fresh(args.arch)


# option -> (what it writes, its suffixes); what is not here may have any
_SUFFIXES = {
    "output": ("an image", WRITE_FORMATS),
    "compare": ("an image", WRITE_FORMATS),
    "animate": ("an animation", ANIMATIONS),
    "save_array": ("an array", (".npy",)),
    "network": ("a network", (".h5",)),
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
        say(error)
        return False
    return True


def say(line):
    """Print a line on stderr, above the progress bars."""
    bars = sys.modules.get("tqdm.std")
    with bars.tqdm.external_write_mode(file=sys.stderr) if bars else nullcontext():
        print(f"npgrad: {line}", file=sys.stderr)


def target_index(model, x, target):
    """The index of the class that --target names for one image; "auto" is its top class."""
    return int(model(x).argmax()) if target == "auto" else class_index(model, target)


def class_index(model, target):
    """The index of a class by index or name; the error says which network was asked if none was given."""
    try:
        return model.class_index(target)
    except NpgradError as error:
        if model.source.get("knows") != DRAWN_SCENES:
            raise
        more = f"this is the bundled network, which knows {DRAWN_SCENES}; --weights takes another"
        raise type(error)(f"{error}; {more}") from None


def say_what_is_seen(model, paths):
    """One line for the first image that is not square, of which the network sees the middle square only."""
    for path in paths:
        size = upright_size(path)
        if size and (text := middle(model.preprocessing, size)):
            say(f"{shown(path)}: only {text} is seen by the network")
            return


def print_json(value):
    """One JSON document on stdout; in ASCII where stdout's encoding does not have every character."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(json.dumps(value, indent=2, ensure_ascii=not encoding.lower().startswith("utf")))


def table(rows, right=()):
    """Rows of strings as lines with aligned columns; the columns numbered in `right` are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def progress_bar(title, unit="B"):
    """A callback (done, total) that draws a progress bar on stderr, from its first call on, and its `close`."""
    from tqdm import tqdm

    bar = None

    def update(done, total):
        nonlocal bar
        if bar is None:
            bar = tqdm(desc=title, unit=unit, unit_scale=True, leave=False)
        bar.total = total
        bar.update(done - bar.n)

    def close():
        if bar is not None:
            bar.close()

    update.close = close
    return update
