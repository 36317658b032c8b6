"""Draw a heat map over an image: where the evidence for a class is.

The map is drawn over the whole image, in a frame where the network sees only a part of it. Below are the method, the
target and what the colors mean; a PNG has them as text chunks, too. Colors are chosen so that color-blind people can
read them: magnitudes by lightness alone (inferno), signs as blue and red of equal darkness.

--save-array saves the raw attribution, neither scaled nor smoothed; the heat map is for viewing. `--method all` makes
one labeled sheet of all methods, `--method saliency,grad_cam` one of these, and `--list-methods` lists them.

For a folder, every image in it and its subfolders is explained. OUTFOLDER then has a heat map for each, under the
image's name (sub/cat.jpg.png), and manifest.jsonl, with one line of JSON for each: class, probability and seconds, or
an error. An interrupted run is continued by the same command, which also repeats what has changed since. Images that
cannot be read are skipped and reported; the exit code is then 2."""

import os
from pathlib import Path

from npgrad.cli import _attribute_folder as attribute_folder
from npgrad.cli import _methods as methods
from npgrad.cli._certificate_file import certificate_of, certificate_path, write_certificate
from npgrad.cli._common import (
    EXPRESSION_HELP,
    TARGET_HELP,
    add_json,
    add_outputs,
    add_weights,
    load_network,
    named,
    names_of,
    print_json,
    table,
    target_of,
)
from npgrad.cli._images import add_images
from npgrad.cli._messages import progress_bar
from npgrad.cli._results import check_outputs, output_of, written
from npgrad.cli._streams import is_stream, takes_stdout
from npgrad.errors import InputError
from npgrad.images.colormaps import DEFAULT, DEFAULT_SIGNED, DIVERGING, SEQUENTIAL, UNSAFE

HELP = "heat map of where the evidence for a class is, for an image or a folder"
EXAMPLES = """examples:
  npgrad attribute npgrad-demo/scene.png
  npgrad attribute your-photo.jpg --weights squeezenet1_1 --method grad_cam --target "tiger cat" -o tiger.png
  npgrad attribute your-photo.jpg --weights squeezenet1_1 --method grad_cam --target "tabby - golden retriever"
  npgrad attribute npgrad-demo/scene.png --method integrated_gradients --n-steps 20 --save-array ig.npy
  npgrad attribute your-photo.jpg --weights squeezenet1_1 --method all -o sheet.png
  npgrad attribute your-photo.jpg --weights squeezenet1_1 --method saliency,grad_cam,occlusion -o sheet.png
  npgrad attribute npgrad-demo/scene.png --method grad_cam --bare --colormap viridis -o map.png
  npgrad attribute npgrad-demo --method grad_cam --color-scale shared -o demo-grad_cam
  npgrad attribute your-photos --weights squeezenet1_1 --workers 4 --save-arrays -o results
  npgrad attribute your-photo.jpg your-other.jpg --weights squeezenet1_1 -o maps/
  npgrad attribute --weights squeezenet1_1 -o - - < your-photo.jpg > your-map.png
  npgrad attribute --list-methods"""


def add_arguments(parser):
    add_images(parser, nargs="*", metavar="IMAGE|FOLDER", more="; or a folder of images")
    method = parser.add_argument(
        "--method",
        default="saliency",
        metavar="NAME|A,B,...|all",
        help="attribution method, or several or all of them on one sheet (default saliency)",
    )
    names_of(method, methods.known, several=True)
    parser.add_argument("--list-methods", action="store_true", help="list the methods and exit")
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME|EXPRESSION",
        help=f"{TARGET_HELP}; {EXPRESSION_HELP}; default auto: the most likely class",
    )
    add_weights(parser)
    add_outputs(parser)
    output = parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.png|OUTFOLDER",
        help="file or folder to write, of several images a folder, or - for stdout; default: IMAGE-METHOD.png (or "
        "-2.png, ... rather than replace a file) or FOLDER-METHOD in this folder",
    )
    takes_stdout(output, ".png")
    array = parser.add_argument(
        "--save-array", metavar="OUT.npy", help="save the raw attribution as well; - for stdout"
    )
    takes_stdout(array, ".npy")
    parser.add_argument(
        "--certify",
        action="store_true",
        help="write OUT.certificate.json as well: whether backward is right at this image, and sums hold",
    )
    attribute_folder.add_options(parser)
    methods.add_options(parser)
    show = parser.add_argument_group("display (does not change the raw attribution)")
    show.add_argument(
        "--sign",
        choices=("absolute", "positive", "signed"),
        help="show absolute values, positive evidence only, or both signs around 0; default: as suits the method",
    )
    show.add_argument(
        "--outliers",
        type=float,
        default=2.0,
        metavar="PERCENT",
        help="percentage of the map's sum that may be clipped (default 2)",
    )
    colors = show.add_argument(
        "--colormap",
        metavar="NAME",
        help=f"colors: {', '.join(SEQUENTIAL)}; for both signs {', '.join(DIVERGING)}; reversed with _r. "
        f"Default: {DEFAULT} and {DEFAULT_SIGNED}; color-blind people cannot read {' and '.join(UNSAFE)}",
    )
    names_of(colors, lambda: (*SEQUENTIAL, *DIVERGING))
    show.add_argument(
        "--color-scale",
        type=_scale,
        metavar="shared|VALUE",
        help="equal values have equal colors in all images of a folder or methods of a sheet: the strongest color is "
        "VALUE, or the largest that one of them would have by itself. A folder's manifest has these limits",
    )
    show.add_argument("--alone", action="store_true", help="draw the heat map without the image")
    show.add_argument(
        "--bare", action="store_true", help="draw only the part that the network sees, without a caption"
    )
    add_json(parser)


def run(args):
    if args.list_methods:
        return _list(args)
    if not args.image:
        raise InputError("attribute: expected an image, found none; `npgrad attribute --help` has examples")
    if args.method.casefold() == "all":
        args.method, args.methods = "all", tuple(methods.METHODS)
    else:
        args.methods = tuple(dict.fromkeys(methods.method_names(args.method)))
        args.method = ",".join(args.methods)
    several = len(args.methods) > 1
    request_of(args).check_display()
    options = methods.options_of(args.methods, args)  # errors come before any work
    if several and (args.save_array or args.save_arrays):
        raise InputError(f"--save-array: expected one --method, found {args.method}")
    if args.certify and (several or os.path.isdir(args.image)):
        raise InputError("--certify: expected one image and one --method")
    if os.path.isdir(args.image):
        return attribute_folder.run(args, options)
    attribute_folder.check_no_folder_options(args)
    if args.color_scale == "shared" and not several:
        raise InputError(
            "--color-scale shared: expected a folder or several methods, found one image and one method"
        )
    output = output_of(args, f"{Path(args.image).stem}-{args.method.replace(',', '-')}.png")
    if args.certify and is_stream(output):
        raise InputError("--certify: expected a file for the image, beside which it is written; found -")
    beside = certificate_path(output) if args.certify else None
    check_outputs([args.image, args.weights], output=output, save_array=args.save_array, certificate=beside)
    return _one(args, options, output)


def request_of(args, target=None, options=None):
    """What the options ask for."""
    from npgrad.attribution.request import Request

    method = args.methods if len(args.methods) > 1 else args.method
    shown_as = (args.sign, args.outliers, args.alone, args.bare, args.colormap, args.color_scale)
    return Request(method, target, options or {}, *shown_as)


def _scale(text):
    return text if text == "shared" else float(text)


_scale.__name__ = "value, or 'shared'"


def _one(args, options, output):
    from npgrad.attribution.explain import answer
    from npgrad.attribution.explanation import save_array

    several = len(args.methods) > 1
    model, image = load_network(args), args.image
    request = request_of(args, target_of(model, args.target), methods.with_layer_name(model, options))
    progress = None
    if several or methods.takes(args.method, "progress"):
        progress = progress_bar("methods" if several else args.method, unit="")
    try:
        explanation = answer(model, image, request, progress)
    finally:
        if progress is not None:
            progress.close()
    done = written(explanation.save, output)
    there = args.save_array and written(save_array, explanation.array, args.save_array)
    _report(explanation, output if done else None, args.save_array if there else None, args)
    right = not args.certify or _certified(model, image, request, explanation, output, args)
    return 0 if done and there in (None, True) and right else 1


def _certified(model, image, request, explanation, output, args):
    """Write the certificate beside the image: whether it could be written, and says that all is right."""
    target = request.target
    if target is None and explanation.target is not None:
        target = explanation.target[0]
    x = model.preprocess(image)
    certificate = certificate_of(model, x, target, request.method, request.options, explanation.array)
    about = {"image": args.image, "method": args.method, "target": explanation.target}
    done = written(write_certificate, certificate, about, certificate_path(output))
    if not args.json:
        said = "certified" if certificate["certified"] else "NOT certified"
        print(f"{named(args.image)}: {said} -> {certificate_path(output)}")
    return done and certificate["certified"]


def _report(explanation, output, array, args):
    """Print the target, and the files that were written."""
    names = ("index", "name", explanation.measure)
    if args.json:
        print_json(
            {
                "image": args.image,
                "method": args.method,
                "target": explanation.target and dict(zip(names, explanation.target, strict=True)),
                "output": output and str(output),
                "array": array,
            }
        )
        return
    files = f" -> {named(output or array)}" if output or array else ""
    of = f" of {explanation.about}" if explanation.about else ""
    print(f"{named(args.image)}: {args.method}{of}{files}")


def _list(args):
    if args.json:
        return print_json({name: method.note for name, method in methods.METHODS.items()})
    print(table([[name, method.note] for name, method in methods.METHODS.items()]))
    return None
