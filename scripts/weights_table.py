"""Write the table of known files in weights/README.md from weights/known.json.

python scripts/weights_table.py           rewrite the table
python scripts/weights_table.py --check   exit code 1 if it is not up to date
"""

import argparse
import re
import sys

from npgrad._files import weights_folder
from npgrad.io import known_weights

BEGIN, END = "<!-- table: python scripts/weights_table.py -->\n", "<!-- end of the table -->\n"


def table():
    """The Markdown table, a row for each file."""
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
    path = weights_folder() / "README.md"
    text = path.read_text(encoding="utf-8")
    new = re.sub(f"(?<={BEGIN})(.*?)(?={END})", lambda _: table(), text, flags=re.DOTALL)
    if check:
        return int(new != text)
    path.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
