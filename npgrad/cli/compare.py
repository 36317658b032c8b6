"""Compare a network with what was recorded of it in another framework, and name the first layer that differs.

`--snippet torch` prints a function that records a network's activations and gradients in an .npz file; jax (flax.linen)
and keras have theirs. Every layer is computed from the recorded output of the layer before it, so that a difference
shows in the layer that makes it, in float64, with npgrad's own float32 as the measure of rounding; how it differs
(padding, epsilon, weight layout, preprocessing, ...) is tested, not guessed. -o writes a page of it. The exit code is 1
if something differs."""

from npgrad._files import shown
from npgrad.cli._common import IMAGE_HELP, add_json, add_network, load_network, print_json, table
from npgrad.cli._results import check_outputs
from npgrad.cli._streams import takes_stdin, takes_stdout
from npgrad.errors import InputError

HELP = "first layer that differs from a recording of torch, JAX or Keras, and how"
FRAMEWORKS = ("torch", "jax", "keras")  # as in npgrad._compare.snippets, which is imported when it is needed
EXAMPLES = """examples:
  npgrad compare --snippet torch
  npgrad compare your-recording.npz --weights squeezenet1_1
  npgrad compare your-recording.npz --weights your-network.onnx --image your-photo.jpg -o report.html
  npgrad compare your-recording.npz --weights squeezenet1_1 --json"""


def add_arguments(parser):
    parser.add_argument(
        "recording", nargs="?", metavar="RECORDING.npz", help="what the printed function recorded"
    )
    parser.add_argument(
        "--snippet", choices=FRAMEWORKS, help="print the function that records a network of this framework"
    )
    add_network(parser, size=True)
    image = parser.add_argument(
        "--image",
        metavar="IMAGE",
        help=f"{IMAGE_HELP} that was recorded, or - for the one on stdin, to compare the preprocessing as well",
    )
    takes_stdin(image)
    page = parser.add_argument(
        "-o", "--output", metavar="OUT.html", help="page to write, with plots and maps; - for stdout"
    )
    takes_stdout(page, ".html")
    add_json(parser)


def run(args):
    from npgrad._compare import compare
    from npgrad._compare.snippets import snippet

    if args.snippet:
        if args.recording:
            raise InputError("--snippet: expected no recording beside it, found both")
        print(snippet(args.snippet), end="")
        return 0
    if not args.recording:
        raise InputError("compare: expected a recording, found none; --snippet torch prints how to make one")
    check_outputs([args.recording, args.image, args.weights], page=args.output)
    model = load_network(args)
    comparison = compare(model, args.recording, args.image)
    if args.output is not None:
        _write(comparison, args)
    if args.json:
        print_json({"recording": args.recording, "output": args.output, **comparison.to_json()})
    else:
        _print(comparison)
        if args.output is not None:
            print(f"-> {shown(args.output)}")
    return 0 if comparison else 1


def _write(comparison, args):
    from pathlib import Path

    from npgrad._compare.report import page_of

    page_of(comparison, f"{Path(args.recording).name} and {Path(args.weights or 'scenes').name}", args.output)


def _print(comparison):
    lines = [["", "layer", "type", "recorded as", "error", "rounding", ""]]
    for row in comparison.layers:
        numbers = [f"{row.error:.1e}", f"{row.tolerance:.0e}"]
        kind = row.diagnoses[0].kind if row.diagnoses else ""
        said = f"{row.verdict}: {kind}" if row.diagnoses else ""
        lines.append([row.direction, row.name, row.kind, row.key, *numbers, said])
    print(table(lines, right=(4, 5)))
    print(comparison)
    if comparison.skipped:
        names = ", ".join(comparison.skipped[:5]) + ", ..." * (len(comparison.skipped) > 5)
        print(f"not compared, as npgrad's network has no such layer: {names}")
