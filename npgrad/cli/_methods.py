"""The attribution methods as the command offers them: which options each takes."""

from npgrad.attribution.methods import METHODS, defaults, function_of, importance, takes
from npgrad.errors import InputError

__all__ = [
    "METHODS",
    "OPTIONS",
    "add_options",
    "defaults",
    "function_of",
    "importance",
    "options_of",
    "takes",
]

# argument of a method -> (its option, how it is read, help)
OPTIONS = {
    "layer": (str, "NAME", "the layer of a class activation map or layer method"),
    "n_steps": (int, "N", "points on the way from the baseline"),
    "n_samples": (int, "N", "random samples"),
    "window": (int, "PX", "side of the window that is hidden"),
    "stride": (int, "PX", "step of the window"),
    "rng": (int, "SEED", "seed of whatever is random"),
    "batch_size": (int, "N", "copies of the photo that go through together; changes no result"),
}


def options_of(name, args):
    """The options that were given, checked against what the method takes."""
    given = {key: getattr(args, key) for key in OPTIONS if getattr(args, key) is not None}
    for key in given:
        if not takes(name, key):
            fitting = ", ".join(_flag(other) for other in OPTIONS if takes(name, other)) or "none"
            raise InputError(f"{name} takes no {_flag(key)}; its options: {fitting}")
    return given


def add_options(parser):
    """The methods' own options."""
    for key, (kind, metavar, text) in OPTIONS.items():
        parser.add_argument(_flag(key), type=kind, metavar=metavar, help=text)


def _flag(key):
    return "--" + key.replace("_", "-")
