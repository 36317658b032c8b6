"""Print the most likely classes of images, with their probabilities; or the values that a regression gives."""

import sys

from npgrad._outputs import expect_classes, measure, measured
from npgrad.cli._common import (
    CROPPED_HELP,
    add_json,
    add_outputs,
    add_weights,
    image_of,
    load_network,
    print_json,
    say_what_is_seen,
    table,
    whole_number_type,
)
from npgrad.errors import ImageError

HELP = "most likely classes of images, with their probabilities"
EXAMPLES = """examples:
  npgrad classify npgrad-demo/scene.png
  npgrad classify your-photo.jpg --weights squeezenet1_1
  npgrad classify your-photo.jpg npgrad-demo/scene.png --weights squeezenet1_1 --top 1 --json"""


def add_arguments(parser):
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=f"{CROPPED_HELP}; - for the one on stdin")
    add_weights(parser)
    add_outputs(parser)
    parser.add_argument(
        "--top", type=whole_number_type(1), default=5, metavar="N", help="number of classes (default 5)"
    )
    add_json(parser)


def run(args):
    model = load_network(args)
    if model.outputs == "features":
        expect_classes(model, "classify")
    results, exit_code = [], 0
    for path in args.images:
        try:
            [classes] = model.predict(image_of(path), top=args.top)
        except ImageError as error:  # one broken image does not lose the others
            print(f"npgrad: {error}", file=sys.stderr)
            exit_code = 2
            continue
        if args.json:
            names = ("index", "name", measure(model))
            results.append({"image": path, "classes": [dict(zip(names, c, strict=True)) for c in classes]})
        else:
            rows = [[f"{measured(measure(model), p):>8}", name, f"({index})"] for index, name, p in classes]
            print(f"{path}\n{table(rows)}", flush=True)
    if args.json:
        print_json(results)
    say_what_is_seen(model, args.images)
    return exit_code
