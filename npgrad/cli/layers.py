"""Print a table of a network's layers: for each its type, output shape, parameters, multiply-adds and the memory of its
output, for one image. The row of a composite is the total of its parts."""

from npgrad.cli._common import (
    add_json,
    add_network,
    load_network,
    print_json,
    table,
    whole_number_type,
)

HELP = "table of a network's layers: shapes, parameters, multiply-adds, memory"
EXAMPLES = """examples:
  npgrad layers --arch squeezenet1_1
  npgrad layers --size 512
  npgrad layers --weights squeezenet1_1"""


def add_arguments(parser):
    add_network(parser)
    parser.add_argument(
        "--size", type=whole_number_type(1), metavar="PX", help="side of the image; default: the network's"
    )
    add_json(parser)


def run(args):
    from npgrad.models.summary import summarize, totals

    model = load_network(args)
    rows = summarize(model, args.size)
    parameters, multiply_adds, memory = totals(model, rows)
    if args.json:
        layers = [
            {
                "name": row.name,
                "type": row.kind,
                "output_shape": row.shape,
                "parameters": row.parameters,
                "multiply_adds": row.multiply_adds,
                "activation_bytes": row.memory,
            }
            for row in rows
        ]
        total = {"parameters": parameters, "multiply_adds": multiply_adds, "activation_bytes": memory}
        return print_json({"layers": layers, "total": total})
    lines = [["layer", "type", "output", "parameters", "multiply-adds", "activations"]]
    for row in rows:
        inside = sum(
            row.name.startswith(f"{other.name}.") for other in rows
        )  # the composites around it; not every dot in a name stands for one
        lines.append(
            [
                "  " * inside + row.name,
                row.kind,
                " x ".join(map(str, row.shape)),
                f"{row.parameters:,}" if row.parameters else "",
                f"{row.multiply_adds:,}" if row.multiply_adds else "",
                f"{row.memory / 1024:,.0f} KiB",
            ]
        )
    lines.append(["total", "", "", f"{parameters:,}", f"{multiply_adds:,}", f"{memory / 1024:,.0f} KiB"])
    print(table(lines, right=(3, 4, 5)))
    return None
