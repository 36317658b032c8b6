"""What several commands share: options, loading the network, printing."""

import dataclasses
import json
import os
import sys
import warnings
from contextlib import contextmanager

from npgrad._asked import target_found
from npgrad._files import STREAMS, shown
from npgrad._names import spelled
from npgrad._outputs import KINDS
from npgrad.cli._messages import say
from npgrad.cli._streams import STREAM, is_stream
from npgrad.errors import InputError, NpgradError
from npgrad.images.seen import DRAWN_SCENES, middle, upright_size
from npgrad.io.loading import load
from npgrad.tape import INPUT

IMAGE_HELP = "image file (JPEG, PNG, WebP, ...)"
TARGET_HELP = (
    "class by index, name, or WordNet id where it is known; a name in another spelling, or a word that only one class "
    "has, is enough: a warning says which class is taken"
)
EXPRESSION_HELP = (
    "or an expression in quotes: 'tabby - golden retriever' (why one and not the other), '-tabby' (what lowers its "
    "score), 'prob(tabby)', 'logprob(281)', '0.5*a + 0.5*b'"
)
SEED_HELP = (
    "seed of the random generator (default {default}); the same seed gives the same {gives} with the same settings, "
    "machine and versions"
)


def names_of(action, names, several=False):
    """Let shells offer names as values of an argument: those that the function `names` returns, when it is asked.

    several: whether names are separated by commas.
    """
    action.offered, action.several = names, several


def networks():
    """The names of the networks whose weights are known."""
    from npgrad.io.known_weights import known

    return ["scenes", *(name for name, entry in known().items() if entry.kind == "weights")]


def architectures():
    """The names of the architectures."""
    from npgrad.models.registry import ARCHITECTURES

    return list(ARCHITECTURES)


def add_weights(parser, size=True):
    """--weights: the network, and the options of its input; without --size where that is another size."""
    weights = parser.add_argument(
        "--weights",
        metavar="FILE|NAME",
        help="weights file (.h5, .onnx), or a name from `npgrad weights list`; default: the bundled network",
    )
    names_of(weights, networks)
    add_preprocessing(parser, size)


def add_preprocessing(parser, size=True):
    """--mean, --std, --scale, --bgr, --gray, --size: how images become the network's input."""
    group = parser.add_argument_group(
        "the network's input, if the weights file does not say it",
        "(v * scale - mean) / std for values v from 0 to 255. Of the three, those not given are then 1/255, 0 and 1",
    )
    several = "three numbers separated by commas, in the order of the channels, or one number"
    group.add_argument("--mean", type=_numbers, metavar="M,M,M", help=f"mean: {several}")
    group.add_argument("--std", type=_numbers, metavar="S,S,S", help=f"standard deviation: {several}")
    group.add_argument(
        "--scale", type=_fraction, metavar="F", help="1/255, or 1 for a network that takes 0..255"
    )
    channels = group.add_mutually_exclusive_group()
    channels.add_argument(
        "--bgr", dest="channels", action="store_const", const="BGR", help="channels are blue, green, red"
    )
    channels.add_argument(
        "--gray", dest="channels", action="store_const", const="gray", help="one channel, converted to gray"
    )
    if size:
        group.add_argument("--size", dest="crop", type=_size, metavar="PX|HxW", help="height and width in px")


def preprocessing_changes(args):
    """What the options of `add_preprocessing` say, as keywords of `Model.with_preprocessing`."""
    given = {name: getattr(args, name, None) for name in ("mean", "std", "scale", "channels", "crop")}
    return {name: value for name, value in given.items() if value is not None}


def _fraction(text):
    above, _, below = text.partition("/")
    if below and not float(below):
        raise ValueError
    return float(above) / float(below or 1)


def _numbers(text):
    numbers = tuple(float(part) for part in text.split(","))
    return numbers if len(numbers) > 1 else numbers[0]


def _size(text):
    sides = tuple(int(part) for part in text.lower().split("x"))
    return sides if len(sides) > 1 else sides[0]


_fraction.__name__, _numbers.__name__, _size.__name__ = "number", "list of numbers (1,2,3)", "size PX or HxW"


def add_outputs(parser):
    """--outputs: what the network's outputs are."""
    parser.add_argument(
        "--outputs",
        choices=KINDS,
        help="what the network's outputs are: logits of exclusive classes, scores of independent classes or of one, "
        "probabilities, or the value of a regression; default: as the weights file or the last layer says",
    )


def add_network(parser, size=False):
    """--weights or --arch: a network with weights, or a freshly initialized one."""
    add_weights(parser, size)
    arch = parser.add_argument(
        "--arch", metavar="NAME", help="freshly initialized network instead, e.g. squeezenet1_1"
    )
    names_of(arch, architectures)


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
    """The Model that --weights or --arch names, read once for all images of a run."""
    if "network" not in args.once:
        args.once["network"] = _network(args)
    return args.once["network"]


def _network(args):
    if not getattr(args, "arch", None):
        model = load(args.weights)
    elif args.weights:
        raise InputError("--weights and --arch: expected one of them, found both")
    else:
        from npgrad.models import registry

        model = registry.create(spelled("architecture", args.arch, registry.ARCHITECTURES))
    if outputs := getattr(args, "outputs", None):
        model = dataclasses.replace(model, outputs=outputs)
    changes = preprocessing_changes(args)
    return model.with_preprocessing(**changes) if changes else model


def class_index(model, target, expressions=False):
    """The index of a class by index or name; the error says which network was asked if none was given.

    expressions: whether the text may be an expression, which is then returned with its classes found.
    """
    try:
        return target_found(model, target) if expressions else model.class_index(target)
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


def layer_name(model, text):
    """The layer that --layer means: its name or alias in any spelling, which is said if it differs. None: None."""
    return text and spelled("layer", text, [*model.layer_names(), *model.aliases, INPUT])


def target_of(model, text):
    """What --target asks for: the index of a class, an expression, or None for "auto", each image's top class."""
    if text != "auto":
        return class_index(model, text, expressions=True)
    if text in (model.classes or ()):
        index = model.classes.index(text)
        warnings.warn(
            f"target 'auto' taken as the most likely class; class {index} is also named so", stacklevel=1
        )
    return None


def as_given(path):
    """A path as the user wrote it: "-" for the file that stands for stdin or stdout."""
    return STREAM if is_stream(path) else path


def named(path):
    """A path for the text of a result: as the user wrote it, or "stdin" or "stdout"."""
    return STREAMS.get(os.fspath(path), path)


@contextmanager
def collected_json(documents):
    """Keep what `print_json` is given in this list, for one document of all."""
    _collecting.append(documents)
    try:
        yield
    finally:
        _collecting.pop()


_collecting: list[list] = []


def _as_given(value):
    """The same with "-" for the files that stand for stdin and stdout."""
    if isinstance(value, dict):
        return {key: _as_given(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_given(item) for item in value]
    return as_given(value) if isinstance(value, str) else value


def print_json(value):
    """One JSON document on stdout; in ASCII where stdout's encoding does not have every character."""
    if _collecting:
        _collecting[-1].append(_as_given(value))
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(json.dumps(_as_given(value), indent=2, ensure_ascii=not encoding.lower().startswith("utf")))


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
