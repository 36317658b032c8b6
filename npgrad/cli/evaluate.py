"""Measure how good the explanations of an image are. The table has a row for each method and one for a random map.

deletion       probability of the class while the most important pixels are removed; area under the curve (lower is
               better)
insertion      the same while they are added to the blurred image (higher is better)
road           like deletion, with imputed pixels: least important first minus most important first (higher is better)
infidelity     how badly the attribution predicts the effect of small changes on the score (lower is better; pixel
               methods only, scaled by the best factor)
sensitivity    how much the attribution changes for small changes of the image (lower is better)
randomized     rank correlation with the attribution of a network with random weights (closer to 0 is better)
pointing       1 if the maximum is inside the mask, otherwise 0 (with --mask)
energy         share of the positive attribution inside the mask (with --mask)"""

from npgrad._asked import asked
from npgrad._outputs import explained
from npgrad.cli import _methods as methods
from npgrad.cli._common import (
    CROPPED_HELP,
    EXPRESSION_HELP,
    TARGET_HELP,
    add_json,
    add_outputs,
    add_seed,
    add_weights,
    load_network,
    print_json,
    progress_bar,
    say_what_is_seen,
    table,
    target_of,
    whole_number_type,
)
from npgrad.errors import ImageError

HELP = "table of measures of how good the explanations of an image are"
EXAMPLES = """examples:
  npgrad evaluate npgrad-demo/scene.png
  npgrad evaluate your-photo.jpg --weights squeezenet1_1 --methods saliency,grad_cam,occlusion --mask your-mask.png
  npgrad evaluate npgrad-demo/scene.png --methods grad_cam --steps 20 --json"""

DEFAULT_METHODS = ",".join((
    "saliency", "input_x_gradient", "guided_backprop", "integrated_gradients", "deep_lift", "lrp", "grad_cam",
    "layer_cam", "full_grad",
))  # fmt: skip


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help=CROPPED_HELP)
    parser.add_argument(
        "--methods",
        default=DEFAULT_METHODS,
        metavar="A,B,...",
        help="attribution methods (`npgrad attribute --list-methods` lists them); default: nine common ones",
    )
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME|EXPRESSION",
        help=f"{TARGET_HELP}; {EXPRESSION_HELP}; default auto: the most likely class",
    )
    add_measures(parser)
    add_json(parser)


def add_measures(parser):
    """The options of whatever measures explanations, and of its network."""
    parser.add_argument("--mask", metavar="FILE", help="image of the same size, bright where the object is")
    parser.add_argument(
        "--steps",
        type=whole_number_type(1),
        default=20,
        metavar="N",
        help="steps of deletion and insertion (default 20)",
    )
    parser.add_argument(
        "--samples",
        type=whole_number_type(1),
        default=5,
        metavar="N",
        help="random samples for sensitivity; infidelity takes four times as many (default 5)",
    )
    add_seed(parser, "measures")
    add_weights(parser)
    add_outputs(parser)


def run(args):
    from npgrad.evaluation.table import measure_method

    names = methods.method_names(args.methods)  # a wrong name is an error before any work
    model = load_network(args)
    x = model.preprocess(args.image)
    target = target_of(model, args.target)
    target = int(model(x).argmax()) if target is None else target
    index = target if isinstance(target, int) else None
    model, target = asked(model if index is not None else explained(model), x, target)
    mask = None if args.mask is None else mask_of(model, args.image, args.mask)
    rows, progress = [], progress_bar("methods", unit="")
    try:
        for done, name in enumerate([*names, "random"]):
            rows.append(measure_method(name, model, x, target, mask, args.steps, args.samples, args.seed))
            progress(done + 1, len(names) + 1)
    finally:
        progress.close()
    say_what_is_seen(model, [args.image])
    if args.json:
        return print_json(
            {"image": args.image, "target": index, "class": model.class_name(target), "rows": rows}
        )
    print(f"{args.image}: {model.class_name(target)}" + ("" if index is None else f" ({index})"))
    lines = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    print(table(lines, right=range(1, len(lines[0]))))
    return None


def mask_of(model, image, path):
    """The mask, resized and cropped like the image."""
    from npgrad.images import open_image

    photo, mask = open_image(image), open_image(path)
    if photo.size != mask.size:
        raise ImageError(f"{path}: expected a mask of the image's size {photo.size}, found {mask.size}")
    return model.deprocess(model.preprocessing.apply(mask))[0].mean(axis=2) > 127


def _cell(value):
    return "" if value is None else value if isinstance(value, str) else f"{value:.3g}"
