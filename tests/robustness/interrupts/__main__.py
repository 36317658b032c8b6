"""End every kind of work at random moments, and count what was survived: python -m tests.robustness.interrupts.

--each-line ends it at every line of the code that writes instead; --disks tries full disks."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interrupts import driver
from interrupts.each_line import JOBS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="how often in all (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", metavar="KIND", help="only this kind of work")
    parser.add_argument("--each-line", action="store_true")
    parser.add_argument("--disks", action="store_true")
    args = parser.parse_args()
    if args.each_line:
        return each_line(args.only)
    if args.disks:
        return disks()
    print(
        "| work | kill -9: survived / tried | Ctrl-C: survived / tried | came to the same end | cleared away |"
    )
    print("|---|---|---|---|---|")
    counts = driver.run(args.times, args.seed, args.only, tell=lambda count: print(row(count), flush=True))
    totals = driver.Count("**all**")
    for count in counts:
        totals.tried += count.tried
        totals.survived += count.survived
        totals.finished += count.finished
        totals.cleared += count.cleared
        totals.faults += count.faults
    print(row(totals))
    print("\n".join(totals.faults), file=sys.stderr)
    return 1 if totals.faults else 0


def each_line(only):
    faults = []
    print("| work | kill -9: survived / tried | Ctrl-C: survived / tried |")
    print("|---|---|---|")
    with driver.server() as at_work:
        for job in only or JOBS:
            cells = [job]
            for signal_name in driver.SIGNALS:
                found = driver.at_each_line(job, signal_name, at_work.url)
                faults += found["faults"]
                cells.append(f"{found['tried'] - len(found['faults'])} / {found['tried']}")
            print(f"| {' | '.join(cells)} |", flush=True)
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


def disks():
    faults = []
    print("| disk | refused in one line, the old file whole / tried |")
    print("|---|---|")
    for what in ("limit", "writes"):
        found = driver.on_a_disk(what)
        faults += found["faults"]
        print(f"| {what} | {found['tried'] - len(found['faults'])} / {found['tried']} |", flush=True)
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


def row(count):
    cells = [f"{count.survived[name]} / {count.tried[name]}" for name in driver.SIGNALS]
    return f"| {count.name} | {' | '.join(cells)} | {count.finished} | {count.cleared} |"


if __name__ == "__main__":
    sys.exit(main())
