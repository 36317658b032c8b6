"""Fuzz the readers, each in its own process, and print a table of the results.

    python -m fuzz                                  one minute each
    python -m fuzz --seconds 600 --reader caffe npz

A finding (an exception outside npgrad's own, more than a second, or too much memory) is saved as a file in
build/fuzz/READER/findings; `python -m fuzz --replay FILE --reader READER` reproduces it. The corpus is saved in
build/fuzz/READER/corpus, from which the next run continues.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.targets import TARGETS, one, seeds

MEMORY = 2048  # MiB of the whole process
HANGING = 30  # seconds after which a file counts as hanging


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each reader; default 60")
    parser.add_argument("--reader", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="NAME",
                        help=f"among {', '.join(TARGETS)}; default: all")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="number of readers in parallel; default 1")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/fuzz"), metavar="FOLDER")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="pass one file to the readers and exit")
    args = parser.parse_args(argv)
    if args.replay:
        for name in args.reader:
            one(name, args.replay.read_bytes())
        return 0
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda name: fuzz(name, args.seconds, args.output / name), args.reader))
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "fuzz.json").write_text(json.dumps(results, indent=1))
    print("\n| reader | seeds | executions | seconds | coverage | findings |\n|---|---|---|---|---|---|")
    for found in results:
        print("| {reader} | {seeds} | {executions:,} | {seconds} | {coverage} | {findings} |".format(**found))
    return 1 if any(found["findings"] for found in results) else 0


def fuzz(name, seconds, folder):
    """Fuzz one reader for a number of seconds: the row of the table as a dict."""
    corpus, kept = folder / "corpus", folder / "findings"
    for path in (corpus, kept):
        path.mkdir(parents=True, exist_ok=True)
    beginning = seeds(name)
    for i, data in enumerate(beginning):
        (corpus / f"seed-{i:04}").write_bytes(data)
    before = set(kept.iterdir())
    done = {"executions": 0, "seconds": 0, "coverage": 0}
    while done["seconds"] < seconds:  # libFuzzer stops after a finding; use the rest of the time
        print(f"{name}: {seconds - done['seconds']} s", file=sys.stderr)
        found = _run(name, seconds - done["seconds"], corpus, kept, folder / "log.txt")
        done = {
            "executions": done["executions"] + found["executions"],
            "seconds": done["seconds"] + found["seconds"],
            "coverage": max(done["coverage"], found["coverage"]),
        }
        if len(set(kept.iterdir()) - before) > 20:
            break
    findings = len(set(kept.iterdir()) - before)
    if findings:
        print(f"{name}: findings in {kept}, described in {folder / 'log.txt'}", file=sys.stderr)
    print(
        "{}: {executions:,} executions in {seconds} s, {} findings".format(name, findings, **done),
        file=sys.stderr,
    )
    return {"reader": name, "seeds": len(beginning), **done, "findings": findings}


def _run(name, seconds, corpus, kept, log):
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={kept}/", f"-timeout={HANGING}", "-seed=1",
               f"-rss_limit_mb={MEMORY}", f"-malloc_limit_mb={MEMORY}", "-print_final_stats=1", "-verbosity=1",
               f"-max_len={2 * TARGETS[name].largest}"]  # fmt: skip
    command = [sys.executable, "-m", "fuzz.child", name, *options, str(corpus)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    ended = time.monotonic()
    with log.open("a") as file:
        file.write(done.stderr[-20_000:] + done.stdout[-5_000:])
    text = done.stderr + done.stdout
    executions = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text) or re.findall(
        r"^#(\d+)", text, re.M
    )
    began = re.search(r"^began at (\d+)", text, re.M)  # excludes the instrumented imports, which take a while
    if not executions or not began:
        raise SystemExit(f"{name}: the fuzzer did not start:\n{text[-2000:]}")
    return {
        "executions": int(executions[-1]),
        "seconds": max(round(ended - int(began[1])), 1),
        "coverage": int((re.findall(r"cov: (\d+)", text) or [0])[-1]),
    }


if __name__ == "__main__":
    sys.exit(main())
