"""One contender in its own process: reads jobs, one JSON object per line, and answers each with one line.

python -m benchmarks.worker CONTENDER FOLDER THREADS

{"network", "batch", "side", "case"}                  {"seconds"} of one turn
{..., "result": FILE.npz}                             the same of one run, whose result is written to the file
"""

import json
import os
import signal
import statistics
import sys
import time
import warnings

import numpy as np

from benchmarks.cases import CASES
from benchmarks.contenders import CONTENDERS

TURN = 0.1  # seconds: a turn is as many runs as begin within this time, and counts as their median


def numbers(result):
    """What a run returned, as NumPy arrays by name: nothing, an array or tensor, a tuple of them or a dict."""
    if result is None:
        return {}
    if isinstance(result, tuple):
        result = dict(enumerate(result))
    if not isinstance(result, dict):
        result = {"result": result}
    return {
        str(name): np.asarray(getattr(value, "detach", lambda v=value: v)()) for name, value in result.items()
    }


def one_turn(run):
    """The median time of the runs of one turn."""
    seconds, begin = [], time.perf_counter()
    while not seconds or time.perf_counter() - begin < TURN:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def answers(name, folder, threads, jobs):
    """The answer to each job. Only one contender and case are kept ready at a time, to save memory."""
    size, contender, ready, run = None, None, None, None
    for job in jobs:
        if size != (size := (job["network"], job["batch"], job["side"])):
            contender = ready = run = None  # free the old one first
            contender = CONTENDERS[name](folder, *size, threads)
        if ready != (ready := (*size, job["case"], "result" in job)):
            contender.checking = "result" in job
            run = CASES[job["case"]].of(name)(contender)
        if "result" in job:
            start = time.perf_counter()
            result = run()
            seconds = time.perf_counter() - start
            np.savez(job["result"], **numbers(result))
        else:
            seconds = one_turn(run)
        yield {"seconds": seconds}


def main(name, folder, threads):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    warnings.simplefilter("ignore")
    CONTENDERS[name].warm_up()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that other printed output is not mistaken for an answer
    for answer in answers(name, folder, int(threads), map(json.loads, sys.stdin)):
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
