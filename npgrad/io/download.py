"""Download one file over http or https: complete and verified, or not at all.

The bytes are written to a temporary file beside the target, which takes the target's name once size and SHA-256 are
correct, so the target is never incomplete. After an interruption, the partial file is kept as `NAME.part`, or as
`NAME.PID-....part` if the process was killed, and the next call continues from it.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path as FilePath

from npgrad._files import make, reason, shown, take
from npgrad._typing import Path
from npgrad.errors import DownloadError
from npgrad.io import _http

PAUSE = 0.5  # seconds before the second attempt, twice as many before the third, and so on


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """The expected file, and how to verify it."""

    url: str
    max_bytes: int
    sha256: str | None
    sha256_prefix: str | None
    progress: Callable | None
    timeout: float
    check: Callable | None

    @property
    def resumable(self):
        """Whether a partial file can be continued: only a hash can tell whether two parts belong together."""
        return bool(self.sha256 or self.sha256_prefix)

    def check_size(self, size):
        if size > self.max_bytes:
            expected = f"expected at most {self.max_bytes:,} bytes, found {size:,}"
            raise DownloadError(f"{_http.plain(self.url)} is too large: {expected}")


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    max_bytes: int,
    progress: Callable[[int, int | None], object] | None = None,
    timeout: float = 30,
    attempts: int = 3,
    check: Callable[[FilePath], str | None] | None = None,
) -> FilePath:
    """Download `url` to `path`, replacing an existing file.

    Proxies are taken from the environment (http_proxy, https_proxy, no_proxy). An interrupted download is continued
    only if there is a hash to verify the whole file.

    Parameters
    ----------
    url : str
        An address with http or https.
    path : str or path
        The file to write. Its folder is created.
    sha256, sha256_prefix : str or None, default None
        Hex digits that the file's SHA-256 must equal, or begin with.
    max_bytes : int
        A larger file is refused, immediately if the server declares its size.
    progress : callable or None, default None
        Called with (done, total) in bytes; total is None if the server does not declare it.
    timeout : float, default 30
        Seconds to wait for an answer.
    attempts : int, default 3
        How often to try, for errors where another attempt may help.
    check : callable or None, default None
        A function of the path of the downloaded file that returns what else is wrong with it, or None.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    DownloadError
        If the file cannot be downloaded or written, or is not the expected one.
    """
    path = FilePath(path)
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
        by_hand = f"to download it by hand, save that address as {shown(path)} and try again"
        raise DownloadError(f"cannot download {_http.plain(url)}: {problem}; {by_hand}") from None
    except KeyboardInterrupt:
        _keep(own, path, wanted)
        raise
    finally:
        with contextlib.suppress(OSError):
            own.unlink()
        hold.release()
    return path


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    str
        64 hex digits.
    """
    with open(path, "rb") as file:
        return _digest(file).hexdigest()


def wrong_hash(found: str, sha256: str | None = None, sha256_prefix: str | None = None) -> str | None:
    """Compare a SHA-256 with the expected one.

    Parameters
    ----------
    found : str
        64 hex digits.
    sha256, sha256_prefix : str or None, default None
        What it must equal, or begin with.

    Returns
    -------
    str or None
        What was expected and found if they differ, else None.
    """
    if sha256 and found != sha256.lower():
        return f"expected SHA-256 {sha256.lower()}, found {found}"
    if sha256_prefix and not found.startswith(sha256_prefix.lower()):
        return f"expected a SHA-256 beginning with {sha256_prefix.lower()}, found {found}"
    return None


def _claim(path, wanted):
    """(path, Hold) of this process's temporary file, which contains the bytes of an earlier attempt, if any."""
    own = _own(path)
    if wanted.resumable:
        with contextlib.suppress(FileNotFoundError):
            os.replace(_part(path), own)  # of several processes exactly one succeeds
    _inherit(own, path, wanted)
    hold = take(own, at_once=True)
    while hold is None:  # it does not exist, or another process took it first
        own = _own(path)
        hold = make(own)
    return own, hold


def _inherit(own, path, wanted):
    """Of the files of killed processes, take over the largest if it is larger than `own`, and remove the others."""
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
    """Keep the partial file for the next attempt of any process."""
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
    """One attempt: continue from the bytes in `own`, or start over if they turn out to be useless."""
    start = _size(own)
    if wanted.resumable and start:
        try:
            _receive(wanted, own, path, start)
            return
        except _http.StalePart:
            pass
    _receive(wanted, own, path, 0)


def _receive(wanted, own, path, start):
    """Request the bytes from `start` on, append them to `own`, and verify the whole. `path` is for messages."""
    with _http.request(wanted.url, start, wanted.timeout) as response:
        start, total = _http.content_range(response, start)
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
    """The SHA-256 of a file from its beginning; afterwards, the position is at its end."""
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
