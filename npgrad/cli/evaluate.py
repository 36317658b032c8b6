"""Measure how good the explanations of an image are. The table has a row for each method and one for a random map.

The usual measures:

deletion       probability of the class while the most important pixels are removed; area under the curve (lower is
               better)
insertion      the same while they are added to the blurred image (higher is better)
road           like deletion, with imputed pixels: least important first minus most important first (higher is better)
infidelity     how badly the attribution predicts the effect of small changes on the score (lower is better; pixel
               methods only, scaled by the best factor)
sensitivity    how much the attribution changes for small changes of the image (lower is better)
randomized     rank correlation with the attribution of a network with random weights (closer to 0 is better)
pointing       1 if the maximum is inside the mask, otherwise 0 (with --mask)
energy         share of the positive attribution inside the mask (with --mask)

With --measures, these as well:

completeness   how far the attribution's sum is from the change of the score from a gray image to this one, in units of
               the score (lower is better; pixel methods only)
sensitivity_n  correlation of the attribution's sum over random pixels with the drop of the score without them (higher
               is better)
selectivity    score while the most important patches of 8x8 px are removed; area under the curve (lower is better)
sic            probability over the information in the image while the most important pixels appear; area under the
               curve (higher is better)
aic            the same with 1 where the class is the network's answer, otherwise 0 (higher is better)
sparseness     how few elements have most of the attribution: the Gini index, from 0 to 1
random_logit   similarity with the attribution of a random other class (closer to 0 is better)
iou            overlap of the mask and the map above its best threshold (with --mask)
top_k          share of the most important pixels, as many as the mask has, that are inside it (with --mask)

A cell is empty where a measure does not apply, or has no value: a warning says why."""

from npgrad._asked import asked
from npgrad._files import shown
from npgrad._names import spelled
from npgrad._outputs import explained
from npgrad.cli import _methods as methods
from npgrad.cli._common import (
    EXPRESSION_HELP,
    TARGET_HELP,
    add_json,
    add_outputs,
    add_seed,
    add_weights,
    load_network,
    named,
    names_of,
    print_json,
    table,
    target_of,
    whole_number_type,
)
from npgrad.cli._images import add_images
from npgrad.cli._messages import progress_bar
from npgrad.cli._streams import takes_stdin
from npgrad.errors import ImageError, InputError

HELP = "table of measures of how good the explanations of an image are"
EXAMPLES = """examples:
  npgrad evaluate npgrad-demo/scene.png
  npgrad evaluate your-photo.jpg --weights squeezenet1_1 --methods saliency,grad_cam,occlusion --mask your-mask.png
  npgrad evaluate npgrad-demo/scene.png --methods saliency,integrated_gradients --measures completeness,sic
  npgrad evaluate npgrad-demo/scene.png --methods grad_cam --steps 20 --json"""

DEFAULT_METHODS = ",".join((
    "saliency", "input_x_gradient", "guided_backprop", "integrated_gradients", "deep_lift", "lrp", "grad_cam",
    "layer_cam", "full_grad",
))  # fmt: skip


def add_arguments(parser):
    add_images(parser)
    methods.add_methods(parser, "nine common ones", default=DEFAULT_METHODS)
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME|EXPRESSION",
        help=f"{TARGET_HELP}; {EXPRESSION_HELP}; default auto: the most likely class",
    )
    measures = parser.add_argument(
        "--measures",
        default="usual",
        metavar="usual|all|A,B,...",
        help="what to measure (default usual); all takes several times as long",
    )
    names_of(measures, _measures, several=True)
    add_measures(parser)
    add_json(parser)


def _measures():
    from npgrad.evaluation.measures import MEASURES

    return list(MEASURES)


def _measures_of(args):
    """What --measures names, by the column's name or that of the function in npgrad.evaluation; None: the usual."""
    from npgrad.evaluation.measures import MEASURES

    if args.measures.casefold() in ("usual", "all"):
        return None if args.measures.casefold() == "usual" else list(MEASURES)
    functions = {measure.function: name for name, measure in MEASURES.items()}
    names = []
    for text in args.measures.split(","):
        name = spelled("measure", text.strip(), [*MEASURES, *functions])
        names.append(functions.get(name, name) if name not in MEASURES else name)
        if MEASURES[names[-1]].masked and args.mask is None:
            raise InputError(f"--measures {names[-1]}: expected a --mask of the object with it, found none")
    return list(dict.fromkeys(names))


def add_measures(parser):
    """The options of whatever measures explanations, and of its network."""
    mask = parser.add_argument(
        "--mask",
        metavar="FILE",
        help="image of the same size, bright where the object is, or - for the one on stdin",
    )
    takes_stdin(mask)
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
        help="random samples for sensitivity; infidelity and sensitivity_n take four times as many (default 5)",
    )
    add_seed(parser, "measures")
    add_weights(parser)
    add_outputs(parser)


def run(args):
    from npgrad.evaluation.table import measure_method

    names = methods.method_names(args.methods)  # a wrong name is an error before any work
    measures = _measures_of(args)
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
            row = measure_method(
                name, model, x, target, mask, args.steps, args.samples, args.seed, measures=measures
            )
            rows.append(row)
            progress(done + 1, len(names) + 1)
    finally:
        progress.close()
    if args.json:
        return print_json(
            {"image": args.image, "target": index, "class": model.class_name(target), "rows": rows}
        )
    print(f"{named(args.image)}: {model.class_name(target)}" + ("" if index is None else f" ({index})"))
    lines = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    print(table(lines, right=range(1, len(lines[0]))))
    return None


def mask_of(model, image, path):
    """The mask, resized and cropped like the image."""
    from npgrad.images import open_image

    photo, mask = open_image(image), open_image(path)
    if photo.size != mask.size:
        raise ImageError(
            f"{shown(path)}: expected a mask of the image's size {photo.size}, found {mask.size}"
        )
    return model.deprocess(model.preprocessing.apply(mask))[0].mean(axis=2) > 127


def _cell(value):
    return "" if value is None else value if isinstance(value, str) else f"{value:.3g}"
