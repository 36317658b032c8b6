"""Change an image by gradient ascent so that a layer or one of its channels responds more.

This is DeepDream (Mordvintsev, Olah, Tyka 2015)."""

from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _synthesis as synthesis
from npgrad.cli._common import layer_name, load_network, print_json, whole_number_type
from npgrad.cli._images import add_images
from npgrad.errors import InputError
from npgrad.images import open_image
from npgrad.images.seen import warn_unless_drawn

HELP = "image with more of what a layer sees in it (DeepDream)"
EXAMPLES = """examples:
  npgrad dream npgrad-demo/scene.png --layer fire6
  npgrad dream your-photo.jpg --layer fire5 --channel 7 --size 512 --weights squeezenet1_1 --animate sky.webp"""

OCTAVES, STEPS = 4, 10


def add_arguments(parser):
    add_images(parser, cropped=False)
    parser.add_argument(
        "--layer", required=True, metavar="NAME", help="layer, e.g. fire6; `npgrad layers` lists them"
    )
    parser.add_argument(
        "--channel",
        type=whole_number_type(0),
        metavar="N",
        help="a single channel of the layer; default: all",
    )
    parser.add_argument(
        "--size",
        type=whole_number_type(1),
        default=384,
        metavar="PX",
        help="shorter side of the result (default 384)",
    )
    parser.add_argument(
        "--octaves",
        type=whole_number_type(1),
        default=OCTAVES,
        metavar="N",
        help=f"number of image sizes (default {OCTAVES})",
    )
    parser.add_argument("--learning-rate", type=float, metavar="R", help="step length (default 0.03)")
    synthesis.add_options(
        parser, "IMAGE-LAYER[-CHANNEL].png in this folder", f"{STEPS} per octave", size=False
    )


def run(args):
    from npgrad.synthesis.deep_dream import deep_dream

    model = load_network(args)
    layer = model.resolve(layer_name(model, args.layer))
    channel = () if args.channel is None else (args.channel,)
    args.output = synthesis.output_of(args, Path(args.image).stem, layer, *channel)
    synthesis.check_files(args, [args.image, args.weights])
    warn_unless_drawn(model, args.image)
    x = model.preprocess(_at_size(args.image, args.size), resize=False)
    options = synthesis.given_options(args, "channel", "octaves", "steps", "learning_rate")
    total = args.octaves * (args.steps or STEPS)
    with synthesis.RunOutput(args, total, lambda image: model.deprocess(image)[0]) as output:
        result = deep_dream(
            model, x, layer, rng=args.seed, callback=output, checkpoint=args.checkpoint, **options
        )
    code = output.save(result)
    if args.json:
        print_json({"image": args.image, "layer": layer, "channel": args.channel, **output.report(result)})
    else:
        height, width = x.shape[2:]
        print(f"{layer}, {width}x{height} px, {result.steps} steps; {synthesis.losses_text(result)}")
        print(f"{shown(args.image)}{output.arrow()}")
    return code


def _at_size(path, size):
    """The whole image, resized so that its shorter side has `size` px."""
    image = open_image(path)
    width, height = (round(size * side / min(image.size)) for side in image.size)
    if width * height > 4_000_000:
        raise InputError(
            f"--size: {width}x{height} px would take gigabytes of memory; expected at most 4,000,000 pixels"
        )
    return image.resize((width, height))
