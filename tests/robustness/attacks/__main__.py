"""Try every attack and print how many were refused: python -m tests.robustness.attacks."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from attacks import KINDS, attacks, tried
from attacks.judging import fault


def main():
    rows, faults, totals = [], [], [0, 0, 0]
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            results = tried(kind, Path(folder).resolve())
        known = attacks(kind)
        wrong = {name: said for name in known if (said := fault(known[name], results.get(name)))}
        faults += [f"{kind}: {name}: {said}" for name, said in wrong.items()]
        read = sum(results[name]["outcome"] == "read" for name in known if name not in wrong)
        refused = len(known) - read - len(wrong)
        seconds = max(result.get("seconds", 0) for result in results.values())
        memory = max(result.get("memory", 0) for result in results.values()) / 2**20
        rows.append(f"| {kind} | {len(known)} | {refused} | {read} | {seconds:.2f} s | {memory:.0f} MiB |")
        totals = [a + b for a, b in zip(totals, (len(known), refused, read), strict=True)]
    print(
        "| files | tried | refused | read as documented | longest | most memory |\n|---|---|---|---|---|---|"
    )
    print("\n".join(rows))
    print(f"| **all** | {totals[0]} | {totals[1]} | {totals[2]} | | |")
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
