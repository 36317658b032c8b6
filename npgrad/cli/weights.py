"""Get weights files, see which there are, and what is in one.

list         what is known: size, license, accuracy, and whether it is on this machine
get NAME     download, check the SHA-256, convert, and keep in the cache folder
             (NPGRAD_HOME, else XDG_CACHE_HOME/npgrad, else ~/.cache/npgrad)
show FILE    what an npgrad weights file says of itself"""

from npgrad._files import shown
from npgrad.cli._common import add_json, print_json, progress_bar, table
from npgrad.errors import InputError

HELP = "get weights files, see which there are"
EXAMPLES = """examples:
  npgrad weights list
  npgrad weights get squeezenet1_1
  npgrad weights show squeezenet1_1"""


def add_arguments(parser):
    parser.add_argument("action", choices=("list", "get", "show"))
    parser.add_argument("name", nargs="?", metavar="NAME|FILE")
    parser.add_argument("--force", action="store_true", help="get: download and convert anew")
    add_json(parser)


def run(args):
    if args.action == "list" and args.name:
        raise InputError(f"weights list: expected nothing more, found {args.name!r}")
    if args.action != "list" and not args.name:
        raise InputError(
            f"weights {args.action}: expected a name or file; `npgrad weights list` shows the names"
        )
    {"list": _list, "get": _get, "show": _show}[args.action](args)


def _list(args):
    from npgrad.io import known_weights as fetch

    entries = [*_bundled(), *fetch.listing()]
    if args.json:
        return print_json(
            [{**entry, "cached": entry["cached"] and str(entry["cached"])} for entry in entries]
        )
    lines = [["name", "what", "MB", "top-1 / top-5", "license", "here"]]
    for entry in entries:
        accuracy = entry["accuracy"]
        lines.append(
            [
                entry["name"],
                entry["title"],
                f"{entry['size'] / 1e6:.1f}" if entry["size"] else f"< {entry['max_bytes'] / 1e6:.0f}",
                f"{accuracy['top1']} / {accuracy['top5']} %" if accuracy else "",
                entry["license"],
                "yes" if entry["cached"] else "no",
            ]
        )
    print(table(lines, right=(2,)))
    print(f"\nkept in {fetch.cache_folder()}")
    return None


def _bundled():
    """What is known of the network that comes with npgrad, as fetch.listing() tells of the others."""
    from npgrad.io.loading import BUNDLED, bundled

    path = bundled(BUNDLED)
    if path is None:
        return []
    about = {
        "name": BUNDLED,
        "kind": "weights",
        "title": "SqueezeNet 1.1 for drawn scenes, comes with npgrad",
    }
    facts = {"size": path.stat().st_size, "accuracy": None, "license": "BSD-3-Clause (npgrad)"}
    return [{**about, **facts, "cached": path}]


def _get(args):
    from npgrad.io import known_weights as fetch
    from npgrad.io.loading import bundled

    if path := bundled(args.name):
        return print_json({"name": args.name, "path": str(path)}) if args.json else print(path)
    progress = progress_bar(args.name)
    try:
        path = fetch.get(args.name, progress=progress, force=args.force)
    finally:
        progress.close()
    if args.json:
        return print_json({"name": args.name, "path": str(path)})
    return print(path)


def _show(args):
    from npgrad.io.loading import load

    model = load(args.name)
    parameters = model.parameters()
    about = {
        "architecture": model.architecture,
        "parameters": sum(array.size for array in parameters.values()),
        "dtype": str(next(iter(parameters.values())).dtype) if parameters else None,
        "classes": model.num_classes,
        "first classes": list(model.classes[:5]) if model.classes else None,
        "preprocessing": model.preprocessing.to_json(),
        **{f"source: {key}": value for key, value in model.source.items()},
    }
    if args.json:
        return print_json({**about, "tensors": {name: array.shape for name, array in parameters.items()}})
    print(table([[shown(key), shown(_plain(value))] for key, value in about.items() if value is not None]))
    return None


def _plain(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
