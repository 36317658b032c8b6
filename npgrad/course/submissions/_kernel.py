"""A fresh Python process for a notebook: run code in it, within limits, and start it again."""

import os
import queue
import secrets
import subprocess
import time
from dataclasses import dataclass

from npgrad.errors import InputError

START, GRACE = 180, 5  # seconds: for the kernel to start, and to answer an interrupt
# A limit is one of work. On a busy machine, or asleep, a cell may take PATIENCE times as long; BUSY is the share of its
# limit after which a cell has worked all the time.
PATIENCE, BUSY = 4, 0.5
LONGEST = 64 * 2**20  # bytes of a message of the kernel
PREPARE = "__import__('npgrad.course.submissions._worker', fromlist=['prepare']).prepare({key!r}, {memory!r})"


def jupyter():
    """The modules (nbformat, jupyter_client), which only grading needs; InputError if one is not installed."""
    try:
        import ipykernel  # noqa: F401 - the process that runs the notebook needs it
        import jupyter_client
        import nbformat
    except ImportError as error:
        raise InputError(
            f"running a notebook needs {error.name}, which is not installed; it is in the extra 'notebooks', "
            "in a checkout: pip install -e '.[notebooks]'"
        ) from None
    return nbformat, jupyter_client


@dataclass
class CellRun:
    """The outcome of a cell. error: what it raised, in one line; stopped: why it did not end."""

    error: str | None = None
    stopped: str | None = None


class Kernel:
    """A fresh kernel that runs this Python, whatever kernel the notebook names.

    key: what the process signs its answers with; a new one after each start.
    """

    def __init__(self, folder, scratch, memory):
        self.folder, self.scratch, self.memory = folder, scratch, memory
        self.alive, self.client, self.key, self.manager = True, None, b"", None

    def __enter__(self):
        from ipykernel.kernelspec import get_kernel_dict
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

        class ThisPython(KernelSpecManager):
            def get_kernel_spec(self, kernel_name):
                return KernelSpec(**get_kernel_dict())

        _, jupyter_client = jupyter()
        self.manager = jupyter_client.KernelManager(
            kernel_name="python3",
            kernel_spec_manager=ThisPython(),
            connection_file=os.path.join(self.scratch, f"kernel-{secrets.token_hex(8)}.json"),
        )
        # Without the user's own profile, history and configuration; demonstrations in a notebook take few steps.
        environment = {"NPGRAD_QUICK": "1", **os.environ, "IPYTHONDIR": self.scratch}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.manager.start_kernel(cwd=str(self.folder), env=environment, **quiet)
        try:
            self._connect()
        except RuntimeError as error:
            self.__exit__()
            raise InputError(f"cannot start a Python process for the notebook: {error}") from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self):
        import zmq

        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=START)
        # A cell's end is read from its reply, so no flood of output has to be read.
        self.client.iopub_channel.stop()
        self.client.shell_channel.socket.setsockopt(zmq.MAXMSGSIZE, LONGEST)
        self.key, path = secrets.token_bytes(32), os.path.join(self.scratch, secrets.token_hex(8))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self.key)
        ran = self.execute(PREPARE.format(key=path, memory=self.memory), START)
        if ran.stopped or ran.error:
            raise RuntimeError(ran.error or f"not ready after {START} s")

    def __exit__(self, *error):
        if self.client is not None:
            self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def restart(self):
        """A new process in place of one that ended, cannot be interrupted, or does not answer."""
        self.__exit__()
        self.alive, self.client = True, None
        self.__enter__()

    def execute(self, source, seconds, store_history=False, most=float("inf")):
        """Run a cell until it ends, its process dies, or its time is over: `most` seconds on the busiest machine."""
        ran = CellRun()
        cell = self.client.execute(
            source, store_history=store_history, allow_stdin=False, stop_on_error=False
        )
        if self._ended(cell, ran, seconds, most):
            return ran
        if self.alive:
            ran.stopped = f"was interrupted after {seconds:.3g} s"
            self.manager.interrupt_kernel()
            if not self._ended(cell, ran, GRACE):
                ran.stopped = f"could not be interrupted after {seconds:.3g} s"
                self.alive = False
        else:
            ran.stopped = "ended the process"
        ran.error = None
        return ran

    def _ended(self, cell, ran, seconds, most=float("inf")):
        """Wait for a cell's reply. True at its end, False if the process died or the time limit was reached."""
        begin, work = time.monotonic(), self._work()
        while not self._late(time.monotonic() - begin, self._work() - work, seconds, most):
            try:
                message = self.client.get_shell_msg(timeout=min(seconds, 0.5))
            except queue.Empty:
                if not self.manager.is_alive():
                    self.alive = False
                    return False
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            if content.get("status") != "ok":
                name, text = content.get("ename", "aborted"), content.get("evalue", "")
                ran.error = one_line(f"{name}: {text}" if text else name)
            return True
        return False

    def _late(self, waited, worked, seconds, most):
        return waited > min(PATIENCE * seconds, max(most, seconds)) or (
            waited > seconds and worked > BUSY * seconds
        )

    def _work(self):
        """The processor time that the process has taken, in seconds."""
        import psutil  # ipykernel has it

        try:
            times = psutil.Process(self.manager.provisioner.pid).cpu_times()
        except (psutil.Error, AttributeError, TypeError):
            return float("inf")
        return times.user + times.system


def one_line(text):
    """A text without line breaks, cut to 200 characters."""
    text = " ".join(str(text)[:2000].split())
    return text if len(text) <= 200 else text[:197] + "..."
