"""Render an image in the style of another: neural style transfer (Gatys, Ecker, Bethge 2016).

A preset holds the layers of one network and the weights that suit one painting; options replace single values. The
presets for SqueezeNet are the homework's, except that the total variation loss counts ten times as much: with less, a
fine grid is visible in uniform areas."""

from pathlib import Path

from npgrad._files import shown
from npgrad._names import spelled
from npgrad.cli import _synthesis as synthesis
from npgrad.cli._common import layer_name, load_network, names_of, print_json, whole_number_type
from npgrad.cli._streams import takes_stdin
from npgrad.images.seen import warn_unless_drawn

HELP = "image in the style of another image"
EXAMPLES = """examples:
  npgrad style npgrad-demo/scene.png npgrad-demo/style-scene.png
  npgrad style your-photo.jpg your-painting.jpg --weights squeezenet1_1 --preset the_scream --animate town.gif
  npgrad style your-photo.jpg your-painting.jpg your-other.jpg --blend 2,1 --weights squeezenet1_1 -o both.png
  npgrad style your-photo.jpg your-painting.jpg --sizes 192,384,768 --checkpoint town.ckpt --weights squeezenet1_1
  npgrad style your-photo.jpg your-painting.jpg your-other.jpg --mask your-sky.png --mask your-town.png
  npgrad style your-photo.jpg your-painting.jpg --weights vgg19 --optimizer lbfgs"""

# With the homework's weight, 200 steps leave a grid of 18/255 in the sky of starry_night; with ten times that, 4/255.
SMOOTHER = 10


def add_arguments(parser):
    takes_stdin(
        parser.add_argument(
            "content", metavar="CONTENT", help="image file whose content is kept; - is the one on stdin"
        )
    )
    takes_stdin(
        parser.add_argument(
            "styles", nargs="+", metavar="STYLE", help="image file whose style is used; several are blended"
        )
    )
    preset = parser.add_argument(
        "--preset",
        metavar="NAME",
        help="composition_vii, the_scream, starry_night (default) or inversion for SqueezeNet; gatys for VGG; "
        "structure for any network, which takes the last layer of each size",
    )
    names_of(preset, _presets)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--size", type=whole_number_type(1), metavar="PX", help="shorter side of the result (default 192)"
    )
    size.add_argument(
        "--sizes",
        type=_numbers(int),
        metavar="PX,PX,...",
        help="several shorter sides: the result of each, enlarged, is the start of the next, with --steps at each",
    )
    parser.add_argument(
        "--start", default="content", metavar="content|noise|FILE", help="initial image (default content)"
    )
    parser.add_argument("--optimizer", default="adam", metavar="adam|lbfgs", help="optimizer (default adam)")
    parser.add_argument(
        "--original-colors",
        action="store_true",
        help="keep the colors of the content; take only the brushwork",
    )
    parser.add_argument(
        "--blend", type=_numbers(float), metavar="W,W", help="weight of each style; default: equal"
    )
    parser.add_argument(
        "--mask",
        action="append",
        metavar="FILE",
        help="image that is bright where a style is used; give one for each style",
    )
    weights = parser.add_argument_group("instead of the preset's values, which are the defaults")
    weights.add_argument(
        "--style-size", type=whole_number_type(1), metavar="PX", help="shorter side of the style images"
    )
    weights.add_argument("--content-weight", type=float, metavar="W", help="weight of the content loss")
    weights.add_argument("--content-layer", metavar="NAME", help="layer of the content loss")
    weights.add_argument(
        "--style-weights", type=_numbers(float), metavar="W,W,...", help="weight of each style layer"
    )
    weights.add_argument("--style-layers", type=_names, metavar="NAME,...", help="layers of the style loss")
    weights.add_argument(
        "--tv-weight",
        type=float,
        metavar="W",
        help=f"weight of the total variation loss; default: {SMOOTHER} times the preset's",
    )
    synthesis.add_options(parser, "CONTENT-STYLE.png in this folder", "200", size=False, several=False)


def _presets():
    from npgrad.synthesis.presets import PRESETS

    return list(PRESETS)


def run(args):
    from npgrad.synthesis import presets
    from npgrad.synthesis.style_transfer import style_transfer

    args.output = synthesis.output_of(args, *(Path(p).stem for p in (args.content, *args.styles)))
    start = [] if args.start in ("content", "noise") else [args.start]
    synthesis.check_files(args, [args.content, *args.styles, *start, *(args.mask or []), args.weights])
    model = load_network(args)
    args.preset = args.preset and spelled("preset", args.preset, presets.PRESETS)
    args.optimizer = spelled("optimizer", args.optimizer, ("adam", "lbfgs"))
    args.content_layer = layer_name(model, args.content_layer)
    args.style_layers = args.style_layers and tuple(layer_name(model, name) for name in args.style_layers)
    warn_unless_drawn(model, [args.content, *args.styles])
    options = synthesis.given_options(
        args, "preset", "style_size", "sizes", "content_weight", "content_layer", "style_weights",
        "style_layers", "tv_weight", "steps", image_size="size", style_blend="blend", masks="mask",
    )  # fmt: skip
    preset = options.setdefault("preset", args.preset or presets.default_for(model))
    options.setdefault("tv_weight", SMOOTHER * presets.settings(preset, tv_weight=None)["tv_weight"])
    steps = (args.steps or 200) * len(args.sizes or [1])
    with synthesis.RunOutput(args, steps, lambda image: model.deprocess(image)[0]) as output:
        result = style_transfer(
            model,
            args.content,
            args.styles,
            optimizer=args.optimizer,
            start=args.start,
            original_colors=args.original_colors,
            rng=args.seed,
            callback=output,
            checkpoint=args.checkpoint,
            **options,
        )
    code = output.save(result)
    if args.json:
        layers = {"content_layer": result.content_layer, "style_layers": result.style_layers}
        print_json({"content": args.content, "styles": args.styles, **layers, **output.report(result)})
    else:
        height, width = result.image.shape[2:]
        print(f"{width}x{height} px, {result.steps} steps; {synthesis.losses_text(result)}")
        print(f"content of {result.content_layer}, style of {', '.join(result.style_layers) or 'no layer'}")
        print(f"{shown(args.content)} + {', '.join(map(shown, args.styles))}{output.arrow()}")
    return code


def _numbers(kind):
    """An argparse type: numbers separated by commas."""

    def convert(text):
        return tuple(kind(part) for part in text.split(","))

    convert.__name__ = "list of numbers (1,2,...)"
    return convert


def _names(text):
    return tuple(name.strip() for name in text.split(","))
