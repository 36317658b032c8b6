"""Print the most likely classes of images, with their probabilities; or the values that a regression gives."""

from npgrad._outputs import expect_classes, measure, measured
from npgrad.cli._common import (
    add_json,
    add_outputs,
    add_weights,
    load_network,
    named,
    print_json,
    table,
    whole_number_type,
)
from npgrad.cli._images import add_images

HELP = "most likely classes of images, with their probabilities"
EXAMPLES = """examples:
  npgrad classify npgrad-demo/scene.png
  npgrad classify your-photo.jpg --weights squeezenet1_1
  npgrad classify your-photo.jpg your-other.jpg --weights squeezenet1_1 --top 1 --json
  npgrad classify --weights squeezenet1_1 - < your-photo.jpg"""


LISTS = True  # the JSON is a list, also of one image


def add_arguments(parser):
    add_images(parser)
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
    [classes] = model.predict(args.image, top=args.top)
    if args.json:
        names = ("index", "name", measure(model))
        print_json({"image": args.image, "classes": [dict(zip(names, c, strict=True)) for c in classes]})
    else:
        rows = [[f"{measured(measure(model), p):>8}", name, f"({index})"] for index, name, p in classes]
        print(f"{named(args.image)}\n{table(rows)}", flush=True)
