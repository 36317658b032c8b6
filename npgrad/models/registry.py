"""The networks that npgrad builds by name."""

from npgrad.errors import WeightsError, unknown
from npgrad.models import squeezenet

BUILDERS = dict.fromkeys(squeezenet.VERSIONS, squeezenet.build)


def skeleton(architecture, room):
    """The Model of {"name", "options"}, every parameter zero.

    `room` bounds what is built: a file cannot ask for more numbers than it has bytes.
    """
    if not isinstance(architecture, dict) or set(architecture) != {"name", "options"}:
        raise WeightsError(f"architecture: expected name and options, found {str(architecture)[:60]!r}")
    name, options = architecture["name"], architecture["options"]
    if name not in BUILDERS:
        raise unknown("architecture", name, BUILDERS)
    if not isinstance(options, dict) or set(options) - {"num_classes", "conv10_padding"}:
        raise WeightsError(f"architecture: {name} has no options {str(options)[:60]!r}")
    if (
        not all(type(value) is int for value in options.values())
        or options.get("num_classes", 1) > room // 512
    ):
        raise WeightsError(f"architecture: {name} cannot have the options {str(options)[:60]!r}")
    return BUILDERS[name](name, **options)


def fresh(name, rng=0):
    """The network `name`, freshly initialised; UnknownName lists the nearest names."""
    if name not in BUILDERS:
        raise unknown("architecture", name, BUILDERS)
    return getattr(squeezenet, name)(rng=rng)
