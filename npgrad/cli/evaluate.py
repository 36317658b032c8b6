"""Measure how good explanations of an image are: one row a method, with a random map beside them.

deletion       probability of the class while the most important pixels go, area under the curve (lower is better)
insertion      the same while they come, beginning with the blurred image (higher is better)
road           like deletion with imputed pixels: least important first less most important first (higher is better)
infidelity     does the attribution foretell what small changes do to the score (lower is better; pixel methods only,
               scaled by the best factor)
sensitivity    how much the attribution changes where the image hardly does (lower is better)
randomized     likeness (rank correlation) to the attribution of a network with random weights (nearer 0 is better)
pointing       does the maximum lie in the mask (1 or 0); energy: share of the positive attribution in it"""

import time
import warnings

from npgrad.cli import _methods as methods
from npgrad.cli._common import (
    add_json,
    add_weights,
    asked,
    network,
    print_json,
    progress_bar,
    table,
    whole_number,
)
from npgrad.errors import ImageError

HELP = "measure how good explanations of an image are"
EXAMPLES = """examples:
  npgrad evaluate cat.jpg --weights squeezenet1_1.h5
  npgrad evaluate cat.jpg --weights squeezenet1_1.h5 --methods saliency,grad_cam,occlusion --mask cat-mask.png
  npgrad evaluate cat.jpg --weights squeezenet1_1.h5 --methods grad_cam --steps 20 --json"""

USUAL = "saliency,input_x_gradient,guided_backprop,integrated_gradients,deep_lift,lrp,grad_cam,layer_cam,full_grad"


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help="an image (JPEG, PNG, WebP, ...)")
    parser.add_argument(
        "--methods",
        default=USUAL,
        metavar="A,B,...",
        help="as `npgrad attribute --list-methods` shows; default: the usual",
    )
    parser.add_argument(
        "--target", default="auto", metavar="auto|INDEX|NAME", help="auto: the likeliest class"
    )
    parser.add_argument(
        "--mask", metavar="FILE", help="an image of the same size that is bright where the thing is"
    )
    parser.add_argument(
        "--steps", type=whole_number(1), default=20, metavar="N", help="of deletion and insertion (20)"
    )
    parser.add_argument(
        "--samples", type=whole_number(1), default=5, metavar="N", help="of what is random (5)"
    )
    parser.add_argument("--rng", type=whole_number(0), default=0, metavar="SEED", help="default 0")
    add_weights(parser)
    add_json(parser)


def run(args):
    names = [name.strip() for name in args.methods.split(",") if name.strip()]
    for name in names:
        methods.function_of(name)  # a wrong name is said before the work
    model = network(args)
    x = model.preprocess(args.image)
    target = asked(model, x, args.target)
    mask = None if args.mask is None else _mask(model, args.image, args.mask)
    rows, progress = [], progress_bar("methods", unit="")
    try:
        for done, name in enumerate([*names, "random"]):
            rows.append(_row(name, model, x, target, mask, args))
            progress(done + 1, len(names) + 1)
    finally:
        progress.close()
    if args.json:
        return print_json(
            {"image": args.image, "target": target, "class": model.class_name(target), "rows": rows}
        )
    print(f"{args.image}: {model.class_name(target)} ({target})")
    lines = [list(rows[0])] + [[_shown(value) for value in row.values()] for row in rows]
    print(table(lines, right=range(1, len(lines[0]))))
    return None


def _row(name, model, x, target, mask, args):
    """All measures of one method, as numbers (None: does not apply)."""
    from npgrad import evaluation

    start = time.perf_counter()
    attribution = _attribution(name, model, x, target, args)
    seconds = time.perf_counter() - start
    maps = methods.importance(name, attribution, x)
    row = {
        "method": name,
        "deletion": evaluation.deletion_auc(model, x, maps, target, args.steps)[0],
        "insertion": evaluation.insertion_auc(model, x, maps, target, args.steps)[0],
        "road": evaluation.road(model, x, maps, target, fractions=(0.2, 0.5, 0.8), rng=args.rng)[0],
        "infidelity": None,
        "sensitivity": None,
        "randomized": None,
    }
    if attribution.shape == x.shape:
        options = {"n_samples": 4 * args.samples, "normalize": True, "rng": args.rng}
        row["infidelity"] = evaluation.infidelity(model, x, attribution, target, **options)[0]
    if name != "random":

        def method(model, x, target):
            return methods.importance(name, _attribution(name, model, x, target, args), x)

        options = {"n_samples": args.samples, "rng": args.rng}
        row["sensitivity"] = evaluation.sensitivity_max(method, model, x, target, **options)[0]
        every = [".".join(key.split(".")[:-1]) for key in reversed(list(model.parameters()))]
        found = evaluation.randomization(
            model, x, method, target, layers=list(dict.fromkeys(every))[-1:], rng=args.rng
        )
        row["randomized"] = found.spearman[-1, 0]
    if mask is not None:
        row["pointing"] = evaluation.pointing_game(maps, mask)[0]
        row["energy"] = evaluation.energy_inside(maps, mask)[0]
    row["seconds"] = seconds
    return {
        key: value if isinstance(value, str) or value is None else float(value) for key, value in row.items()
    }


def _attribution(name, model, x, target, args):
    import numpy as np

    if name == "random":
        return np.random.default_rng(args.rng).standard_normal(x.shape).astype(x.dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the score of")  # random weights may shut a class off
        return methods.function_of(name)(model, x, target, **methods.defaults(name, model, x))


def _mask(model, image, path):
    """The mask as the network sees the image: resized and cropped alike."""
    from npgrad.images import open_image

    photo, mask = open_image(image), open_image(path)
    if photo.size != mask.size:
        raise ImageError(f"{path}: expected a mask of the image's size {photo.size}, found {mask.size}")
    return model.deprocess(model.preprocess(mask))[0].mean(axis=2) > 127


def _shown(value):
    return "" if value is None else value if isinstance(value, str) else f"{value:.3g}"
