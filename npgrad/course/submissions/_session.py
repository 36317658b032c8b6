"""A notebook's cells in a process of their own, and calls of its functions there.

Each cell and each check has a limit. What does not end within it is interrupted; a process that cannot be
interrupted, has ended, or does not answer is replaced by a new one, in which all cells that came to their end run
again. Of a cell that did not, only imports, functions and classes are taken over.
"""

import hmac
import os
import pickle
import secrets
import time
from dataclasses import dataclass

from npgrad.course.submissions import _source, _wire
from npgrad.errors import InputError

ASK = "__import__('IPython').get_ipython().run_line_magic('npgrad_answer', {path!r})"
RESERVED = 0.25  # share of the whole limit that is left for the checks
PING = 30  # seconds


@dataclass(frozen=True)
class Limits:
    """Limits: seconds for a cell, for the check of a function, and for all of them; gigabytes of memory."""

    cell: float = 120.0
    check: float = 60.0
    total: float = 1800.0
    memory: float = 4.0


class Stopped(Exception):
    """A call that did not end, in words."""


class Session:
    """The cells {number: source} of a notebook in a Kernel.

    failed: {cell: its error}. stopped: {cell: why it did not end}.
    """

    def __init__(self, kernel, cells, limits, progress=None):
        self.kernel, self.cells, self.limits, self.left = kernel, cells, limits, limits.total
        self.progress, self.reserve = progress or (lambda: None), 0.0
        self.failed, self.stopped, self.meddling, self.restarts = {}, {}, {}, 0

    def run_cells(self):
        """Run all cells; those that must be left out are in `stopped`."""
        self._run(list(self.cells), (1 - RESERVED) * self.left)

    def call(self, request, seconds):
        """The reply of the student's process to a request; Stopped if there is none."""
        path = os.path.join(self.kernel.scratch, secrets.token_hex(8))
        nonce = secrets.token_bytes(16)
        with open(path, "wb") as file:
            file.write(nonce)
            pickle.dump(request, file)
        seconds = max(0.1, min(seconds, self.left))
        ran = self._timed(ASK.format(path=path), seconds)
        try:
            if ran.stopped:
                raise Stopped(ran.stopped)
            reply = self._reply(path + ".reply", nonce)
            if reply is None:
                raise Stopped(f"did not answer: {ran.error}" if ran.error else "did not answer")
            return reply
        finally:
            for name in (path, path + ".reply", path + ".writing"):
                if os.path.lexists(name):
                    os.unlink(name)

    def _reply(self, path, nonce):
        try:
            if os.path.getsize(path) > _wire.LARGEST:
                raise Stopped("returned more than 256 MB")
            with open(path, "rb") as file:
                signature, reply = file.read(32), file.read()
        except OSError:
            return None
        if not hmac.compare_digest(signature, hmac.digest(self.kernel.key, nonce + reply, "sha256")):
            raise Stopped("was not answered by the grader's own code")
        try:
            return _wire.decode(reply)
        except InputError as error:
            raise Stopped(f"was not answered: {error}") from None

    def recover(self):
        """Go on in a new process, if the old one ended or does not answer: the cells run again."""
        if self._answers():
            return
        self.restarts += 1
        self.kernel.restart()
        self._run(list(self.cells), self.left / 2)

    def _timed(self, source, seconds, **options):
        begin = time.monotonic()
        ran = self.kernel.execute(source, seconds, most=self.left - self.reserve, **options)
        self.left -= time.monotonic() - begin
        return ran

    def _answers(self):
        if not self.kernel.alive:
            return False
        try:
            self.call({"do": "ping"}, PING)
        except Stopped:
            self.kernel.alive = False
        return self.kernel.alive

    def _run(self, numbers, seconds):
        reserve = self.reserve = self.left - seconds
        for number in numbers:
            left = self.left - reserve
            if left <= 0:
                self.stopped.setdefault(number, "did not run: the time limit was reached")
                continue
            if number in self.stopped:
                self._take_over(number)
                continue
            self.failed.pop(number, None)
            limit = min(self.limits.cell, max(left / 2, 0.1))
            ran = self._timed(self.cells[number], limit, store_history=True)
            self.progress()
            if ran.error:
                self.failed[number] = ran.error
            if ran.stopped:
                self.stopped[number] = ran.stopped
            elif not self._answers():
                self.stopped[number] = "left a process that does not answer"
            if not self.kernel.alive:
                self.restarts += 1
                self.kernel.restart()
                self._run(list(self.cells), self.left - reserve)
                return
            if ran.error or ran.stopped:
                self._take_over(number)
        self.reserve = 0.0

    def _take_over(self, number):
        """Run only the definitions of a cell."""
        definitions = _source.definitions(self.cells[number])
        if definitions:
            self._timed(definitions, min(self.limits.cell, 10))
