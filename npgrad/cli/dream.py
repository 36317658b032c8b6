"""Show an image as a layer dreams it: whatever the layer sees in it, more of that (Mordvintsev, Olah, Tyka 2015)."""

from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _synthesis as making
from npgrad.cli._common import network, print_json, whole_number
from npgrad.errors import InputError
from npgrad.images import open_image

HELP = "show an image as a layer dreams it"
EXAMPLES = """examples:
  npgrad dream sky.jpg --layer fire6 --weights squeezenet1_1.h5
  npgrad dream sky.jpg --layer fire5 --channel 7 --size 512 --weights squeezenet1_1.h5 --animate sky.webp"""

OCTAVES, STEPS = 4, 10


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help="an image (JPEG, PNG, WebP, ...)")
    parser.add_argument(
        "--layer", required=True, metavar="NAME", help="the layer, e.g. fire6; `npgrad layers` has all"
    )
    parser.add_argument("--channel", type=whole_number(0), metavar="N", help="one channel of it, not all")
    parser.add_argument(
        "--size", type=whole_number(1), default=384, metavar="PX", help="the result's shorter side (384)"
    )
    parser.add_argument(
        "--octaves", type=whole_number(1), default=OCTAVES, metavar="N", help=f"sizes of forms ({OCTAVES})"
    )
    parser.add_argument("--learning-rate", type=float, metavar="R", help="how strong each step is (0.03)")
    making.add_options(parser, "IMAGE-LAYER.png in this folder", f"{STEPS} for each of the octaves")


def run(args):
    from npgrad.synthesis.deep_dream import deep_dream

    model = network(args)
    layer = model.resolve(args.layer)
    args.output = args.output or making.file_name(Path(args.image).stem, layer)
    making.check_files(args, [args.image, args.weights])
    x = model.preprocess(_at_size(args.image, args.size), resize=False)
    options = making.given(args, "channel", "octaves", "steps", "learning_rate")
    total = args.octaves * (args.steps or STEPS)
    with making.Making(args, total, lambda image: model.deprocess(image)[0]) as follow:
        result = deep_dream(
            model, x, layer, rng=args.seed, callback=follow, checkpoint=args.checkpoint, **options
        )
    code = follow.save(result)
    if args.json:
        print_json({"image": args.image, "layer": layer, "channel": args.channel, **follow.report(result)})
    else:
        height, width = x.shape[2:]
        print(f"{layer}, {width}x{height} px, {result.steps} steps; {making.last_losses(result)}")
        print(f"{shown(args.image)} -> {shown(args.output)}")
    return code


def _at_size(path, size):
    """The whole image, its shorter side brought to `size` px."""
    image = open_image(path)
    width, height = (round(size * side / min(image.size)) for side in image.size)
    if width * height > 4_000_000:
        raise InputError(f"--size: {width}x{height} px would take gigabytes; at most 4,000,000 pixels")
    return image.resize((width, height))
