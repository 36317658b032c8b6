"""The attribution methods as the command offers them: which options each takes."""

from npgrad.cli._common import SEED_HELP, layer_name, names_of, whole_number_type
from npgrad.errors import InputError

# keyword of a method -> (its option, how it is read, metavar, help)
OPTIONS = {
    "layer": (
        "--layer",
        str,
        "NAME",
        "layer of a class activation map or layer method; A,B,...: the mean of the maps; default: the network's last "
        "with spatial positions",
    ),
    "n_steps": (
        "--n-steps",
        int,
        "N",
        "integration steps along the path from the baseline to the image (default 50; guided_ig 200)",
    ),
    "tolerance": (
        "--tolerance",
        float,
        "T",
        "largest relative error of integrated gradients: steps double until it is reached, or a warning says it is not",
    ),
    "n_samples": (
        "--n-samples",
        int,
        "N",
        "number of random samples (default 25; gradient_shap 5, lime and kernel_shap 200, rise 1000)",
    ),
    "window": (
        "--window",
        int,
        "PX",
        "side of the window that is hidden (default 45, or a fifth of an image below 225 px)",
    ),
    "stride": (
        "--stride",
        int,
        "PX",
        "distance between neighboring windows (default 16, or 16/45 of the window)",
    ),
    "rng": (
        "--seed",
        whole_number_type(0),
        "N",
        SEED_HELP.format(default=0, gives="image"),
    ),
    "batch_size": (
        "--batch-size",
        int,
        "N",
        "copies of the image per forward pass; does not change the result",
    ),
}


def __getattr__(name):
    """The table of methods, `npgrad.attribution.methods`: imported when first used, since all methods come with it."""
    from npgrad.attribution import methods

    return getattr(methods, name)


def known():
    """The names of all methods."""
    from npgrad.attribution.methods import METHODS

    return list(METHODS)


def add_methods(parser, text, **options):
    """--methods A,B,...: several methods; text: what the help says of the default."""
    methods = parser.add_argument(
        "--methods",
        help=f"attribution methods (`npgrad attribute --list-methods` lists them); default: {text}",
        **{"metavar": "A,B,...", **options},
    )
    names_of(methods, known, several=True)


def add_options(parser):
    """The methods' own options."""
    group = parser.add_argument_group("method options (each method takes only some of them)")
    for key, (flag, kind, metavar, text) in OPTIONS.items():
        group.add_argument(flag, dest=key, type=kind, metavar=metavar, help=text)


def options_of(names, args):
    """The options that were given, checked against what the method takes; of several methods, none may be given."""
    from npgrad.attribution.methods import takes

    given = {key: getattr(args, key) for key in OPTIONS if getattr(args, key) is not None}
    if len(names) > 1:
        if given:
            raise InputError(
                f"{OPTIONS[next(iter(given))][0]}: expected one --method, since several take different options"
            )
        return {}
    [name] = names
    for key in given:
        if not takes(name, key):
            fitting = ", ".join(OPTIONS[other][0] for other in OPTIONS if takes(name, other)) or "none"
            raise InputError(f"{name} takes no {OPTIONS[key][0]}; its options: {fitting}")
    return given


def with_layer_name(model, options):
    """The options with --layer as the network spells it; several are separated by commas."""
    options = dict(options)
    if text := options.get("layer"):
        names = [layer_name(model, name.strip()) for name in text.split(",")]
        options["layer"] = names if len(names) > 1 else names[0]
    return options


def method_names(text):
    """The names in a list with commas; UnknownName for one that is not a method."""
    from npgrad.attribution.methods import method_name

    return [method_name(name.strip()) for name in text.split(",")]
