"""Check the hand-written gradients of every layer of a network, by complex step or centered difference, at random
inputs of the layer's own shape in float64. The entry named is the worst one. Exit code 1 if a gradient is wrong."""

from npgrad.cli._common import add_json, add_network, network, print_json, table, whole_number

HELP = "check every layer's gradients"
EXAMPLES = """examples:
  npgrad gradcheck --arch squeezenet1_1
  npgrad gradcheck --weights squeezenet1_0.h5 --method centered --size 97"""


def add_arguments(parser):
    add_network(parser)
    parser.add_argument(
        "--method", choices=("complex", "centered"), default="complex", help="default: complex"
    )
    parser.add_argument(
        "--size", type=whole_number(1), default=65, metavar="PX", help="the input's side (default 65)"
    )
    parser.add_argument(
        "--entries",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="entries of each array to step (default 5)",
    )
    parser.add_argument("--rng", type=whole_number(0), default=0, metavar="SEED", help="default 0")
    add_json(parser)


def run(args):
    import numpy as np

    from npgrad.gradcheck import TOLERANCES, check_layers

    model = network(args).astype(np.float64)
    channels = next(array.shape[1] for array in model.parameters().values() if array.ndim == 4)
    x = np.random.default_rng(args.rng).standard_normal((1, channels, args.size, args.size))
    lines, rows, wrong = [["layer", "gradient of", "worst entry", "found", "expected", "error", ""]], [], []
    for name, check in check_layers(model, x, args.method, args.entries, args.rng):
        for row in check.rows:
            right = row.error <= check.tolerance
            if not right:
                wrong.append(f"{name} {row.name}")
            entry = f"[{', '.join(map(str, row.index))}]"
            numbers = [f"{row.found:.6g}", f"{row.expected:.6g}", f"{row.error:.1e}"]
            lines.append([name, row.name, entry, *numbers, "" if right else "WRONG"])
            rows.append(
                {
                    "layer": name,
                    "array": row.name,
                    "index": row.index,
                    "found": row.found,
                    "expected": row.expected,
                    "error": row.error,
                    "right": bool(right),
                }
            )
    if args.json:
        print_json(
            {"method": args.method, "tolerance": TOLERANCES[args.method], "right": not wrong, "rows": rows}
        )
    else:
        print(table(lines, right=(3, 4, 5)))
        verdict = f"wrong: {', '.join(wrong)}" if wrong else "all right"
        print(
            f"{len(rows)} gradients, {args.method} step, tolerance {TOLERANCES[args.method]:.0e}: {verdict}"
        )
    return 1 if wrong else 0
