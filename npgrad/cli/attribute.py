"""Show which part of a picture a network's answer comes from: a heat map over the photo.

The raw array, unscaled and unsmoothed, is saved with --save-array; the picture is for the eye."""

import dataclasses
from pathlib import Path

from npgrad.cli.common import add_json, add_weights, network, print_json
from npgrad.errors import InputError
from npgrad.files import shown

HELP = "show which part of a picture the answer comes from"
EXAMPLES = """examples:
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 -o cat-saliency.png
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --target "tiger cat" -o tiger.png
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --target 281 -o tabby.png --save-array tabby.npy"""

METHODS = ("saliency",)


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help="a picture (JPEG, PNG, WebP, ...)")
    parser.add_argument("--method", choices=METHODS, default="saliency", help="default: saliency")
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME",
        help="the class asked about; auto: the likeliest",
    )
    add_weights(parser)
    parser.add_argument("-o", "--output", metavar="OUT.png", help="default: IMAGE-METHOD.png in this folder")
    parser.add_argument("--save-array", metavar="OUT.npy", help="save the raw array (C, H, W) as well")
    add_json(parser)


def run(args):
    output = Path(args.output or f"{Path(args.image).stem}-{args.method}.png")
    outputs = [output, *([Path(args.save_array)] if args.save_array else [])]
    for path in outputs:
        if path.exists() and Path(args.image).exists() and path.samefile(args.image):
            raise InputError(f"{shown(path)}: this is the photo itself; give another name for the result")

    model = network(args)
    x = model.preprocess(args.image)
    [target] = _targets(model, x, args.target)
    import npgrad.attribution
    from npgrad.display import heat_map
    from npgrad.images import save_png

    attribution = getattr(npgrad.attribution, args.method)(model, x, target)
    save_png(heat_map(attribution[0], _photo(model, args.image)), output)
    if args.save_array:
        save_array(attribution[0], args.save_array)
    probability = next(p for index, _, p in model.predict(x, top=model.num_classes)[0] if index == target)
    if args.json:
        print_json(
            {
                "image": args.image,
                "method": args.method,
                "target": {"index": target, "name": model.class_name(target), "probability": probability},
                "output": str(output),
                "array": args.save_array,
            }
        )
    else:
        name = model.class_name(target)
        print(f"{args.image}: {args.method} of {name} ({target}), probability {probability:.2%} -> {output}")


def save_array(array, path):
    """Write an .npy file, whole or not at all."""
    import numpy as np

    from npgrad.files import atomic_write

    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)


def _photo(model, path):
    """What the network sees of the photo, as pixels at twice the size: a person likes to see more."""
    seen = model.preprocessing
    twice = dataclasses.replace(seen, resize=2 * seen.resize, crop=2 * seen.crop)
    return twice.invert(twice.apply(path))[0]


def _targets(model, x, target):
    if target == "auto":
        return [int(i) for i in model(x).argmax(axis=1)]
    return [model.class_index(target)] * len(x)
