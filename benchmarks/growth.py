"""How time and memory grow with the batch, the side of the images and the steps of integrated gradients.

python -m benchmarks.growth CONTENDER FOLDER NETWORK CASE VALUE THREADS RESULT.json      one point, in its own process

Each point is measured in a new process, started by a small one (launcher.py), so that its peak memory is its own. What
the process took before, for the libraries and the network, is subtracted.
"""

import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks.launcher import UNIT
from benchmarks.programs import run

GROWTH = {
    "growth-batch": ("batch", (1, 2, 4, 8, 16, 32, 64)),
    "growth-side": ("side, px", (112, 224, 448, 896)),
    "growth-steps": ("steps of integrated gradients", (10, 25, 50, 100, 200)),
}
COMPARED = ("npgrad", "torch", "channels_last")
RUNS, SECONDS = 3, 1.0  # after the first run: at most this many, and none after this time


def measure_growth(job, folder, tell):
    """{"values", "seconds": {contender: one number per value}, "megabytes": the same}."""
    values = GROWTH[job["case"]][1]
    found = {"values": values, "seconds": {}, "megabytes": {}}
    path = Path(folder, "growth.json")
    for value in values:
        for name in COMPARED:
            tell(f"{name} at {value}")
            point = [name, folder, job["network"], job["case"], value, job["threads"], path]
            run(["-m", "benchmarks.growth", *point], job["threads"])
            for quantity, number in json.loads(path.read_text(encoding="utf-8")).items():
                found[quantity].setdefault(name, []).append(number)
    return found


def exponent(values, numbers):
    """The b of number = a * value^b: the slope of the logarithms, by least squares."""
    return float(np.polyfit(np.log(values), np.log(np.maximum(numbers, 1e-9)), 1)[0])


def prepared(contender, folder, network, case, value, threads):
    """The function to time."""
    from benchmarks.contenders import CONTENDERS

    batch, side = (
        value if case == f"growth-{axis}" else usual for axis, usual in (("batch", 1), ("side", 224))
    )
    it = CONTENDERS[contender](folder, network, batch, side, threads)
    if case != "growth-steps":
        return it.input_gradient
    if contender == "npgrad":
        return it.attribution("integrated_gradients", n_steps=value)
    return it.captum("IntegratedGradients", n_steps=value, internal_batch_size=8)


def main(contender, folder, network, case, value, threads, result):
    warnings.simplefilter("ignore")
    turn = prepared(contender, folder, network, case, int(value), int(threads))
    before, seconds = _peak(), []
    turn()
    while not seconds or (len(seconds) < RUNS and sum(seconds) < SECONDS):
        start = time.perf_counter()
        turn()
        seconds.append(time.perf_counter() - start)
    point = {"seconds": statistics.median(seconds), "megabytes": _peak() - before}
    Path(result).write_text(json.dumps(point), encoding="utf-8")


def _peak():
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
