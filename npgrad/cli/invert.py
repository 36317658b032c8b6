"""Reconstruct an image from the activation of one layer: feature inversion (Mahendran, Vedaldi 2015).

The run starts from noise and looks for an image with the same activation at that layer. What the reconstruction lacks,
the network has discarded by then; the deeper the layer, the more."""

from pathlib import Path

from npgrad._files import shown
from npgrad._names import spelled
from npgrad.cli import _synthesis as synthesis
from npgrad.cli._common import layer_name, load_network, print_json
from npgrad.cli._images import add_images

HELP = "image reconstructed from one layer's activation"
EXAMPLES = """examples:
  npgrad invert npgrad-demo/scene.png --layer fire4
  npgrad invert your-photo.jpg --layer fire9 --weights squeezenet1_1 --steps 400 --seed 3 -o from-fire9.png
  npgrad invert your-photo.jpg --layer fire6 --weights squeezenet1_1 --optimizer lbfgs --animate inversion.gif"""


def add_arguments(parser):
    add_images(parser)
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="layer, e.g. fire4; `npgrad layers` lists them; default: the deepest with an eighth of the image's size",
    )
    parser.add_argument(
        "--content-weight",
        type=float,
        metavar="W",
        help="weight of the content loss; default: chosen to suit the layer (6e-2 in the homework)",
    )
    parser.add_argument(
        "--tv-weight",
        type=float,
        metavar="W",
        help="weight of the total variation loss (default 1e-3; 2e-2 in the homework)",
    )
    parser.add_argument("--optimizer", default="adam", metavar="adam|lbfgs", help="optimizer (default adam)")
    parser.add_argument(
        "--start", default="noise", metavar="noise|FILE", help="initial image (default noise)"
    )
    synthesis.add_options(parser, "IMAGE-from-LAYER.png in this folder", "200")


def run(args):
    from npgrad.synthesis.inversion import invert_features
    from npgrad.synthesis.structure import middle_layer

    model = load_network(args)
    layer, x = layer_name(model, args.layer), None
    if layer is None:
        x = model.preprocess(args.image)
    layer = middle_layer(model, x) if layer is None else model.resolve(layer)
    args.output = synthesis.output_of(args, Path(args.image).stem, "from", layer)
    start = [] if args.start in ("content", "noise") else [args.start]
    synthesis.check_files(args, [args.image, *start, args.weights])
    x = model.preprocess(args.image) if x is None else x
    options = synthesis.given_options(args, "steps", "content_weight", "tv_weight")
    with synthesis.RunOutput(args, args.steps or 200, lambda image: model.deprocess(image)[0]) as output:
        result = invert_features(
            model,
            x,
            layer,
            optimizer=spelled("optimizer", args.optimizer, ("adam", "lbfgs")),
            start=args.start,
            rng=args.seed,
            callback=output,
            checkpoint=args.checkpoint,
            **options,
        )
    code = output.save(result)
    if args.json:
        found = {"correlation": result.correlation, "relative_error": result.relative_error}
        print_json({"image": args.image, "layer": layer, **found, **output.report(result)})
    else:
        print(f"{layer}, {result.steps} steps; {synthesis.losses_text(result)}")
        print(
            f"relative error of the layer's activation {result.relative_error:.2%}; "
            f"correlation with the original image {result.correlation:.3f}"
        )
        print(f"{shown(args.image)}{output.arrow()}")
    return code
