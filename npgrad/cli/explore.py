"""Make a page in which you walk a forward and a backward pass of an image, layer by layer.

The page is one file, which opens from disk and makes no request. It has the network as a graph; each layer's
activations and gradients, its strongest channels as maps over the image, what a ReLU stopped and a max pool routed, and
Grad-CAM; switches between the top five classes and the target, and between rules (plain, guided, deconvolution, LRP).
Arrow keys walk."""

import os
from pathlib import Path

from npgrad._files import shown
from npgrad.cli._common import (
    EXPRESSION_HELP,
    TARGET_HELP,
    add_json,
    add_outputs,
    add_weights,
    load_network,
    print_json,
    target_of,
)
from npgrad.cli._images import add_images
from npgrad.cli._messages import progress_bar
from npgrad.cli._results import add_page, check_outputs, output_of

HELP = "page to walk a forward and a backward pass of an image, layer by layer"
EXAMPLES = """examples:
  npgrad explore npgrad-demo/scene.png -o scene.html
  npgrad explore your-photo.jpg --weights squeezenet1_1 --target "tabby - golden retriever" -o cat.html"""


def add_arguments(parser):
    add_images(parser)
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME|EXPRESSION",
        help=f"{TARGET_HELP}; {EXPRESSION_HELP}; default auto: the most likely class",
    )
    add_weights(parser)
    add_outputs(parser)
    add_page(parser, "IMAGE-explore")
    add_json(parser)


def run(args):
    from npgrad.images.reading import open_image
    from npgrad.pages.explore import explore

    output = output_of(args, f"{Path(args.image).stem}-explore.html")
    check_outputs([args.image, args.weights], page=output)
    model = load_network(args)
    target = target_of(model, args.target)
    x = model.preprocess(open_image(args.image))
    progress = progress_bar("backward passes", unit="")
    try:
        title = shown(Path(args.image).name)
        explore(model, x, target, output, title, progress)
    finally:
        progress.close()
    if args.json:
        print_json({"image": args.image, "output": str(output), "bytes": os.path.getsize(output)})
    else:
        print(f"{shown(args.image)}: explored -> {shown(output)} ({os.path.getsize(output) / 1e6:.1f} MB)")
