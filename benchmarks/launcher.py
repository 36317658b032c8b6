"""Run a command and print its wall time and peak memory: {"seconds", "megabytes"}.

python -m benchmarks.launcher COMMAND ...

On Linux a process's peak memory starts at the size of the process that started it, so that process must be small.
"""

import json
import os
import subprocess
import sys
import time

UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def main(command):
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"benchmarks: this command failed: {' '.join(command)}")
    print(json.dumps({"seconds": seconds, "megabytes": usage.ru_maxrss * UNIT / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1:])
