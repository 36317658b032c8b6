"""Write the tables of weights/README.md and docs/reference/networks.md, from known.json and the registry of networks.

python scripts/weights_table.py           rewrite the tables
python scripts/weights_table.py --check   exit code 1 if one is not up to date
"""

import argparse
import re
import sys
from pathlib import Path

from npgrad.io import known_weights
from npgrad.models import registry

BEGIN, END = "<!-- table: python scripts/weights_table.py -->\n", "<!-- end of the table -->\n"
FOLDER = Path(__file__).parents[1]


def networks():
    """The Markdown table of networks, a row for each."""
    rows = ["| network | parameters | page | input | weights |", "|---|---|---|---|---|"]
    for name, network in registry.ARCHITECTURES.items():
        page = network.page.__name__.replace(".", "/")
        known = [e for e in known_weights.known().values() if e.architecture == name and e.preprocessing]
        sides = dict.fromkeys(f"{entry.preprocessing['crop']} px" for entry in known)
        weights = ", ".join(f"`{entry.name}`" for entry in known)
        link = f"[{page.rpartition('/')[2]}](../../{page}.py)"
        rows.append(f"| `{name}` | {network.parameters:,} | {link} | {', '.join(sides)} | {weights} |")
    return "\n".join(rows) + "\n"


def files():
    """The Markdown table of known files, a row for each."""
    rows = ["| name | file | what it is | input | top-1 / top-5 | license |", "|---|---|---|---|---|---|"]
    for name, entry in known_weights.known().items():
        accuracy, crop = entry.accuracy, entry.preprocessing.get("crop")
        cells = [
            f"`{name}`",
            f"[{entry.filename}]({entry.url}), {known_weights.megabytes(entry)} MB",
            entry.title,
            f"{crop} px" if crop else "",
            f"{accuracy['top1']:.1f}% / {accuracy['top5']:.1f}%" if accuracy else "",
            entry.license,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if it is not up to date"
    )
    check = parser.parse_args().check
    old = 0
    for path, table in (("weights/README.md", files()), ("docs/reference/networks.md", networks())):
        text = (FOLDER / path).read_text(encoding="utf-8")
        new = re.sub(f"(?<={BEGIN})(.*?)(?={END})", lambda _, table=table: table, text, flags=re.DOTALL)
        old |= new != text
        if not check:
            (FOLDER / path).write_text(new, encoding="utf-8", newline="\n")
    return int(check and old)


if __name__ == "__main__":
    sys.exit(main())
