"""Fetch one file over http or https: whole and checked, or not at all.

The bytes go to a file of this process's own beside the target, which is renamed onto it once the size and the
SHA-256 are right, so nothing half-written ever stands under the final name. What an interrupted download got
stays as `NAME.part`, or where the process was killed as `NAME.PID-....part`, and the next call goes on from there.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from npgrad._files import make, reason, shown, take
from npgrad.errors import DownloadError
from npgrad.io import _http

PAUSE = 0.5  # seconds before the second attempt; twice that before the third, and so on


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What is to come, and how to tell whether it did."""

    url: str
    max_bytes: int
    sha256: str | None
    sha256_prefix: str | None
    progress: Callable | None
    timeout: float
    check: Callable | None

    @property
    def resumable(self):
        """Only a hash over the whole can tell whether two parts belong together."""
        return bool(self.sha256 or self.sha256_prefix)

    def check_size(self, size):
        if size > self.max_bytes:
            expected = f"expected at most {self.max_bytes:,} bytes, found {size:,}"
            raise DownloadError(f"{_http.plain(self.url)} is too large: {expected}")


def download(
    url,
    path,
    *,
    sha256=None,
    sha256_prefix=None,
    max_bytes,
    progress=None,
    timeout=30,
    attempts=3,
    check=None,
) -> Path:
    """Fetch `url` to `path`, replacing what is there; returns the path.

    sha256, sha256_prefix: hex digits that the file's SHA-256 must equal, or begin with.
    max_bytes: a longer file is refused, at once if the server declares its size.
    progress: called as progress(done_bytes, total_bytes_or_None).
    timeout: seconds to wait for an answer. attempts: how often to try where trying again may help.
    check: a function of the path of what came, which says what else is wrong with it, or None.

    Proxies come from the environment (http_proxy, https_proxy, no_proxy). An interrupted download is
    continued only where there is a hash to check the whole by. Raises DownloadError.
    """
    path = Path(path)
    _http.check_address(url)
    wanted = _Wanted(url, max_bytes, sha256, sha256_prefix, progress, timeout, check)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        own, hold = _claim(path, wanted)
    try:
        _fetch_patiently(wanted, own, path, attempts)
        with _writing(path):
            os.replace(own, path)
    except _http.Unreachable as problem:
        _keep(own, path, wanted)
        by_hand = f"to do it by hand, save that address as {shown(path)} and try again"
        raise DownloadError(f"cannot fetch {_http.plain(url)}: {problem}; {by_hand}") from None
    except KeyboardInterrupt:
        _keep(own, path, wanted)
        raise
    finally:
        with contextlib.suppress(OSError):
            own.unlink()
        hold.release()
    return path


def file_sha256(path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return _digest(file).hexdigest()


def wrong_hash(found, sha256=None, sha256_prefix=None) -> str | None:
    """How the SHA-256 `found` differs from what is expected; None if it does not."""
    if sha256 and found != sha256.lower():
        return f"expected SHA-256 {sha256.lower()}, found {found}"
    if sha256_prefix and not found.startswith(sha256_prefix.lower()):
        return f"expected a SHA-256 beginning with {sha256_prefix.lower()}, found {found}"
    return None


def _claim(path, wanted):
    """(path, Hold) of this process's own temporary file, which holds what an earlier attempt left, if anything."""
    own = _own(path)
    if wanted.resumable:
        with contextlib.suppress(FileNotFoundError):
            os.replace(_part(path), own)  # of several processes exactly one succeeds
    _inherit(own, path, wanted)
    hold = take(own, at_once=True)
    while hold is None:  # there is none, or another process was quicker to take it
        own = _own(path)
        hold = make(own)
    return own, hold


def _inherit(own, path, wanted):
    """Of what killed processes left, take over the largest, if it is larger than `own`, and remove the others."""
    pattern = re.compile(re.escape(path.name) + r"\.\d+-[0-9a-f]{8}\.part")
    for other in [other for other in path.parent.iterdir() if pattern.fullmatch(other.name) and other != own]:
        hold = take(other)
        if hold is None:
            continue
        with contextlib.suppress(OSError):
            if wanted.resumable and other.stat().st_size > _size(own):
                os.replace(other, own)
            else:
                other.unlink()
        hold.release()


def _keep(own, path, wanted):
    """Leave what has come so far for the next attempt, whichever process makes it."""
    if wanted.resumable and _size(own) > _size(_part(path)):
        with contextlib.suppress(OSError):
            os.replace(own, _part(path))


def _own(path):
    return path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _part(path):
    return path.with_name(f"{path.name}.part")


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _fetch_patiently(wanted, own, path, attempts):
    for attempt in range(1, attempts + 1):
        try:
            _fetch(wanted, own, path)
            return
        except _http.Unreachable as problem:
            if attempt == attempts or not problem.again:
                raise
            time.sleep(PAUSE * attempt)


def _fetch(wanted, own, path):
    """One attempt: go on from what `own` holds, and if that turns out useless, begin again."""
    start = _size(own)
    if wanted.resumable and start:
        try:
            _receive(wanted, own, path, start)
            return
        except _http.StalePart:
            pass
    _receive(wanted, own, path, 0)


def _receive(wanted, own, path, start):
    """Ask for the bytes from `start` on, add them to `own`, and check the whole. `path`: what messages name."""
    with _http.request(wanted.url, start, wanted.timeout) as response:
        start, total = _http.extent(response, start)
        wanted.check_size(total or 0)
        with _writing(path), open(own, "r+b" if start else "w+b") as file:
            digest = _digest(file)
            done = start
            while chunk := _http.read(response):
                done += len(chunk)
                wanted.check_size(done)
                digest.update(chunk)
                file.write(chunk)
                if wanted.progress:
                    wanted.progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise _http.Unreachable(f"the connection ended after {done:,} of {total:,} bytes")
    problem = wrong_hash(digest.hexdigest(), wanted.sha256, wanted.sha256_prefix)
    if problem and start:
        raise _http.StalePart
    problem = problem or (wanted.check and wanted.check(own))
    if problem:
        raise DownloadError(f"{_http.plain(wanted.url)} is not the expected file: {problem}")


def _digest(file):
    """SHA-256 from the file's beginning to its end, where the position is left."""
    digest = hashlib.sha256()
    while chunk := file.read(_http.CHUNK):
        digest.update(chunk)
    return digest


@contextlib.contextmanager
def _writing(path):
    try:
        yield
    except OSError as problem:
        raise DownloadError(f"{shown(path)}: cannot be written: {reason(problem)}") from None
