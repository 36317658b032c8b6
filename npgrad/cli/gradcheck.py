"""Check the hand-written gradients of every layer of a network against numerical ones, by complex step or centered
difference, at random inputs of the layer's own shape in float64. Each row shows the entry with the largest error. The
exit code is 1 if a gradient is wrong, and 3 if none is but some cannot be judged, at a kink such as ReLU at 0.

With FILE.py:NAME, check the function or object NAME of this file, which is run as a program: it must be one that you
trust. NAME is a function forward(x, ...) -> (output, cache), whose backward(dy, cache) is --backward or has the same
name with backward in place of forward, or with _backward after it; a function (x, ...) -> (value, gradients); or an
object with methods forward and backward. A wrong gradient is explained if an explanation fits it to 1e-6."""

from npgrad.cli import _gradcheck_file
from npgrad.cli._common import (
    add_json,
    add_network,
    add_seed,
    load_network,
    print_json,
    table,
    whole_number_type,
)

HELP = "numerical check of every layer's gradients, or those of your own code"
EXAMPLES = """examples:
  npgrad gradcheck --arch squeezenet1_1
  npgrad gradcheck --weights squeezenet1_1 --method centered --size 97
  npgrad gradcheck your-layers.py:affine_forward --shape x=5x4 --shape w=4x3 --shape b=3"""


def add_arguments(parser):
    _gradcheck_file.add_arguments(parser)
    add_network(parser)
    parser.add_argument(
        "--method",
        choices=("complex", "centered", "richardson"),
        help="kind of numerical derivative (default complex; richardson for a file's code that takes no complex "
        "numbers)",
    )
    parser.add_argument(
        "--size", type=whole_number_type(1), default=65, metavar="PX", help="side of the input (default 65)"
    )
    parser.add_argument(
        "--entries",
        type=whole_number_type(1),
        metavar="N",
        help="entries to check in each array (default 5; of a file's code, 500)",
    )
    add_seed(parser, "inputs and entries")
    add_json(parser)


def run(args):
    if args.code:
        return _gradcheck_file.run(args)
    _gradcheck_file.refuse_without_code(args)
    import numpy as np

    from npgrad.gradcheck import KINK, TOLERANCES, GradientCheck, check_layers

    model = load_network(args).astype(np.float64)
    channels = next(array.shape[1] for array in model.parameters().values() if array.ndim == 4)
    x = np.random.default_rng(args.seed).standard_normal((1, channels, args.size, args.size))
    lines, rows = [["layer", "gradient of", "worst entry", "found", "expected", "error", ""]], []
    args.method, args.entries = args.method or "complex", args.entries or 5
    named = {"WRONG": [], KINK: []}
    for name, check in check_layers(model, x, args.method, args.entries, args.seed):
        for row in check.rows:
            verdict = GradientCheck((row,), check.method, check.tolerance).verdict
            if verdict in named:
                named[verdict].append(f"{name} {row.name}")
            entry = f"[{', '.join(map(str, row.index))}]"
            numbers = [f"{row.found:.6g}", f"{row.expected:.6g}", f"{row.error:.1e}"]
            lines.append([name, row.name, entry, *numbers, "" if verdict == "right" else verdict])
            rows.append(
                {
                    "layer": name,
                    "array": row.name,
                    "index": row.index,
                    "found": row.found,
                    "expected": row.expected,
                    "error": row.error,
                    "right": verdict == "right",
                    "verdict": verdict,
                }
            )
    wrong, unjudged = named["WRONG"], named[KINK]
    if args.json:
        right = not wrong and not unjudged
        print_json(
            {"method": args.method, "tolerance": TOLERANCES[args.method], "right": right, "rows": rows}
        )
    else:
        print(table(lines, right=(3, 4, 5)))
        said = [f"wrong: {', '.join(wrong)}"] if wrong else []
        said += [f"{KINK}: {', '.join(unjudged)}"] if unjudged else []
        print(
            f"{len(rows)} gradients, {args.method} step, tolerance {TOLERANCES[args.method]:.0e}: "
            f"{'; '.join(said) or 'all right'}"
        )
    return 1 if wrong else 3 if unjudged else 0
