"""Rebuild an image from what a layer of the network makes of it (Mahendran, Vedaldi 2015).

The run begins with noise and looks for an image with the same activation at that layer. What is missing from it
is what the network has forgotten there: the deeper the layer, the more."""

from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _synthesis as making
from npgrad.cli._common import network, print_json

HELP = "rebuild an image from what a layer makes of it"
EXAMPLES = """examples:
  npgrad invert cat.jpg --layer fire4 --weights squeezenet1_1.h5
  npgrad invert cat.jpg --layer fire9 --weights squeezenet1_1.h5 --steps 400 --seed 3 -o cat-from-fire9.png
  npgrad invert cat.jpg --layer fire6 --weights squeezenet1_1.h5 --optimizer lbfgs --animate cat.gif"""


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help="an image (JPEG, PNG, WebP, ...)")
    parser.add_argument(
        "--layer", required=True, metavar="NAME", help="the layer, e.g. fire4; `npgrad layers` has all"
    )
    parser.add_argument(
        "--content-weight",
        type=float,
        metavar="W",
        help="how much likeness at the layer counts; default: made to suit the layer (6e-2 in the homework)",
    )
    parser.add_argument(
        "--tv-weight",
        type=float,
        metavar="W",
        help="how much smoothness (total variation) counts; default 1e-3 (2e-2 in the homework)",
    )
    parser.add_argument("--optimizer", default="adam", metavar="adam|lbfgs", help="default: adam")
    parser.add_argument(
        "--start", default="noise", metavar="noise|FILE", help="what the run begins with (noise)"
    )
    making.add_options(parser, "IMAGE-from-LAYER.png in this folder", "200")


def run(args):
    from npgrad.synthesis.inversion import invert_features

    model = network(args)
    layer = model.resolve(args.layer)
    args.output = args.output or making.file_name(Path(args.image).stem, "from", layer)
    start = [] if args.start in ("content", "noise") else [args.start]
    making.check_files(args, [args.image, *start, args.weights])
    x = model.preprocess(args.image)
    options = making.given(args, "steps", "content_weight", "tv_weight")
    with making.Making(args, args.steps or 200, lambda image: model.deprocess(image)[0]) as follow:
        result = invert_features(
            model,
            x,
            layer,
            optimizer=args.optimizer,
            start=args.start,
            rng=args.seed,
            callback=follow,
            checkpoint=args.checkpoint,
            **options,
        )
    code = follow.save(result)
    if args.json:
        found = {"correlation": result.correlation, "relative_error": result.relative_error}
        print_json({"image": args.image, "layer": layer, **found, **follow.report(result)})
    else:
        print(f"{layer}, {result.steps} steps; {making.last_losses(result)}")
        print(
            f"the layer's activation is met but for {result.relative_error:.2%}; "
            f"correlation with the image itself {result.correlation:.3f}"
        )
        print(f"{shown(args.image)} -> {shown(args.output)}")
    return code
