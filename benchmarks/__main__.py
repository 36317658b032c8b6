"""Time npgrad against torch eager and Captum: same weights, same inputs, each in its own process, taking turns.

    python -m benchmarks                     all cases, two threads
    python -m benchmarks --cases forward --archs squeezenet1_1 --batches 1 --rounds 9

A ratio is npgrad's time divided by the other's in the same round; the table shows the median of the ratios, and in
brackets their smallest and largest. Below 1, npgrad is faster. "torch" is torch as people run it (NCHW, Captum for the
attributions), "channels_last" the same with that memory format.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

CONTENDERS = ("npgrad", "torch", "channels_last")
QUICK = ("forward", "input gradient", "saliency", "guided backprop", "Grad-CAM")
LONG = ("integrated gradients (50)", "smoothgrad (25)", "occlusion (45 px, stride 16)", "training gradients")


class Worker:
    """A contender's process."""

    def __init__(self, name, threads):
        count = {key: str(threads) for key in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        command = [sys.executable, "-m", "benchmarks.worker", name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, **count}, **pipes)

    def seconds(self, *case):
        print(json.dumps(case), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self.process.args[-1]} ended")
        return json.loads(line)


def measure(workers, case, rounds):
    """{contender: [seconds of each round]}; the first run of each, which builds and warms up, does not count."""
    for worker in workers.values():
        worker.seconds(*case)
    times = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            times[name].append(worker.seconds(*case))
    return times


def row(case, times):
    arch, batch, name = case
    cells = [arch, str(batch), name]
    cells += [f"{1000 * statistics.median(times[contender]):.1f}" for contender in CONTENDERS]
    for other in CONTENDERS[1:]:
        ratios = [a / b for a, b in zip(times["npgrad"], times[other], strict=True)]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
    return "| " + " | ".join(cells) + " |"


def about():
    import captum
    import numpy
    import torch

    versions = f"NumPy {numpy.__version__}, torch {torch.__version__}, Captum {captum.__version__}"
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}"


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--archs", default="squeezenet1_0,squeezenet1_1")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--cases", default=",".join(QUICK), help=f"of: {', '.join(QUICK + LONG)}; or all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="all seconds, besides the table")
    args = parser.parse_args()
    # The names hold commas themselves, so a name counts as asked for if the words given begin it.
    asked = [word.strip() for word in args.cases.split(",")]
    cases = [name for name in QUICK + LONG if args.cases == "all" or any(name.startswith(w) for w in asked)]
    workers = {name: Worker(name, args.threads) for name in CONTENDERS}
    print(f"{about()}, {args.threads} threads, {args.rounds} rounds\n")
    print(
        "| network | batch | what | npgrad ms | torch ms | channels_last ms | to torch | to channels_last |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    found = []
    for arch in args.archs.split(","):
        for batch in map(int, args.batches.split(",")):
            for name in cases:
                case = (arch, batch, name)
                times = measure(workers, case, args.rounds)
                print(row(case, times), flush=True)
                found.append({"network": arch, "batch": batch, "case": name, "seconds": times})
                if args.json:
                    with open(args.json, "w") as file:
                        json.dump(
                            {"machine": about(), "threads": args.threads, "cases": found}, file, indent=1
                        )


if __name__ == "__main__":
    main()
