"""Make a page about what attribution methods say of an image, how good they are, and whether they agree.

The page is one file, which opens from disk and makes no request: every method with its heat map and a sentence, the
measures of `npgrad evaluate` beside those of a random map, and the rank correlation of each pair of methods. All
methods take minutes; --methods chooses some."""

import os
from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _methods as methods
from npgrad.cli._common import (
    EXPRESSION_HELP,
    TARGET_HELP,
    add_json,
    load_network,
    print_json,
    target_of,
)
from npgrad.cli._images import add_images
from npgrad.cli._messages import progress_bar
from npgrad.cli._results import add_page, check_outputs, output_of
from npgrad.cli.evaluate import add_measures, mask_of

HELP = "page with every method's explanation of an image, their measures and agreement"
EXAMPLES = """examples:
  npgrad report npgrad-demo/scene.png -o scene-report.html
  npgrad report your-photo.jpg --weights squeezenet1_1 --methods saliency,grad_cam,lrp,occlusion --target "tabby" """


def add_arguments(parser):
    add_images(parser)
    methods.add_methods(parser, "all", default="all", metavar="all|A,B,...")
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME|EXPRESSION",
        help=f"{TARGET_HELP}; {EXPRESSION_HELP}; default auto: the most likely class",
    )
    add_measures(parser)
    add_page(parser, "IMAGE-report")
    add_json(parser)


def run(args):
    from npgrad.images.reading import open_image
    from npgrad.pages.report import report

    every = args.methods.casefold() == "all"
    names = tuple(methods.METHODS) if every else methods.method_names(args.methods)
    output = output_of(args, f"{Path(args.image).stem}-report.html")
    check_outputs([args.image, args.weights, args.mask], page=output)
    model = load_network(args)
    target = target_of(model, args.target)
    image = open_image(args.image)
    mask = None if args.mask is None else mask_of(model, image, args.mask)
    progress = progress_bar("methods", unit="")
    try:
        title = shown(Path(args.image).name)
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
