"""The short tables of docs/reference/benchmarks.md: batches 1 and 8, a training step, programs, and the lower bound."""

import re
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.folders import FOLDER
from benchmarks.growth import GROWTH
from benchmarks.inputs import LARGER, SQUEEZENETS
from benchmarks.programs import IMPORT, PROGRAM, TITLES
from benchmarks.tables import (
    BEST,
    WHOLE,
    about,
    folders,
    growth,
    head,
    header,
    in_words,
    line,
    milliseconds,
    ratio,
    whole,
)

FILE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- table: python -m benchmarks -->\n", "<!-- end of the table -->\n"


def write(path, data):
    """Replace the tables of the page `path`."""
    text = path.read_text(encoding="utf-8")
    if not (BEGIN in text and END in text):
        raise SystemExit(
            f"benchmarks: {path}: expected the line {BEGIN.strip()!r} and, later, {END.strip()!r}"
        )
    new = re.sub(f"(?<={BEGIN})(.*?)(?={END})", lambda _: tables(data), text, flags=re.DOTALL)
    path.write_text(new, encoding="utf-8", newline="\n")


def tables(data):
    """Markdown of what was measured with the most threads."""
    threads = max(record["threads"] for record in data["records"])
    found = {
        (record["case"], record["batch"], record["network"]): record
        for record in data["records"]
        if record["threads"] == threads
    }
    networks = list(dict.fromkeys(network for _, _, network in found if network))
    squeezenets = [network for network in networks if network in SQUEEZENETS]
    parts = [
        f"{about(data)} {in_words(threads).capitalize()}, medians. A ratio is npgrad's time divided by the other's in "
        "the same round: below 1, npgrad is faster. torch is torch eager as it is usually run (NCHW), with Captum and "
        "its defaults for the attributions; channels_last is torch in the memory format that suits a CPU, with Captum "
        "sending 8 images through at once; torch's best is the faster of the two.",
        _table(found, squeezenets, CASES, {
            "{}, ms": lambda record: milliseconds(record, "npgrad"),
            "to torch": lambda record: ratio(record, "torch"),
            "to torch's best": lambda record: ratio(record, BEST),
        }),
        _table(found, squeezenets, ("forward", "gradient"), {
            "{}, to the matrix products alone": lambda record: ratio(record, "products"),
            "to ONNX Runtime": lambda record: ratio(record, "onnxruntime"),
        }),
        _larger_table(found, [network for network in networks if network in LARGER]),
        _lines_table(found, "growth", GROWTH, growth),
        _lines_table(found, FOLDER, (FOLDER,), folders),
        _whole_table(found),
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(found, networks, cases, columns):
    """A line for each case and batch, with these columns for each network."""
    lines = head(["what", "batch", *(title.format(_short(name)) for name in networks for title in columns)])
    for case in cases:
        for batch in [batch for batch in CASES[case].batches if batch <= 8] or CASES[case].batches:
            records = [found.get((case, batch, network)) for network in networks]
            if any(records):
                cells = [cell(record) if record else "" for record in records for cell in columns.values()]
                lines.append(line([CASES[case].title, str(batch), *cells]))
    return _unless_empty(lines)


def _larger_table(found, networks):
    """A line for each larger network, case and batch."""
    lines = head(
        ["network", "what", "batch", "ms", "to torch", "to torch's best", "to the matrix products alone"]
    )
    for (case, batch, network), record in found.items():
        if network in networks and case in CASES:
            ratios = [ratio(record, name) for name in ("torch", BEST, "products")]
            cells = [_short(network), CASES[case].title, str(batch), milliseconds(record, "npgrad"), *ratios]
            lines.append(line(cells))
    return _unless_empty(lines)


def _lines_table(found, kind, cases, cells_of):
    """A table of cases that have a line for each contender."""
    records = [record for record in found.values() if record["case"] in cases]
    _, _, *lines = header((kind, 1))
    return _unless_empty([*lines, *(line(cells) for record in records for cells in cells_of(record))])


def _whole_table(found):
    lines = head(["whole processes", *WHOLE])
    for (case, _, network), record in found.items():
        if case == PROGRAM:
            lines.append(line([f"{TITLES[PROGRAM]}, {_short(network)}", *whole(record, "torch", ratio)]))
        if case == IMPORT:
            lines.append(line([TITLES[IMPORT], *whole(record, "torch + Captum", ratio)]))
    return _unless_empty(lines)


def _unless_empty(lines):
    return "\n".join(lines) if len(lines) > len(head([])) else ""


def _short(network):
    words = {
        "squeezenet": "SqueezeNet ",
        "mobilenet_v": "MobileNetV",
        "resnet": "ResNet-",
        "vgg": "VGG-",
        "_": ".",
    }
    for short, long in words.items():
        network = network.replace(short, long)
    return network
