"""Whole programs from a cold start, and imports: wall time and peak memory, each run a new process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.cases import GRADIENT
from benchmarks.turns import ROOT, column, differences, environment, number_of_rounds, take_turns

PROGRAM, IMPORT = "program", "import"
TITLES = {PROGRAM: "saliency of a photo from a cold start", IMPORT: "import"}
IMPORTS = {
    "npgrad": "import npgrad",
    "torch": "import torch",
    "torch + Captum": "import torch, captum.attr",
    "numpy": "import numpy",
    "python": "pass",
}


def commands(folder, network):
    """{contender: [command ...]}: a photo and weights in, saliency, a heat map as PNG out."""
    photo, weights = Path(folder, "photo.jpg"), Path(folder, network)
    own = ["-m", "npgrad", "attribute", photo, "--weights", f"{weights}.h5", "--method", "saliency"]
    torch = ["-m", "benchmarks.torch_program", network, f"{weights}.pth", photo]
    return {
        "npgrad": [*own, "-o", Path(folder, "npgrad.png")],
        "torch": [*torch, Path(folder, "torch.png")],
    }


def measure_programs(job, folder, rounds, budget, tell):
    """As `turns.measure`, with the peak "megabytes" as well; the raw saliency arrays are compared."""
    programs, results = commands(folder, job["network"]), {}
    for name, command in programs.items():
        tell(f"compare {name}")
        path = Path(folder, f"{name}.npy")
        run([*command, "--save-array", path], job["threads"])
        results[name] = {"saliency": np.load(path)}
    differs = differences(job["case"], results, GRADIENT)
    return {**_timed(programs, job["threads"], rounds, budget, tell), "differs": differs}


def measure_imports(job, rounds, budget, tell):
    return _timed(
        {name: ["-c", code] for name, code in IMPORTS.items()}, job["threads"], rounds, budget, tell
    )


def _timed(programs, threads, rounds, budget, tell):
    turns = {name: lambda command=command: run(command, threads) for name, command in programs.items()}
    once = sum(turn()["seconds"] for turn in turns.values())
    answers = take_turns(turns, number_of_rounds(once, rounds, budget), tell)
    return {quantity: column(answers, quantity) for quantity in ("seconds", "megabytes")}


def run(arguments, threads):
    """{"seconds", "megabytes"} of one run of Python with these arguments."""
    command = [sys.executable, "-m", "benchmarks.launcher", sys.executable, *map(str, arguments)]
    env = {**environment(threads), "PYTHONWARNINGS": "ignore"}
    pipes = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}  # Ctrl-C does not reach them
    process = subprocess.Popen(command, env=env, cwd=ROOT, **pipes)
    try:
        answer, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # the launcher and the processes that it started
        process.wait()
        raise
    if process.returncode:
        raise SystemExit(f"benchmarks: {' '.join(map(str, arguments))} failed; its messages are above")
    return json.loads(answer)
