"""Test the backward of every layer of a network at the activations of an image, in float64. One complex forward pass
carries a random direction v through the network; <dy, J v> must equal <J^T dy, v> for a random upstream gradient dy,
with J v by the complex pass and J^T dy by the layer's own backward. Moved is the share of a layer's input that v
reaches. The exit code is 1 if a layer is wrong, and 3 if none is reached.

--ledger lrp or deep_lift accounts for the relevance of the target instead: what every layer got and gave, and what its
bias and the epsilons kept. The exit code is 1 if it does not close to 1e-9."""

from npgrad.cli._common import (
    TARGET_HELP,
    add_json,
    add_network,
    add_seed,
    load_network,
    named,
    print_json,
    table,
    target_of,
)
from npgrad.cli._images import add_images

HELP = "test of every layer's backward at the activations of an image"
EXAMPLES = """examples:
  npgrad certify npgrad-demo/scene.png
  npgrad certify your-photo.jpg --weights squeezenet1_1
  npgrad certify npgrad-demo/scene.png --ledger lrp
  npgrad certify your-photo.jpg --arch resnet18 --json"""


def add_arguments(parser):
    add_images(parser)
    add_network(parser, size=True)
    parser.add_argument(
        "--ledger",
        choices=("lrp", "deep_lift"),
        help="instead: the relevance that goes into every layer, comes out, and is kept by biases and epsilons",
    )
    parser.add_argument(
        "--target",
        default="auto",
        metavar="auto|INDEX|NAME",
        help=f"{TARGET_HELP}; of the ledger; default auto: the most likely class",
    )
    add_seed(parser, "directions")
    add_json(parser)


def run(args):
    import dataclasses

    from npgrad._certificates import certify

    model = load_network(args)
    if args.ledger:
        return _ledger(model, args)
    certificate = certify(model, model.preprocess(args.image), rng=args.seed)
    if args.json:
        layers = [dataclasses.asdict(layer) for layer in certificate.layers]
        print_json(
            {
                "image": args.image,
                "right": bool(certificate),
                "tolerance": certificate.tolerance,
                "faulty": [layer.name for layer in certificate.faulty],
                "layers": layers,
            }
        )
    else:
        _name(args)
        lines = [["layer", "type", "<dy, J v>", "<J^T dy, v>", "error", "moved", ""]]
        for layer in certificate.layers:
            numbers = [
                f"{layer.forward:.9g}",
                f"{layer.backward:.9g}",
                f"{layer.error:.1e}",
                f"{layer.moved:.0%}",
            ]
            verdict = "" if layer.verdict == "right" else " ".join([layer.verdict, *layer.wrong])
            lines.append([layer.name, layer.kind, *numbers, verdict])
        print(table(lines, right=(2, 3, 4, 5)))
        print(certificate)
    return 0 if certificate else 1 if certificate.faulty else 3


def _name(args):
    """Say which of several images it is."""
    if args.several:
        print(f"{named(args.image)}:")


def _ledger(model, args):
    import dataclasses

    from npgrad.attribution import ledgers

    make = {"lrp": ledgers.lrp_ledger, "deep_lift": ledgers.deep_lift_ledger}[args.ledger]
    x = model.preprocess(args.image)
    ledger = make(model, x, target_of(model, args.target))
    if args.json:
        print_json({"image": args.image, "closes": bool(ledger), **dataclasses.asdict(ledger)})
    else:
        _name(args)
        lines = [["layer", "type", "in", "out", "kept by biases", "by epsilons", ""]]
        for row in ledger.rows:
            amounts = (row.incoming, row.outgoing, row.biases, row.epsilons)
            wrong = "WRONG" if row in ledger.faulty else ""
            lines.append([row.name, row.kind, *(f"{amount:.6g}" for amount in amounts), wrong])
        print(table(lines, right=(2, 3, 4, 5)))
        print(ledger)
    return 0 if ledger else 1
