"""Interrupt every kind of work so many times, and print how often all was well: python -m tests.interrupts."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from interrupts import interrupt  # noqa: E402
from interrupts.works import serving, works  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.interrupts", description=__doc__)
    parser.add_argument("--times", type=int, default=25, help="for each kind of work; default 25")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default 0")
    args = parser.parse_args()
    rows, faults, totals = [], [], [0, 0]
    with serving() as server:
        for name, work in works(server).items():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "work").mkdir()
                count = interrupt(work, Path(folder) / "work", args.times, args.seed)
            rows.append(f"| {name} | {count.interrupted} | {count.survived} |")
            print(rows[-1], file=sys.stderr)
            faults += [f"{name}: {fault}" for fault in count.faults]
            totals = [totals[0] + count.interrupted, totals[1] + count.survived]
    print("| work | interrupted | survived |\n|---|---|---|\n" + "\n".join(rows))
    print(f"| **all** | {totals[0]} | {totals[1]} |")
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
