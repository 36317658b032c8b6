"""Show which part of a picture a network's answer comes from: a heat map over the photo.

The raw array, unscaled and unsmoothed, is saved with --save-array; the picture is for the eye. `--method all` makes
one labelled sheet of every method; `--list-methods` tells what there is."""

import dataclasses
import time
from pathlib import Path

from npgrad.cli import methods
from npgrad.cli.common import add_json, add_weights, asked, network, print_json, progress_bar, table
from npgrad.errors import InputError
from npgrad.files import shown

HELP = "show which part of a picture the answer comes from"
EXAMPLES = """examples:
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 -o cat-saliency.png
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --method grad_cam --target "tiger cat" -o tiger.png
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --method integrated_gradients --n-steps 20 --save-array ig.npy
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --method all -o sheet.png
  npgrad attribute --list-methods"""


def add_arguments(parser):
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="a picture (JPEG, PNG, WebP, ...)")
    parser.add_argument("--method", default="saliency", metavar="NAME|all", help="default: saliency")
    parser.add_argument("--list-methods", action="store_true", help="print the methods' names and end")
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME",
        help="the class asked about; auto: the likeliest",
    )
    add_weights(parser)
    parser.add_argument("-o", "--output", metavar="OUT.png", help="default: IMAGE-METHOD.png in this folder")
    parser.add_argument("--save-array", metavar="OUT.npy", help="save the raw array as well")
    methods.add_options(parser)
    show = parser.add_argument_group("how it is shown (the raw array is not touched)")
    show.add_argument(
        "--sign",
        choices=("absolute", "positive", "signed"),
        help="show sizes, what speaks for the class, or both directions around 0; default: as fits the method",
    )
    show.add_argument(
        "--outliers",
        type=float,
        default=2.0,
        metavar="PERCENT",
        help="share of the sum that may be clipped (default 2)",
    )
    show.add_argument("--alone", action="store_true", help="without the photo beneath")
    add_json(parser)


def run(args):
    if args.list_methods:
        return _list(args)
    if not args.image:
        raise InputError("attribute: expected a picture, found none; `npgrad attribute --help` has examples")
    if args.method != "all":
        methods.options_of(args.method, args)  # before any work is done
    elif args.save_array:
        raise InputError("--save-array: one array is saved; give one --method, not all")
    output = Path(args.output or f"{Path(args.image).stem}-{args.method}.png")
    for path in [output, *([Path(args.save_array)] if args.save_array else [])]:
        if path.exists() and Path(args.image).exists() and path.samefile(args.image):
            raise InputError(f"{shown(path)}: this is the photo itself; give another name for the result")

    model = network(args)
    x = model.preprocess(args.image)
    target = asked(model, x, args.target)
    photo = _photo(model, args.image)
    picture = (
        _sheet(model, x, target, photo, args) if args.method == "all" else _one(model, x, target, photo, args)
    )
    from npgrad.images import save_png

    save_png(picture, output)
    return _report(model, x, target, output, args)


def _one(model, x, target, photo, args):
    attribution = _attribution(args.method, model, x, target, args)[0]
    if args.save_array:
        save_array(attribution, args.save_array)
    return _picture(args.method, attribution, photo, args)


def _sheet(model, x, target, photo, args):
    """Every method on one photo, each with its name and the time it took."""
    from PIL import Image

    from npgrad.display import contact_sheet

    tiles, labels = [Image.fromarray(photo)], [f"{model.class_name(target)}"]
    progress = progress_bar("methods", unit="")
    try:
        for done, name in enumerate(methods.METHODS):
            start = time.perf_counter()
            attribution = _attribution(name, model, x, target, args, quiet=True)[0]
            seconds = time.perf_counter() - start
            tiles.append(_picture(name, attribution, photo, args))
            labels.append(f"{name}, {seconds:.2g} s")
            progress(done + 1, len(methods.METHODS))
    finally:
        progress.close()
    return contact_sheet(tiles, labels)


def _attribution(name, model, x, target, args, quiet=False):
    """The raw array of one method, with a progress bar if it may take long."""
    options = methods.defaults(name, model, x)
    if not quiet:
        options |= methods.options_of(name, args)
    if quiet or not methods.takes(name, "progress"):
        return methods.function_of(name)(model, x, target, **options)
    progress = progress_bar(name, unit="")
    try:
        return methods.function_of(name)(model, x, target, progress=progress, **options)
    finally:
        progress.close()


def _picture(name, attribution, photo, args):
    from npgrad.display import heat_map

    sign = args.sign or methods.METHODS[name].sign
    beneath = None if args.alone else photo
    return heat_map(attribution, beneath, sign=sign, outliers=args.outliers)


def _photo(model, path):
    """What the network sees of the photo, as pixels at twice the size: a person likes to see more."""
    seen = model.preprocessing
    twice = dataclasses.replace(seen, resize=2 * seen.resize, crop=2 * seen.crop)
    return twice.invert(twice.apply(path))[0]


def save_array(array, path):
    """Write an .npy file, whole or not at all."""
    import numpy as np

    from npgrad.files import atomic_write

    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)


def _report(model, x, target, output, args):
    probability = next(p for index, _, p in model.predict(x, top=model.num_classes)[0] if index == target)
    name = model.class_name(target)
    if args.json:
        return print_json(
            {
                "image": args.image,
                "method": args.method,
                "target": {"index": target, "name": name, "probability": probability},
                "output": str(output),
                "array": args.save_array,
            }
        )
    print(f"{args.image}: {args.method} of {name} ({target}), probability {probability:.2%} -> {output}")
    return None


def _list(args):
    if args.json:
        return print_json({name: method.note for name, method in methods.METHODS.items()})
    print(table([[name, method.note] for name, method in methods.METHODS.items()]))
    return None
