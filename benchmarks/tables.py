"""Results as Markdown. For the short tables of the documentation see page.py."""

import statistics

from benchmarks.cases import CASES
from benchmarks.folders import FOLDER
from benchmarks.growth import GROWTH, exponent
from benchmarks.programs import IMPORT, PROGRAM, TITLES

CONTENDERS = {
    "npgrad": "npgrad",
    "torch": "torch",
    "channels_last": "channels_last",
    "onnxruntime": "ONNX Runtime",
    "products": "products",
}
BEST = ("torch", "channels_last")  # torch's best: the faster of these, round by round
WHOLE = ["npgrad s", "torch + Captum s", "ratio", "npgrad MB", "torch + Captum MB", "ratio"]


def markdown(data):
    """All of it: about, then one table for each kind and number of threads."""
    sections = {}
    for record in data["records"]:
        sections.setdefault(section(record), []).append(record)
    parts = [about(data)]
    parts += ["\n".join([*header(key), *map(row, records)]) for key, records in sections.items()]
    return "\n\n".join(parts) + "\n"


def about(data):
    """When, on what machine, with which versions: one sentence."""
    made = data["about"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    size = f"images of {made['side']} px"
    return f"{made['date']}, {made['processor']} ({made['cores']} cores), {versions}; {size}."


def section(record):
    """Which table the record belongs to: (kind, threads)."""
    kind = record["case"] if record["case"] in (*TITLES, *GROWTH, FOLDER) else "case"
    if kind in GROWTH:
        return "growth", record["threads"]
    return kind, None if kind == IMPORT else record["threads"]


def header(key):
    """A section's title and the head of its table, as lines."""
    kind, threads = key
    if kind == IMPORT:
        title, columns = "import, from the start of the process to its end", ["what", "s", "peak MB"]
    elif kind == PROGRAM:
        title, columns = f"{TITLES[PROGRAM]}, {in_words(threads)}", ["network", *WHOLE]
    elif kind == "growth":
        title = f"growth, {in_words(threads)}"
        columns = ["network", "with", "of", "s", "time grows as", "MB", "memory grows as"]
    elif kind == FOLDER:
        title = "a folder of photos, by attribute_folder"
        columns = ["network, workers", "how many", "photos per second", "times one worker's"]
    else:
        names = list(CONTENDERS.values())
        title, columns = in_words(threads), ["network", "batch", "what", *(f"{name} ms" for name in names)]
        columns += [*(f"to {name}" for name in names[1:]), "to torch's best"]
    return [f"**{title}**", "", *head(columns)]


def row(record):
    """The record's line in the table of its section; for imports, its lines."""
    kind, _ = section(record)
    if kind == IMPORT:
        return "\n".join(
            line([name, f"{median(record, name):.2f}", f"{median(record, name, 'megabytes'):.0f}"])
            for name in record["seconds"]
        )
    if kind == "growth":
        return "\n".join(line(cells) for cells in growth(record))
    if kind == FOLDER:
        return "\n".join(line(cells) for cells in folders(record))
    if kind == PROGRAM:
        return line([record["network"], *whole(record, "torch", spread)])
    cells = [record["network"], str(record["batch"]), CASES[record["case"]].title]
    cells += [milliseconds(record, name) or record["left_out"].get(name, "") for name in CONTENDERS]
    cells += [spread(record, name) for name in (*list(CONTENDERS)[1:], BEST)]
    return line(cells)


def whole(record, other, compared):
    """The cells of WHOLE: seconds and megabytes of npgrad and the other, and compared(record, other, quantity)."""
    cells = []
    for quantity, digits in (("seconds", 2), ("megabytes", 0)):
        cells += [f"{median(record, name, quantity):.{digits}f}" for name in ("npgrad", other)]
        cells.append(compared(record, other, quantity))
    return cells


def growth(record):
    """A line of cells for each contender: its numbers at all values, and the exponents of value^b fitted to them."""
    quantity, values = GROWTH[record["case"]][0], record["values"]
    for name, seconds in record["seconds"].items():
        megabytes = record["megabytes"][name]
        cells = [record["network"], f"{quantity}: {_listed(values)}", CONTENDERS[name], _listed(seconds)]
        cells += [
            f"^{exponent(values, seconds):.2f}",
            _listed(megabytes),
            f"^{exponent(values, megabytes):.2f}",
        ]
        yield cells


def folders(record):
    """A line of cells for each network and kind of workers: photos per second, and how many times one worker's."""
    for what, seconds in record["seconds"].items():
        rates = [record["photos"] / one for one in seconds]
        times = [rate / rates[0] for rate in rates]
        yield [what, _listed(record["values"][what]), _listed(rates), _listed(times)]


def _listed(numbers):
    return ", ".join(f"{number:.3g}" for number in numbers)


def ratios(record, other, quantity="seconds"):
    """npgrad's numbers divided by the other's, or by the smallest of several others', round by round."""
    others = [record[quantity][name] for name in _several(other)]
    best = map(min, zip(*others, strict=True))
    return [a / b for a, b in zip(record[quantity]["npgrad"], best, strict=True)]


def _several(other):
    return other if isinstance(other, tuple) else (other,)


def _measured(record, other, quantity):
    return all(name in record[quantity] for name in _several(other))


def ratio(record, other, quantity="seconds"):
    """The median of the ratios, or "" if the other was not measured."""
    if not _measured(record, other, quantity):
        return ""
    return f"{statistics.median(ratios(record, other, quantity)):.2f}"


def spread(record, other, quantity="seconds"):
    """The median of the ratios, their smallest and largest; or "" if the other was not measured."""
    if not _measured(record, other, quantity):
        return ""
    found = ratios(record, other, quantity)
    return f"{statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})"


def milliseconds(record, name):
    """The median, to three digits; or "" if it was not measured."""
    if name not in record["seconds"]:
        return ""
    value = 1000 * median(record, name)
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def median(record, name, quantity="seconds"):
    return statistics.median(record[quantity][name])


def in_words(threads):
    return "one thread" if threads == 1 else f"{threads} threads"


def head(columns):
    return [line(columns), line(["---"] * len(columns))]


def line(cells):
    return "| " + " | ".join(cells) + " |"
