"""Mutation testing: do the tests notice a changed operator, number, name or argument in the code?

    python -m tests.mutants [FILE ...] [--sample N] [--all] [--seconds S] [--after JSON] [-o FOLDER]
    python -m tests.mutants --list [FILE ...] [-o FOLDER]       the survivors of a run, or of one that is still going on

mutmut makes the mutants, in a copy of the project; this program runs them. The tests are collected once. Each mutant
is a fork in which the tests that reach the mutated function run, the quickest first, until one fails. (mutmut's own
runner collects again for every mutant and forks with torch's threads running: tests hang, and all mutants look caught.)
FOLDER/verdicts.json has what became of each, FOLDER/changes.json what each changes.
"""

import argparse
import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import pytest
from _pytest.runner import runtestprotocol
from _pytest.warnings import catch_warnings_for_item

COPIED = [
    "npgrad",
    "tests",
    "weights",
    "benchmarks",
    "scripts",
    "fuzz",
    "README.md",
    "setup.cfg",
    "pyproject.toml",
]
# Error messages are not mutated; the conditions above them are.
CONFIG = r"""
[mutmut]
source_paths = npgrad
do_not_mutate_patterns = ^\s*raise \w+
only_mutate =
"""
GROUPS = {  # name: (what is mutated, quick tests that reach it)
    "layers, tape, losses": (
        [
            "npgrad/layers/*.py",
            "npgrad/tape.py",
            "npgrad/_passes.py",
            "npgrad/_parallel/batch_tape.py",
            "npgrad/losses.py",
        ],
        "layers plain plain_others layer_objects residual_and_graph passes composites gradcheck map_layer tape "
        "tape_keep tape_walk batch_tape losses rules patches model layer_refusals receptive_fields im2col precision "
        "tape_contract stopped_passes",
    ),
    "the readers": (
        ["npgrad/io/formats/*.py", "npgrad/io/converting.py", "npgrad/io/architectures.py"],
        "hdf5 pickles pickles_refused torch_pth torch_pth_refused checkpoint_forms checkpoints caffe "
        "deep_compression npz imagenet_val safetensors convert formats labels classes onnx onnx_files onnx_operators "
        "onnx_versions onnx_old_opsets onnx_external onnx_differential onnx_formulas onnx_attributes onnx_constants "
        "refusals architectures caffe_options structure protocol_buffers pickle_limits zoo",
    ),
}
SLOW = "not the_script"  # other processes, in which there is no mutant
MEMORY = 6 << 30  # bytes of address space: a mutant of a bound may ask for more
CAUGHT = ("caught", "hung", "crashed")  # a test failed, did not end, or crashed the interpreter


def mutants_of(path):
    """(the code with every mutant of the file in it, {mutant's name: what it changes})."""
    import libcst
    from mutmut.mutation import file_mutation as mutmut
    from mutmut.utils.format_utils import get_mutant_name

    module, made, *ignored = mutmut.create_mutations(str(path), path.read_text())
    # zip(..., strict=True) asserts what the lines before it ensure: no mutants of that
    keywords = (node for node in mutmut._walk(module) if isinstance(node, libcst.Arg) and node.keyword)
    strict = {id(arg.value) for arg in keywords if arg.keyword.value == "strict"}
    made = [mutation for mutation in made if not changes_one_of(strict, mutation)]
    mutated = mutmut.combine_mutations_to_source(module, made, *ignored)
    groups = mutmut.group_by_top_level_node(made)
    bodies = ([node, *getattr(node.body, "body", [])] for node in module.body if hasattr(node, "body"))
    functions = (node for body in bodies for node in body if isinstance(node, libcst.FunctionDef))
    ordered = [mutation for function in functions for mutation in groups.get(function, [])]
    names = [get_mutant_name(path, name) for name in mutated.mutant_names]

    def change(mutation):
        old, new = (module.code_for_node(node) for node in (mutation.original_node, mutation.mutated_node))
        return f"{old}  ->  {new}"

    return mutated.code, {name: change(mutation) for name, mutation in zip(names, ordered, strict=True)}


def changes_one_of(nodes, mutation):
    """Whether the mutation changes or leaves out only arguments whose ids are among `nodes`."""
    old, kept = mutation.original_node, {id(arg) for arg in getattr(mutation.mutated_node, "args", ())}
    lost = {id(arg.value) for arg in getattr(old, "args", ()) if id(arg) not in kept}
    return (lost or {id(old)}) <= nodes


def prepare(folder, files):
    """Go to a copy of the project in `folder`, and mutate it: {file: {mutant: what it changes}}."""
    from mutmut.utils.file_utils import walk_mutatable_files

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in filter(os.path.exists, COPIED):
        copy = shutil.copytree if os.path.isdir(name) else shutil.copy
        copy(name, folder / name)
    os.chdir(folder)
    with open("setup.cfg", "a") as file:
        file.write(
            CONFIG + "\n".join(f"    {pattern}" for patterns, _ in GROUPS.values() for pattern in patterns)
        )
    mutants = {}
    for path in sorted(walk_mutatable_files()):
        if not files or str(path) in files:
            code, mutants[str(path)] = mutants_of(path)
            path.write_text(code)
    Path("changes.json").write_text(json.dumps(mutants, indent=1))
    return mutants


class Mutation:
    """A pytest plugin: instead of running the tests once, run them for every mutant."""

    def __init__(self, mutants, seconds, verdicts):
        self.mutants, self.seconds, self.verdicts = mutants, seconds, dict(verdicts)

    def pytest_sessionstart(self):
        from hypothesis import Phase, settings
        from mutmut.mutation import trampoline

        trampoline.__name__ = "npgrad.trampoline"  # so that a warning is shown where npgrad was called
        quick = settings(phases=[Phase.explicit, Phase.generate], derandomize=True, database=None)
        settings.register_profile("mutation", quick)
        settings.load_profile("mutation")  # a failing test is enough; examples need not be short

    def pytest_runtestloop(self, session):
        gc.freeze()
        end, measured = in_child(lambda: measure(session.items), limit=3600)
        if end != "done" or isinstance(measured, str):
            pytest.exit(f"without any mutant, {measured}", returncode=1)
        took, reached = measured
        order = sorted(session.items, key=lambda item: took[item.nodeid])
        end, failed = in_child(lambda: run("no mutant", order), limit=3600)
        if end != "done" or failed:
            pytest.exit(f"without any mutant, but in another order, {failed} fails", returncode=1)
        start = time.time()
        for done, mutant in enumerate(self.mutants, 1):
            function = mutant.partition("__mutmut_")[0]
            items = [item for item in order if function in reached[item.nodeid]]
            while sum(took[item.nodeid] for item in items) > self.seconds:
                items.pop()
            limit = 20 + 5 * sum(took[item.nodeid] for item in items)
            self.verdicts[mutant] = self.verdict(*in_child(lambda m=mutant, i=items: run(m, i), limit), items)
            if done % 50 == 0:
                self.note()
                print(
                    f"{done} of {len(self.mutants)}, {(time.time() - start) / done:.2f} s each",
                    file=sys.stderr,
                )
        self.note()
        return True

    def note(self):
        Path("verdicts.json").write_text(json.dumps(self.verdicts, indent=1))

    @staticmethod
    def verdict(end, failed, items):
        if end == "done":
            return "caught" if failed else "survived" if items else "not reached"
        return end


def in_child(work, limit):
    """("done", what `work` returned in a fork), ("hung", None) after `limit` seconds, or ("crashed", None)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            time.perf_counter = time.process_time = lambda: 0.0  # so that a busy machine fails no test
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            with os.fdopen(write, "w") as answer:
                json.dump(work(), answer)
        finally:
            os._exit(0)
    os.close(write)
    hung = []
    signal.signal(signal.SIGALRM, lambda *_: (hung.append(pid), os.killpg(pid, signal.SIGKILL)))
    signal.alarm(int(limit))
    with os.fdopen(read) as answer:
        said = answer.read()
    signal.alarm(0)
    os.waitpid(pid, 0)
    if hung:
        return "hung", None
    return ("done", json.loads(said)) if said else ("crashed", None)


def failure(item, after):
    """What a failing test says, or ""."""
    with catch_warnings_for_item(config=item.config, ihook=item.ihook, when="runtest", item=item):
        reports = runtestprotocol(item, nextitem=after, log=False)
    return next((report.longreprtext or "failed" for report in reports if report.failed), "")


def measure(items):
    """({test: seconds}, {test: names of the functions that it reaches}) without any mutant, or a failing test."""
    from mutmut.mutation.trampoline import set_mutant_under_test
    from mutmut.state import state

    set_mutant_under_test("stats")
    took, reached = {}, {}
    for item, after in pairwise([*items, None]):
        state()._stats.clear()
        start = perf_counter()
        if said := failure(item, after):
            return f"{item.nodeid} fails: {said}"
        took[item.nodeid] = perf_counter() - start
        reached[item.nodeid] = sorted(state()._stats)
    return took, reached


def run(mutant, items):
    """The first of the tests that fails with the mutant, or None."""
    from mutmut.mutation.trampoline import set_mutant_under_test

    set_mutant_under_test(mutant)
    return next((item.nodeid for item, after in pairwise([*items, None]) if failure(item, after)), None)


def test_file(name):
    (path,) = Path("tests").glob(f"*/test_{name}.py")
    return str(path)


def group_of(file):
    return next(name for name, (patterns, _) in GROUPS.items() if any(fnmatch(file, one) for one in patterns))


def table(mutants, verdicts):
    """The results for each file, for layers, tape and losses, for the readers, and for all."""
    counts = {}
    for file, names in mutants.items():
        for row in (file, f"**{group_of(file)}**", "**~ all**"):
            counts.setdefault(row, Counter()).update(verdicts.get(name, "not run") for name in names)
    lines = ["| file | made | run | caught | survived | |", "|---|---|---|---|---|---|"]
    for row, count in sorted(counts.items(), key=lambda pair: (pair[0].startswith("*"), pair[0])):
        survived = count["survived"] + count["not reached"]
        ran = count.total() - count["not run"]
        share = f"{100 * (ran - survived) / ran:.1f} %" if ran else ""
        lines.append(
            f"| {row.replace('~ ', '')} | {count.total()} | {ran} | {ran - survived} | {survived} | {share} |"
        )
    return "\n".join(lines)


def survivors(mutants, verdicts):
    """A line for each mutant that no test has noticed: its name, what it changes, and whether a test reached it."""
    missed = {name: verdict for name, verdict in verdicts.items() if verdict not in CAUGHT}
    for file, names in mutants.items():
        if found := [
            f"    {name}: {change}  ({missed[name]})" for name, change in names.items() if name in missed
        ]:
            yield from (f"{file}: {len(found)}", *found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="only these files' mutants")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/mutants"), metavar="FOLDER")
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants of each file, chosen at random")
    parser.add_argument(
        "--seconds",
        type=float,
        default=20,
        metavar="S",
        help="seconds of tests per mutant, the quickest first",
    )
    parser.add_argument("--all", action="store_true", help="also the tests that `make test` leaves out")
    parser.add_argument(
        "--after",
        type=Path,
        metavar="JSON",
        help="verdicts.json of an earlier run: mutants caught there are not run again",
    )
    parser.add_argument("--list", action="store_true", help="print the survivors of the run in FOLDER")
    arguments = parser.parse_args()
    if arguments.list:
        return list_survivors(arguments.output, arguments.files)
    before = json.loads(arguments.after.read_text()) if arguments.after else {}
    before = {name: verdict for name, verdict in before.items() if verdict in CAUGHT}
    mutants = prepare(arguments.output.absolute(), arguments.files)
    chosen = []
    for file, names in mutants.items():
        few = min(arguments.sample or len(names), len(names))
        lot = set(random.Random(file).sample(list(names), few))
        chosen += [name for name in names if name in lot and name not in before]
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    sys.path[:0] = [os.getcwd(), os.path.join(os.getcwd(), "tests", "support")]
    plugin = Mutation(chosen, arguments.seconds, before)
    options = ["-s", "-q", "-p", "no:cacheprovider", "--basetemp", os.path.abspath("tmp"), "-k", SLOW]
    if arguments.all:
        options += ["-m", "not slow"]
    names = [
        test for group in {group_of(file): None for file in mutants} for test in GROUPS[group][1].split()
    ]
    code = pytest.main([*options, *map(test_file, names)], plugins=[plugin])
    if code:
        return code
    print(table(mutants, plugin.verdicts))
    return 0


def list_survivors(folder, files):
    """Print the survivors of the run in `folder`, of these files or of all; the exit code."""
    try:
        mutants, verdicts = (
            json.loads((folder / f"{name}.json").read_text()) for name in ("changes", "verdicts")
        )
    except FileNotFoundError as error:
        print(f"{error.filename}: no such file; a run without --list writes it", file=sys.stderr)
        return 2
    chosen = {file: names for file, names in mutants.items() if not files or file in files}
    print(*survivors(chosen, verdicts), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
