"""Make a page about what attribution methods say of an image, how good they are, and whether they agree.

The page is one file, which opens from disk and makes no request: every method with its heat map and a sentence, the
measures of `npgrad evaluate` beside those of a random map, and the rank correlation of each pair of methods. All
methods take minutes; --methods chooses some."""

import os
from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _methods as methods
from npgrad.cli._common import (
    CROPPED_HELP,
    EXPRESSION_HELP,
    TARGET_HELP,
    add_json,
    image_of,
    load_network,
    print_json,
    progress_bar,
    say_what_is_seen,
    target_of,
)
from npgrad.cli._results import check_outputs, free_name
from npgrad.cli.evaluate import add_measures, mask_of

HELP = "page with every method's explanation of an image, their measures and agreement"
EXAMPLES = """examples:
  npgrad report npgrad-demo/scene.png -o scene-report.html
  npgrad report your-photo.jpg --weights squeezenet1_1 --methods saliency,grad_cam,lrp,occlusion --target "tabby" """


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help=f"{CROPPED_HELP}; - for the image on stdin")
    parser.add_argument(
        "--methods",
        default="all",
        metavar="all|A,B,...",
        help="attribution methods (`npgrad attribute --list-methods` lists them); default: all",
    )
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME|EXPRESSION",
        help=f"{TARGET_HELP}; {EXPRESSION_HELP}; default auto: the most likely class",
    )
    add_measures(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.html",
        help="file to write; default: IMAGE-report.html (or -2.html, ... rather than replace a file) in this folder",
    )
    add_json(parser)


def run(args):
    from npgrad.images.reading import open_image
    from npgrad.pages.report import report

    every = args.methods.casefold() == "all"
    names = tuple(methods.METHODS) if every else methods.method_names(args.methods)
    stem = "stdin" if args.image == "-" else Path(args.image).stem
    output = free_name(f"{stem}-report.html") if args.output is None else args.output
    check_outputs([args.image, args.weights, args.mask], page=output)
    model = load_network(args)
    target = target_of(model, args.target)
    image = open_image(image_of(args.image))
    mask = None if args.mask is None else mask_of(model, image, args.mask)
    progress = progress_bar("methods", unit="")
    try:
        title = "stdin" if args.image == "-" else shown(Path(args.image).name)
        report(
            model, image, target, output, names, mask, args.steps, args.samples, args.seed, title, progress
        )
    finally:
        progress.close()
    if args.json:
        print_json({"image": args.image, "output": str(output), "methods": list(names)})
    else:
        print(
            f"{shown(args.image)}: {len(names)} methods -> {shown(output)} ({os.path.getsize(output) / 1e6:.1f} MB)"
        )
    say_what_is_seen(model, [args.image])
