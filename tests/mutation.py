"""Tests of the tests: lines of npgrad are changed, one at a time, and a test must fail. python tests/mutation.py

mutmut makes the mutants and runs, for each, the tests that come by the changed function. All of them take hours, so a
random share of every file's is tried, always the same for the same seed. Left out is what tests should not care about:
the words of messages. Survivors are listed; `cd build/mutation/GROUP && mutmut show NAME` shows one.
"""

import argparse
import collections
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "npgrad",
    "tests",
    "benchmarks",
    "fuzz",
    "scripts",
    "weights",
    "notebooks",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
)
MESSAGES = r"""
    ^\s*raise
    Error\(
    ^\s*f?"[^"]*"$
    ^\s*f?"[^"]*"\)?$
    refuse\(
"""
GROUPS = {  # what is mutated, and the tests that are quick enough to be run for every mutant
    "layers": (
        ["npgrad/layers/*.py", "npgrad/tape.py", "npgrad/batch_tape.py", "npgrad/losses.py"],
        [
            "layers", "layer_objects", "residual_and_graph", "composites", "tape", "tape_walk", "batch_tape", "losses",
            "rules", "patches", "properties_layers", "properties_losses",
        ],
    ),
    "readers": (
        ["npgrad/formats/*.py"],
        [
            "hdf5", "pickles", "pickles_refused", "torch_pth", "torch_pth_refused", "caffe", "deep_compression", "npz",
            "safetensors", "formats", "convert", "imagenet_val", "onnx_files", "properties_readers",
        ],
    ),
}  # fmt: skip
CAUGHT = ("killed", "timeout", "suspicious", "segfault")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--each", type=int, default=40, help="mutants of a file, at most; default 40")
    parser.add_argument("--seed", type=int, default=0, help="of the choice; default 0")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants side by side")
    args = parser.parse_args()
    for group in args.group:
        report(group, *run(group, args))


def run(group, args):
    """(the chosen mutants, {mutant: what became of it})"""
    folder = ROOT / "build" / "mutation" / group
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    mutated, tests = GROUPS[group]
    lines = [
        "[mutmut]",
        "source_paths = npgrad",
        "timeout_multiplier = 4.0",
        "use_git_change_detection = false",
    ]
    lines += ["only_mutate =", *(f"    {pattern}" for pattern in mutated)]
    lines += ["also_copy =", *(f"    {name}" for name in COPIED[2:-2])]
    lines += [
        "do_not_mutate_patterns =",
        *(f"    {line.strip()}" for line in MESSAGES.split("\n") if line.strip()),
    ]
    lines += ["pytest_add_cli_args_test_selection =", *(f"    tests/test_{name}.py" for name in tests)]
    with (folder / "setup.cfg").open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")
    mutmut(
        folder, "run", "no.such.mutant", "--max-children", str(args.jobs)
    )  # makes them, and notes who tests what
    made = re.findall(r"^\s*(\S+): ", mutmut(folder, "results", "--all", "true"), re.M)
    files = collections.defaultdict(list)
    for mutant in sorted(made):
        files[mutant.rpartition(".")[0]].append(mutant)
    chooser = random.Random(args.seed)
    chosen = [one for names in files.values() for one in chooser.sample(names, min(args.each, len(names)))]
    mutmut(folder, "run", *chosen, "--max-children", str(args.jobs))
    found = dict(re.findall(r"^\s*(\S+): (.+?)\s*$", mutmut(folder, "results", "--all", "true"), re.M))
    return files, chosen, found


def mutmut(folder, *arguments):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stdout


def report(group, files, chosen, found):
    print(f"\n{group}\n\n| file | mutants | tried | caught | survived |\n|---|---|---|---|---|")
    totals = collections.Counter()
    for file, names in files.items():
        tried = [name for name in names if name in chosen]
        caught = sum(found[name] in CAUGHT for name in tried)
        print(f"| {file} | {len(names)} | {len(tried)} | {caught} | {len(tried) - caught} |")
        totals += collections.Counter(mutants=len(names), tried=len(tried), caught=caught)
    share = 100 * totals["caught"] / max(1, totals["tried"])
    print(
        f"| **{group}** | {totals['mutants']} | {totals['tried']} | {totals['caught']} | {share:.1f} % caught |\n"
    )
    for name in chosen:
        if found[name] not in CAUGHT:
            print(f"{name}: {found[name]}")


if __name__ == "__main__":
    main()
