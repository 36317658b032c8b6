"""Show which part of an image a network's answer comes from: a heat map over the photo.

The raw array, unscaled and unsmoothed, is saved with --save-array; the image is for the eye. `--method all` makes
one labeled sheet of every method; `--list-methods` tells what there is.

Of a folder, every photo in it and its subfolders is explained, any number of them. OUTFOLDER then has an image for
each, under the photo's name (sub/cat.jpg.png), and manifest.jsonl, a line of JSON for each: class, probability,
seconds, or what is wrong with it. However a run was ended, the same command goes on where it stopped, and does again
what has changed. A broken photo stops nothing: it is told of at the end, and the exit code is 2."""

from pathlib import Path

from npgrad._files import shown
from npgrad.cli import _attribute_folder as attribute_folder
from npgrad.cli import _methods as methods
from npgrad.cli._common import add_json, add_weights, network, print_json, progress_bar, table
from npgrad.errors import InputError

HELP = "show which part of an image the answer comes from"
EXAMPLES = """examples:
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 -o cat-saliency.png
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --method grad_cam --target "tiger cat" -o tiger.png
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --method integrated_gradients --n-steps 20 --save-array ig.npy
  npgrad attribute cat.jpg --weights squeezenet1_1.h5 --method all -o sheet.png
  npgrad attribute photos --weights squeezenet1_1.h5 --method grad_cam -o photos-grad_cam
  npgrad attribute photos --weights squeezenet1_1.h5 --workers 4 --save-arrays -o results
  npgrad attribute --list-methods"""


def add_arguments(parser):
    parser.add_argument(
        "image",
        nargs="?",
        metavar="IMAGE|FOLDER",
        help="an image (JPEG, PNG, WebP, ...), or a folder of them",
    )
    parser.add_argument("--method", default="saliency", metavar="NAME|all", help="default: saliency")
    parser.add_argument("--list-methods", action="store_true", help="print the methods' names and end")
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME",
        help="the class asked about; auto: the likeliest",
    )
    add_weights(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.png|OUTFOLDER",
        help="default: IMAGE-METHOD.png in this folder; of a folder FOLDER-METHOD",
    )
    parser.add_argument("--save-array", metavar="OUT.npy", help="save the raw array as well")
    attribute_folder.add_options(parser)
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
        raise InputError("attribute: expected an image, found none; `npgrad attribute --help` has examples")
    several = args.method == "all"
    options = {} if several else methods.options_of(args.method, args)  # before any work is done
    if several and (args.save_array or args.save_arrays):
        raise InputError("--save-array: one array is saved; give one --method, not all")
    if Path(args.image).is_dir():
        return attribute_folder.run(args, options)
    attribute_folder.refuse(args)
    output = Path(args.output or f"{Path(args.image).stem}-{args.method}.png")
    for path in [output, *([Path(args.save_array)] if args.save_array else [])]:
        if path.exists() and Path(args.image).exists() and path.samefile(args.image):
            raise InputError(f"{shown(path)}: this is the photo itself; give another name for the result")
    return _one(args, options, output)


def _one(args, options, output):
    from npgrad.attribution.explain import Question, explain, save_array
    from npgrad.images import save_image

    several = args.method == "all"
    model = network(args)
    question = Question(
        tuple(methods.METHODS) if several else args.method,
        None if args.target == "auto" else model.class_index(args.target),
        options,
        args.sign,
        args.outliers,
        args.alone,
    )
    progress = None
    if several or methods.takes(args.method, "progress"):
        progress = progress_bar("methods" if several else args.method, unit="")
    try:
        explanation = explain(model, args.image, question, progress)
    finally:
        if progress is not None:
            progress.close()
    if args.save_array:
        save_array(explanation.array, args.save_array)
    save_image(explanation.image, output)
    return _report(explanation.target, output, args)


def _report(target, output, args):
    index, name, probability = target
    if args.json:
        return print_json(
            {
                "image": args.image,
                "method": args.method,
                "target": {"index": index, "name": name, "probability": probability},
                "output": str(output),
                "array": args.save_array,
            }
        )
    print(f"{args.image}: {args.method} of {name} ({index}), probability {probability:.2%} -> {output}")
    return None


def _list(args):
    if args.json:
        return print_json({name: method.note for name, method in methods.METHODS.items()})
    print(table([[name, method.note] for name, method in methods.METHODS.items()]))
    return None
