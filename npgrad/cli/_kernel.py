"""Run a notebook in a fresh Python process, for `npgrad grade`."""

import os
import queue
import subprocess
import time
from dataclasses import dataclass, field

from npgrad.errors import InputError

START, GRACE = 120, 3  # seconds: for the kernel to start, and to answer an interrupt


def jupyter():
    """The modules (nbformat, jupyter_client), which only this command needs; InputError if one is not installed."""
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
    """The outcome of a cell. error: what it raised, in one line; stopped: why it did not end; data: outputs by type."""

    error: str | None = None
    stopped: str | None = None
    data: dict = field(default_factory=dict)


class Kernel:
    """A fresh kernel that runs this Python, whatever kernel the notebook names. first: code that it starts with."""

    def __init__(self, folder, scratch, first):
        self.folder, self.scratch, self.first, self.alive, self.client = folder, scratch, first, True, None

    def __enter__(self):
        from ipykernel.kernelspec import get_kernel_dict
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

        class ThisPython(KernelSpecManager):
            def get_kernel_spec(self, kernel_name):
                return KernelSpec(**get_kernel_dict())

        _, jupyter_client = jupyter()
        connection = os.path.join(self.scratch, "kernel.json")
        self.manager = jupyter_client.KernelManager(
            kernel_name="python3", kernel_spec_manager=ThisPython(), connection_file=connection
        )
        # Without the user's own profile, history and configuration.
        environment = {**os.environ, "IPYTHONDIR": self.scratch}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.manager.start_kernel(cwd=str(self.folder), env=environment, **quiet)
        try:
            self.client = self.manager.blocking_client()
            self.client.start_channels()
            self.client.wait_for_ready(timeout=START)
        except RuntimeError as error:
            self.__exit__()
            raise InputError(f"cannot start a Python process for the notebook: {error}") from None
        except BaseException:
            self.__exit__()
            raise
        if self.execute(self.first, START).stopped:
            raise InputError(f"cannot start a Python process for the notebook: not ready after {START} s")
        return self

    def __exit__(self, *error):
        if self.client is not None:
            self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def restart(self):
        """A new process in place of one that ended or cannot be interrupted."""
        self.__exit__()
        self.alive, self.client = True, None
        self.__enter__()

    def execute(self, source, seconds, store_history=False):
        """Run a cell until it ends, its process dies, or its time is over."""
        ran, limit = CellRun(), time.monotonic() + seconds
        cell = self.client.execute(
            source, store_history=store_history, allow_stdin=False, stop_on_error=False
        )
        if self._ended(cell, ran, limit):
            return ran
        if self.alive:
            late = f"after {seconds:.0f} s, half of the time that was left"
            ran.stopped = f"was interrupted {late}"
            self.manager.interrupt_kernel()
            if not self._ended(cell, ran, time.monotonic() + GRACE):
                self.alive = False
                ran.stopped = f"could not be interrupted {late}"
        else:
            ran.stopped = "ended the process"
        ran.error = None
        return ran

    def _ended(self, cell, ran, limit):
        """Collect a cell's outputs. True at its end, False if the process died or the time limit was reached."""
        while (left := limit - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=min(left, 0.5))
            except queue.Empty:
                if not self.manager.is_alive():
                    self.alive = False
                    return False
                continue
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell:
                continue
            if kind == "error":
                name, text = content["ename"], content["evalue"]
                ran.error = one_line(f"{name}: {text}" if text else name)
            elif kind == "display_data":
                ran.data.update(content["data"])
            elif kind == "status" and content["execution_state"] == "idle":
                return True
        return False


def one_line(text):
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:197] + "..."
