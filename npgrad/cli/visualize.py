"""Show what a class, or a channel or single neuron of a layer, looks like to the network: an image made from noise
that it answers to as strongly as it can."""

from npgrad._files import shown
from npgrad.cli import _synthesis as making
from npgrad.cli._common import network, print_json, whole_number
from npgrad.errors import InputError, unknown

HELP = "show what a class or a channel looks like to the network"
EXAMPLES = """examples:
  npgrad visualize flamingo --weights squeezenet1_1.h5
  npgrad visualize great_white_shark --weights squeezenet1_1.h5 --seed 7 --animate shark.gif -o shark.png
  npgrad visualize flamingo --weights squeezenet1_1.h5 --method pixels --steps 200
  npgrad visualize --layer fire6 --channel 10 --weights squeezenet1_1.h5"""


def add_arguments(parser):
    parser.add_argument("target", nargs="?", metavar="CLASS", help="its index or name")
    parser.add_argument(
        "--layer", metavar="NAME", help="instead of a class: a layer, `npgrad layers` has all"
    )
    parser.add_argument("--channel", type=whole_number(0), metavar="N", help="with --layer: which channel")
    parser.add_argument(
        "--neuron", type=_place, metavar="ROW,COLUMN", help="with --channel: one neuron of it, not all"
    )
    parser.add_argument(
        "--method",
        default="fourier",
        metavar="fourier|pixels",
        help="fourier: waves are changed, not pixels, which gives larger and calmer forms (the default); "
        "pixels: the homework's way",
    )
    parser.add_argument("--size", type=whole_number(1), metavar="PX", help="side; default: the network's")
    parser.add_argument("--learning-rate", type=float, metavar="R", help="default: the method's own")
    parser.add_argument(
        "--l2-reg", type=float, metavar="W", help="how much strong colors cost; default: the method's own"
    )
    making.add_options(parser, "CLASS-METHOD.png in this folder", "150; pixels 100")


def run(args):
    from npgrad.synthesis.class_visualization import DEFAULTS, create_class_visualization

    model = network(args)
    asked, name = _asked(args, model)
    args.output = args.output or making.file_name(name, args.method)
    making.check_files(args, [args.weights])
    if args.method not in DEFAULTS:
        raise unknown("method", args.method, DEFAULTS)
    steps = args.steps or DEFAULTS[args.method]["num_iterations"]
    options = making.given(args, "size", "learning_rate", "l2_reg", num_iterations="steps")
    with making.Making(args, steps, lambda image: model.deprocess(image)[0]) as follow:
        result = create_class_visualization(
            model,
            method=args.method,
            rng=args.seed,
            callback=follow,
            checkpoint=args.checkpoint,
            **asked,
            **options,
        )
    code = follow.save(result)
    _report(model, asked, result, follow, args)
    return code


def _asked(args, model):
    """What is to be shown: keywords of create_class_visualization, and its name."""
    if (args.target is None) == (args.layer is None):
        found = "both" if args.target else "none"
        raise InputError(f"visualize: expected a CLASS, or --layer and --channel, found {found}")
    if args.target is not None:
        for option in ("channel", "neuron"):
            if getattr(args, option) is not None:
                raise InputError(f"--{option}: belongs to a --layer, found class {args.target!r}")
        target = model.class_index(args.target)
        return {"target": target}, model.class_name(target)
    if args.channel is None:
        raise InputError("--layer: which channel of it? expected --channel N, found none")
    layer = model.resolve(args.layer)
    asked = {"layer": layer, "channel": args.channel, "neuron": args.neuron}
    return asked, "-".join(map(str, (layer, args.channel, *(args.neuron or ()))))


def _place(text):
    row, column = (int(part) for part in text.split(","))
    return row, column


_place.__name__ = "place ROW,COLUMN"


def _report(model, asked, result, follow, args):
    """What the network makes of the file, at the size that it has."""
    [seen] = model.predict(model.preprocess(args.output, resize=False), top=model.num_classes)
    index, name, probability = seen[0]
    if args.json:
        found = {"score": result.score, "probability": {i: p for i, _, p in seen}.get(asked.get("target"))}
        classes = {"index": index, "name": name, "probability": probability}
        print_json({**asked, "method": args.method, **found, "seen": classes, **follow.report(result)})
        return
    print(f"{args.method}, {result.steps} steps; score {result.score:.4g}")
    if args.layer is None:
        print(f"read again, the file is seen as {name} ({index}), probability {probability:.2%}")
    print(f"-> {shown(args.output)}")
