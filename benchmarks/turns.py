"""Contenders take turns, round by round, so that a busy minute affects all of them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.2  # seconds before each turn: OpenBLAS's idle threads spin for 0.1 s before they sleep
LEAST = 3  # rounds, unless fewer are asked for


class Disagreement(Exception):
    """Two contenders do not compute the same result."""


def environment(threads):
    """The environment of a contender's process: as many threads in every library."""
    count = {key: str(threads) for key in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**os.environ, **count}


class Worker:
    """A contender's process (worker.py)."""

    def __init__(self, contender, folder, threads):
        command = [sys.executable, "-m", "benchmarks.worker", contender, str(folder), str(threads)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment(threads), cwd=ROOT, **pipes)
        self.contender = contender

    def ask(self, job):
        """The answer to a job."""
        try:
            print(json.dumps(job), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise SystemExit(
                f"benchmarks: {self.contender} failed at {job}; its messages are above"
            ) from None

    def close(self):
        """End the process; one that is in the middle of a job does not finish it."""
        self.process.kill()
        self.process.communicate()


def measure(workers, job, folder, tolerance, rounds, budget, tell):
    """Compare the contenders' results, then time them.

    {"seconds": {contender: [one number per round]}, "differs": {contender: how far its result is from npgrad's}}.

    workers: {contender: Worker}. budget: seconds after which no further round begins, after the first few.
    """
    first, results = {}, {}
    for name, worker in workers.items():
        tell(f"compare {name}")
        path = Path(folder, f"{name}.npz")
        first[name] = worker.ask({**job, "result": str(path)})["seconds"]
        with np.load(path) as file:
            results[name] = dict(file)
    compared = {name: found for name, found in results.items() if name != "products"}
    differs = differences(job["case"], compared, tolerance)
    if sum(first.values()) < budget:  # warm up; where that would take long, the first run was enough
        first = {name: worker.ask(job)["seconds"] for name, worker in workers.items()}
    turns = {name: lambda worker=worker: worker.ask(job) for name, worker in workers.items()}
    answers = take_turns(turns, number_of_rounds(sum(first.values()), rounds, budget), tell)
    return {"seconds": column(answers, "seconds"), "differs": differs}


def take_turns(turns, rounds, tell):
    """{contender: [answer of each round]}. turns: {contender: function}. Each round begins with a different one."""
    answers, names = {name: [] for name in turns}, list(turns)
    for k in range(rounds):
        tell(f"round {k + 1} of {rounds}")
        first = k % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE)
            answers[name].append(turns[name]())
    return answers


def column(answers, quantity):
    """{contender: [one number per round]} of one quantity of the answers."""
    return {name: [answer[quantity] for answer in given] for name, given in answers.items()}


def number_of_rounds(seconds, most, budget):
    """The number of rounds of this many seconds that fit the budget, at least LEAST and at most `most`."""
    return min(most, max(LEAST, int(budget / max(seconds, 1e-9))))


def differences(case, results, tolerance):
    """How far each contender's result is from npgrad's: {contender: relative difference}, at most `tolerance`.

    results: {contender: {name: array}}. The norm of the difference divided by the norm, for the worst array.
    """
    found = {}
    for name, others in results.items():
        if name == "npgrad":
            continue
        if others.keys() != results["npgrad"].keys():
            raise Disagreement(f"{case}: npgrad gives {list(results['npgrad'])}, {name} {list(others)}")
        found[name] = max(_difference(others[key], own) for key, own in results["npgrad"].items())
        if not found[name] <= tolerance:
            raise Disagreement(
                f"{case}: {name} differs from npgrad by {found[name]:.2g}, more than {tolerance:g}"
            )
    return found


def _difference(other, own):
    other, own = (array.astype(np.float64).ravel() for array in (other, own))
    if other.shape != own.shape or not np.isfinite(other).all():
        return np.inf
    return float(np.linalg.norm(other - own) / max(np.linalg.norm(own), 1e-30))
