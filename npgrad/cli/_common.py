"""What several commands share: options, loading the network, printing."""

import json
import sys
import warnings

from npgrad._names import spelled
from npgrad.errors import InputError
from npgrad.io.loading import load
from npgrad.tape import INPUT

IMAGE_HELP = "image file (JPEG, PNG, WebP, ...)"
TARGET_HELP = (
    "class by index, name, or WordNet id where it is known; a name in another spelling, or a word that only one class "
    "has, is enough: a warning says which class is taken"
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


def load_network(args):
    """The Model that --weights or --arch names."""
    if not getattr(args, "arch", None):
        return load(args.weights)
    if args.weights:
        raise InputError("--weights and --arch: expected one of them, found both")
    from npgrad.models import registry

    return registry.fresh(spelled("architecture", args.arch, registry.BUILDERS))


def layer_name(model, text):
    """The layer that --layer means: its name or alias in any spelling, which is said if it differs. None: None."""
    return text and spelled("layer", text, [*model.layer_names(), *model.aliases, INPUT])


def target_of(model, text):
    """The index of the class that --target names; None for "auto", which is each image's most likely class."""
    if text != "auto":
        return model.class_index(text)
    if text in (model.classes or ()):
        index = model.classes.index(text)
        warnings.warn(
            f"target 'auto' taken as the most likely class; class {index} is also named so", stacklevel=1
        )
    return None


def image_of(argument):
    """What an IMAGE argument names: the path of a file, or for "-" the image on stdin."""
    if argument != "-":
        return argument
    from npgrad.images.reading import image_of_bytes

    return image_of_bytes(sys.stdin.buffer.read() if sys.stdin else b"", "stdin")


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
