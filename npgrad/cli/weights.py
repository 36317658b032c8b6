"""List, download and describe weights files.

list [WORD]  the known files, or those whose name contains WORD: size, license, accuracy, and whether they are on this
             machine
get NAME     download a file, check its SHA-256, convert it, and keep it in the cache folder
             (NPGRAD_HOME, otherwise XDG_CACHE_HOME/npgrad, otherwise ~/.cache/npgrad)
show FILE    the contents of an npgrad weights file"""

from npgrad._files import shown
from npgrad.cli._common import add_json, names_of, networks, print_json, table
from npgrad.cli._messages import progress_bar
from npgrad.errors import InputError, unknown

HELP = "known weights files: list, download, describe"
EXAMPLES = """examples:
  npgrad weights list resnet
  npgrad weights get squeezenet1_1
  npgrad weights show squeezenet1_1"""

MOST_SHOWN = 8  # values of a list


def add_arguments(parser):
    parser.add_argument("action", choices=("list", "get", "show"), metavar="list|get|show", help="what to do")
    name = parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME|FILE",
        help="part of a name (list), name of a known file (get, show), or path (show)",
    )
    names_of(name, networks)
    parser.add_argument("--force", action="store_true", help="get: download and convert again")
    add_json(parser)


def run(args):
    if args.action != "list" and not args.name:
        raise InputError(
            f"weights {args.action}: expected a name or file; `npgrad weights list` shows the names"
        )
    {"list": _list, "get": _get, "show": _show}[args.action](args)


def _list(args):
    from npgrad.io import known_weights

    entries = [*_bundled(), *known_weights.listing()]
    if args.name:
        found = [entry for entry in entries if args.name.lower() in entry["name"]]
        if not found:
            raise unknown("weights", args.name, [entry["name"] for entry in entries])
        entries = found
    if args.json:
        return print_json(
            [{**entry, "cached": entry["cached"] and str(entry["cached"])} for entry in entries]
        )
    lines = [["name", "what", "MB", "px", "top-1 / top-5", "license", "here"]]
    for entry in entries:
        accuracy = entry["accuracy"]
        lines.append(
            [
                entry["name"],
                entry["title"],
                entry["megabytes"],
                str(entry["preprocessing"].get("crop", "")),
                f"{accuracy['top1']} / {accuracy['top5']} %" if accuracy else "",
                entry["license"],
                "yes" if entry["cached"] else "no",
            ]
        )
    print(table(lines, right=(2, 3)))
    print(f"\ncache folder: {known_weights.cache_folder()}")
    return None


def _bundled():
    """The bundled network, described as `known_weights.listing` describes the others."""
    from npgrad.io.loading import BUNDLED, bundled

    path = bundled(BUNDLED)
    if path is None:
        return []
    about = {
        "name": BUNDLED,
        "kind": "weights",
        "title": "SqueezeNet 1.1 for drawn scenes, bundled with npgrad",
    }
    size = path.stat().st_size
    facts = {"size": size, "megabytes": f"{size / 1e6:.1f}", "preprocessing": {"crop": 224}, "accuracy": None}
    return [{**about, **facts, "license": "BSD-3-Clause (npgrad)", "cached": path}]


def _get(args):
    from npgrad.io import known_weights
    from npgrad.io.loading import bundled

    if path := bundled(args.name):
        return print_json({"name": args.name, "path": str(path)}) if args.json else print(path)
    progress = progress_bar(args.name)
    try:
        path = known_weights.get(args.name, progress=progress, force=args.force)
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
        "outputs": model.output_kind,
        "preprocessing": model.preprocessing.to_json(),
        **{f"source: {key}": value for key, value in model.source.items()},
    }
    if args.json:
        return print_json({**about, "tensors": {name: array.shape for name, array in parameters.items()}})
    print(table([[shown(key), shown(_plain(value))] for key, value in about.items() if value is not None]))
    return None


def _plain(value):
    """A value as text; of a long list (WordNet ids) the beginning."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        more = f", ... ({len(value):,} in all)" if len(value) > MOST_SHOWN else ""
        return ", ".join(map(str, value[:MOST_SHOWN])) + more
    return f"{value:,}" if isinstance(value, int) else str(value)
