"""Make an image, starting from noise, to which a class, or a channel or single neuron of a layer, responds as strongly
as possible: class visualization and feature visualization by gradient ascent."""

from npgrad._names import spelled
from npgrad._outputs import measure, measured
from npgrad.cli import _synthesis as synthesis
from npgrad.cli._common import (
    EXPRESSION_HELP,
    TARGET_HELP,
    add_outputs,
    class_index,
    layer_name,
    load_network,
    print_json,
    whole_number_type,
)
from npgrad.errors import InputError

HELP = "image that a class, a channel or a neuron responds to most"
EXAMPLES = """examples:
  npgrad visualize tartan
  npgrad visualize flamingo --weights squeezenet1_1
  npgrad visualize "great white shark" --weights squeezenet1_1 --seed 7 --animate shark.gif -o shark.png
  npgrad visualize flamingo --weights squeezenet1_1 --method pixels --steps 200
  npgrad visualize "tabby - golden retriever" --weights squeezenet1_1
  npgrad visualize --layer fire6 --channel 10"""


def add_arguments(parser):
    parser.add_argument("target", nargs="?", metavar="CLASS", help=f"{TARGET_HELP}; {EXPRESSION_HELP}")
    parser.add_argument(
        "--layer", metavar="NAME", help="layer instead of a class; `npgrad layers` lists them"
    )
    parser.add_argument(
        "--channel", type=whole_number_type(0), metavar="N", help="with --layer: index of the channel"
    )
    parser.add_argument(
        "--neuron",
        type=_place,
        metavar="ROW,COLUMN",
        help="with --channel: a single neuron of it; default: all",
    )
    parser.add_argument(
        "--method",
        default="fourier",
        metavar="fourier|pixels",
        help="fourier (default): ascent on the Fourier coefficients, which gives larger, smoother forms; "
        "pixels: ascent on the pixels, as in the homework",
    )
    parser.add_argument(
        "--size", type=whole_number_type(1), metavar="PX", help="side of the image; default: the network's"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="R", help="step length; default: fourier 0.04, pixels 25"
    )
    parser.add_argument(
        "--l2-reg",
        type=float,
        metavar="W",
        help="weight of the L2 regularization; default: fourier 0.03, pixels 1e-3",
    )
    parser.add_argument(
        "--contrast",
        type=float,
        metavar="W",
        help="weight of the other classes' scores, which are lowered; default: fourier 0.6, pixels 0",
    )
    add_outputs(parser)
    synthesis.add_options(
        parser, "CLASS-METHOD.png in this folder", "150; pixels 100", size=False, several=False
    )


def run(args):
    from npgrad.synthesis.class_visualization import DEFAULTS, create_class_visualization

    args.method = spelled("method", args.method, DEFAULTS)
    model = load_network(args)
    target, name = _target(args, model)
    args.output = synthesis.output_of(args, name, args.method)
    synthesis.check_files(args, [args.weights])
    steps = args.steps or DEFAULTS[args.method]["num_iterations"]
    options = synthesis.given_options(
        args, "size", "learning_rate", "l2_reg", "contrast", num_iterations="steps"
    )
    with synthesis.RunOutput(args, steps, lambda image: model.deprocess(image)[0]) as output:
        result = create_class_visualization(
            model,
            method=args.method,
            rng=args.seed,
            callback=output,
            checkpoint=args.checkpoint,
            **target,
            **options,
        )
    code = output.save(result)
    _report(model, target, result, output, args)
    return code


def _target(args, model):
    """The target: keywords of create_class_visualization, and a name for the file."""
    if (args.target is None) == (args.layer is None):
        found = "both" if args.target else "none"
        raise InputError(f"visualize: expected a CLASS, or --layer and --channel, found {found}")
    if args.target is not None:
        for option in ("channel", "neuron"):
            if getattr(args, option) is not None:
                raise InputError(f"--{option}: expected a --layer, found class {args.target!r}")
        found = class_index(model, args.target, expressions=True)
        return {"target": found}, model.class_name(found) if isinstance(found, int) else str(found)
    if args.channel is None:
        raise InputError("--layer: expected --channel N as well, found none")
    layer = model.resolve(layer_name(model, args.layer))
    target = {"layer": layer, "channel": args.channel, "neuron": args.neuron}
    return target, "-".join(map(str, (layer, args.channel, *(args.neuron or ()))))


def _place(text):
    row, column = (int(part) for part in text.split(","))
    return row, column


_place.__name__ = "position ROW,COLUMN"


def _report(model, target, result, output, args):
    """Print the class of the saved file (of the image, if it could not be saved), at its own size."""
    x = model.preprocess(args.output, resize=False) if output.there else result.image
    [seen] = model.predict(x, top=model.num_classes)
    asked_for = target.get("target")
    index, name, number = seen[asked_for if not model.has_classes and isinstance(asked_for, int) else 0]
    if args.json:
        if asked_for is not None and not isinstance(asked_for, int):
            target = {"target": str(asked_for)}
        found = {"score": result.score, measure(model): {i: p for i, _, p in seen}.get(asked_for)}
        classes = {"index": index, "name": name, measure(model): number}
        print_json({**target, "method": args.method, **found, "seen": classes, **output.report(result)})
        return
    print(f"{args.method}, {result.steps} steps; score {result.score:.4g}")
    if args.layer is None:
        what = "file" if output.there else "image"
        says = "is classified as" if model.has_classes else "gives"
        print(f"the {what} {says} {name} ({index}), {measure(model)} {measured(measure(model), number)}")
    if output.there:
        print(output.arrow().strip())
