"""Change an image slightly so that the network classifies it differently.

The result is the whole image, at the size to which the network's preprocessing resizes it; only the center crop, which
is what the network sees, is changed. The saved file is then read and classified again, and the report is about the
file: `npgrad classify` prints the same. The exit code is 1 if the network is not fooled."""

from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad._names import spelled
from npgrad.cli import _synthesis as synthesis
from npgrad.cli._common import (
    TARGET_HELP,
    add_outputs,
    class_index,
    load_network,
    named,
    print_json,
    table,
)
from npgrad.cli._images import add_images
from npgrad.cli._messages import fail
from npgrad.cli._results import written
from npgrad.cli._streams import takes_stdout
from npgrad.errors import InputError
from npgrad.images import open_image
from npgrad.images.seen import middle

HELP = "image changed slightly so that the network classifies it differently"
EXAMPLES = """examples:
  npgrad fool npgrad-demo/scene.png --target ring
  npgrad fool your-photo.jpg --target 1 --weights squeezenet1_1 --margin 3 -o fish.png --compare fish-sheet.png
  npgrad fool your-photo.jpg --target goldfish --weights squeezenet1_1 --method pgd --epsilon 4
  npgrad fool npgrad-demo/scene.png --method fgsm --epsilon 2"""

# method -> its largest number of steps, and its options besides those of every run
METHODS = {
    "ascent": (100, ("steps", "learning_rate", "margin", "checkpoint")),
    "fgsm": (1, ("epsilon",)),
    "pgd": (10, ("steps", "epsilon", "norm", "checkpoint")),
    "smallest": (50, ("steps", "checkpoint")),
}
_OPTIONAL = ("steps", "learning_rate", "margin", "epsilon", "norm", "checkpoint")


def add_arguments(parser):
    add_images(parser)
    parser.add_argument(
        "--target",
        metavar="INDEX|NAME",
        help="class that the network should predict (required for ascent; default for the other methods: any class but "
        f"the current one): {TARGET_HELP}",
    )
    parser.add_argument(
        "--method",
        default="ascent",
        metavar="|".join(METHODS),
        help="ascent (default): steps along the gradient of the target's score until it is predicted; "
        "fgsm: one step along the gradient's sign; pgd: many such steps within epsilon; "
        "smallest: the smallest change that can be found",
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="R", help="ascent: step length (default 1; 10 in the homework)"
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="ascent: lead of the target's score at which to stop (default 0)",
    )
    parser.add_argument(
        "--epsilon",
        type=float,
        metavar="E",
        help="fgsm, pgd: largest change of a pixel value on the scale 0..255 (default 8); "
        "with --norm l2, largest norm of the change on the scale 0..1 (default 2)",
    )
    parser.add_argument("--norm", choices=("linf", "l2"), help="pgd: norm that epsilon limits (default linf)")
    sheet = parser.add_argument(
        "--compare",
        metavar="FILE.png",
        help="save a sheet of the image before, the change, and the image after",
    )
    takes_stdout(sheet, ".png")
    add_outputs(parser)
    synthesis.add_options(parser, "IMAGE-CLASS[-METHOD].png in this folder", "100; pgd 10, smallest 50")


def run(args):
    options = _options(args)
    model = load_network(args)
    target = None if args.target is None else class_index(model, args.target)
    wanted = "fooled" if target is None else model.class_name(target)
    method = () if args.method == "ascent" else (args.method,)
    args.output = synthesis.output_of(args, Path(args.image).stem, wanted, *method)
    synthesis.check_files(args, [args.image, args.weights])
    x = model.preprocess(args.image)
    photo = _Photo(model, args.image, x)
    with synthesis.RunOutput(
        args, args.steps or METHODS[args.method][0], photo.changed, photo.frame
    ) as output:
        result = _make(args.method, model, x, target, args.seed, output, options)
    code = output.save(result)
    if args.compare is not None and not written(_compare, model, photo, result, args.compare):
        args.compare, code = None, code or 1
    after = model.preprocessing.apply(args.output) if output.there else result.image
    seen = [model.predict(each, top=model.num_classes)[0] for each in (x, after)]
    reason = _why_not(model, seen, target, result)
    _report(model, seen, target, result, reason, output, args)
    if reason and not result.interrupted:
        holds = f"; {shown(args.output)} holds the image" if output.there else ""
        fail(f"{reason}{holds}")
    return code or (1 if reason else 0)


def _options(args):
    """The options that were given, checked against what the method takes."""
    args.method = spelled("method", args.method, METHODS)
    given = {key: getattr(args, key) for key in _OPTIONAL if getattr(args, key) is not None}
    takes = METHODS[args.method][1]
    for key in given:
        if key not in takes:
            raise InputError(
                f"{args.method} takes no {_flag(key)}; its options: {', '.join(map(_flag, takes))}"
            )
    if args.target is None and args.method == "ascent":
        raise InputError("--target: expected a class for the method ascent, found none")
    return given


def _flag(key):
    return "--" + key.replace("_", "-")


def _make(method, model, x, target, seed, callback, options):
    """The Fooling that the method makes."""
    from npgrad import synthesis

    options = {"callback": callback, **options}
    if method == "ascent":
        if "steps" in options:
            options["max_iter"] = options.pop("steps")
        options = {"learning_rate": 1.0, "rng": seed, **options}
        return synthesis.make_fooling_image(model, x, target, clip=True, **options)
    if method == "smallest":
        return synthesis.smallest_perturbation(model, x, target, rng=seed, **options)
    if "epsilon" in options and options.get("norm") != "l2":
        options["epsilon"] /= 255
    if method == "fgsm":
        return synthesis.fgsm(model, x, target, targeted=target is not None, **options)
    return synthesis.pgd(model, x, target, targeted=target is not None, rng=seed, **options)


class _Photo:
    """The whole photo as the network's preprocessing resizes it, and the center crop that the network sees.

    Classifying a file of that size resizes nothing and crops the same part.
    """

    def __init__(self, model, path, x):
        from PIL import Image

        self.model, self.x, image = model, x, open_image(path)
        self.note = middle(model.preprocessing, image.size)
        size, (left, top) = model.preprocessing.layout(image.size)
        how = Image.Resampling[model.preprocessing.interpolation.upper()]
        self.pixels = np.asarray(image.resize(size, how))
        (rows, columns), (height, width) = model.preprocessing.size, self.pixels.shape[:2]
        self.middle = slice(max(top, 0), top + rows), slice(max(left, 0), left + columns)
        self.inside = slice(max(-top, 0), height - top), slice(max(-left, 0), width - left)

    def changed(self, image):
        """The whole photo with the run's image as its center: uint8 (H, W, 3)."""
        pixels = self.pixels.copy()
        pixels[self.middle] = self.model.deprocess(image)[0][self.inside]
        return pixels

    def frame(self, image):
        """A frame of the animation: the image, and beside it the magnified change."""
        (_, change, after), _ = synthesis.before_and_after(self.model, self.x, image)
        return np.hstack([after, change])


def _compare(model, photo, result, path):
    """A sheet of three: before, the change, after."""
    from npgrad.images import save_image
    from npgrad.images.sheets import contact_sheet

    tiles, factor = synthesis.before_and_after(model, photo.x, result.image)
    tiles = [np.kron(tile, np.ones((2, 2, 1), np.uint8)) for tile in tiles]  # each pixel as 2x2
    classes = dict.fromkeys((result.before, result.after))
    before, after = ({i: p for i, _, p in model.predict(x, top=model.num_classes)[0]}
                     for x in (photo.x, result.image))  # fmt: skip

    def label(title, probabilities):
        return "\n".join([title, *(f"{model.class_name(i)} {probabilities[i]:.2%}" for i in classes)])

    note = f", {photo.note}" if photo.note else ""
    labels = [label(f"before{note}", before), f"the change, {factor} times as strong", label("after", after)]
    save_image(contact_sheet(tiles, labels, columns=3), path)


def _why_not(model, seen, target, result):
    """Why the file does not fool the network as it should, or ""."""
    before, after = (classes[0][0] for classes in seen)
    if target is None:
        return "" if after != before else f"it is still classified as {model.class_name(before)}"
    name = model.class_name(target)
    if not result.reached:
        return f"{name} was not reached: {result.reason}"
    if after != target:
        return f"{name} was reached, but is lost in the file ({model.class_name(after)}); a .png keeps every pixel"
    return ""


def _report(model, seen, target, result, reason, output, args):
    """Print the classes of the files before and after."""
    before, after = ({index: p for index, _, p in classes} for classes in seen)
    shown_classes = dict.fromkeys([seen[0][0][0], *([] if target is None else [target]), seen[1][0][0]])
    if args.json:
        classes = [
            {"index": i, "name": model.class_name(i), "before": before[i], "after": after[i]}
            for i in shown_classes
        ]
        print_json(
            {
                "image": args.image,
                "method": args.method,
                "target": target,
                "before": seen[0][0][0],
                "after": seen[1][0][0],
                "fooled": not reason,
                "reason": reason,
                "classes": classes,
                "norm": result.norm,
                "largest_change": result.largest_change,
                "compare": args.compare,
                **output.report(result),
            }
        )
        return
    rows = [["", "before", "after"]]
    rows += [[f"{model.class_name(i)} ({i})", f"{before[i]:.2%}", f"{after[i]:.2%}"] for i in shown_classes]
    print(table(rows, right=(1, 2)))
    steps = "1 step" if result.steps == 1 else f"{result.steps} steps"
    print(
        f"{args.method}, {steps}; norm of the change {result.norm:.3g}, "
        f"largest change of a pixel value {result.largest_change:.3g} of 255"
    )
    print(f"{named(args.image)}{output.arrow()}")
