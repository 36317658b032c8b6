"""Paint an image in the style of another (Gatys, Ecker, Bethge 2016).

A preset holds the layers of one network and the weights that suit one painting; each of them can be given by itself.
Those for SqueezeNet are the homework's but for one: total variation counts ten times as much, or a fine grid is left in
even parts."""

from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _synthesis as making
from npgrad.cli._common import network, print_json, whole_number

HELP = "paint an image in the style of another"
EXAMPLES = """examples:
  npgrad style town.jpg starry_night.jpg --weights squeezenet1_1.h5
  npgrad style town.jpg the_scream.jpg --preset the_scream --weights squeezenet1_1.h5 --animate town.gif
  npgrad style town.jpg night.jpg muse.jpg --blend 2,1 --original-colors --weights squeezenet1_1.h5 -o both.png
  npgrad style town.jpg night.jpg --sizes 192,384,768 --checkpoint town.ckpt --weights squeezenet1_1.h5
  npgrad style town.jpg night.jpg muse.jpg --mask sky.png --mask houses.png --weights squeezenet1_1.h5
  npgrad style town.jpg night.jpg --weights vgg19 --optimizer lbfgs"""

# With the homework's weight, 200 steps leave a grid of 18/255 in starry_night's sky; with ten times that, 4/255.
SMOOTHER = 10


def add_arguments(parser):
    parser.add_argument("content", metavar="CONTENT", help="what is to be seen: an image")
    parser.add_argument(
        "styles", nargs="+", metavar="STYLE", help="how it is to be painted: an image or several"
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="composition_vii, the_scream, starry_night (the default) or inversion, for SqueezeNet; gatys, for VGG",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", type=whole_number(1), metavar="PX", help="the result's shorter side (192)")
    size.add_argument(
        "--sizes",
        type=_numbers(int),
        metavar="PX,PX,...",
        help="instead: small first, then enlarged and gone on with, --steps at each; e.g. 192,384",
    )
    parser.add_argument(
        "--start", default="content", metavar="content|noise|FILE", help="what the run begins with (content)"
    )
    parser.add_argument("--optimizer", default="adam", metavar="adam|lbfgs", help="default: adam")
    parser.add_argument(
        "--original-colors",
        action="store_true",
        help="the content keeps its colors; brushwork alone is taken",
    )
    parser.add_argument(
        "--blend", type=_numbers(float), metavar="W,W", help="how strong each style is; default: all alike"
    )
    parser.add_argument(
        "--mask",
        action="append",
        metavar="FILE",
        help="where a style goes, bright is there: once for each style",
    )
    weights = parser.add_argument_group("instead of what the preset says")
    weights.add_argument("--style-size", type=whole_number(1), metavar="PX", help="the style's shorter side")
    weights.add_argument("--content-weight", type=float, metavar="W", help="how much the content counts")
    weights.add_argument("--content-layer", metavar="NAME", help="the layer that it is compared at")
    weights.add_argument(
        "--style-weights", type=_numbers(float), metavar="W,W,...", help="how much each style layer counts"
    )
    weights.add_argument("--style-layers", type=_names, metavar="NAME,...", help="the style layers")
    weights.add_argument(
        "--tv-weight",
        type=float,
        metavar="W",
        help=f"how much smoothness counts; default: {SMOOTHER} times the preset's",
    )
    making.add_options(parser, "CONTENT-STYLE.png in this folder", "200")


def run(args):
    from npgrad.synthesis import presets
    from npgrad.synthesis.style_transfer import style_transfer

    args.output = args.output or making.file_name(*(Path(p).stem for p in (args.content, *args.styles)))
    start = [] if args.start in ("content", "noise") else [args.start]
    making.check_files(args, [args.content, *args.styles, *start, *(args.mask or []), args.weights])
    model = network(args)
    options = making.given(
        args, "preset", "style_size", "sizes", "content_weight", "content_layer", "style_weights",
        "style_layers", "tv_weight", "steps", image_size="size", style_blend="blend", masks="mask",
    )  # fmt: skip
    layers_given = args.content_layer is not None and args.style_layers is not None
    preset = options.setdefault("preset", args.preset or presets.default_for(model, layers_given))
    options.setdefault("tv_weight", SMOOTHER * presets.settings(preset, tv_weight=None)["tv_weight"])
    steps = (args.steps or 200) * len(args.sizes or [1])
    with making.Making(args, steps, lambda image: model.deprocess(image)[0]) as follow:
        result = style_transfer(
            model,
            args.content,
            args.styles,
            optimizer=args.optimizer,
            start=args.start,
            original_colors=args.original_colors,
            rng=args.seed,
            callback=follow,
            checkpoint=args.checkpoint,
            **options,
        )
    code = follow.save(result)
    if args.json:
        print_json({"content": args.content, "styles": args.styles, **follow.report(result)})
    else:
        height, width = result.image.shape[2:]
        print(f"{width}x{height} px, {result.steps} steps; {making.last_losses(result)}")
        print(f"{shown(args.content)} + {', '.join(map(shown, args.styles))} -> {shown(args.output)}")
    return code


def _numbers(kind):
    """An argparse type: numbers separated by commas."""

    def convert(text):
        return tuple(kind(part) for part in text.split(","))

    convert.__name__ = "list of numbers (1,2,...)"
    return convert


def _names(text):
    return tuple(name.strip() for name in text.split(",") if name.strip())
