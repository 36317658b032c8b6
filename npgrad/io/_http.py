"""Ask a web server for bytes: http and https only, and every way a network fails as one exception."""

import contextlib
import http.client
import re
import string
import urllib.error
import urllib.parse
import urllib.request

from npgrad.errors import DownloadError

CHUNK = 1 << 16
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


class Unreachable(Exception):
    """The network failed, so what has come so far is worth keeping; `again`: another attempt may help."""

    def __init__(self, message, again=True):
        super().__init__(message)
        self.again = again


class StalePart(Exception):
    """The bytes kept from an earlier attempt are not the beginning of this file."""


def check_address(url):
    """Raises DownloadError for what is not an http or https address."""
    if _scheme(url) not in ("http", "https"):
        raise DownloadError(f"cannot fetch {plain(url)}: expected an address http://... or https://...")


def request(url, start, timeout):
    """The server's answer to a request for the bytes from `start` on; raises Unreachable or StalePart.

    Redirects are followed to http and https alone, and to none that gives up encryption.
    """
    headers = {"User-Agent": "npgrad"} | ({"Range": f"bytes={start}-"} if start else {})
    for _ in range(MAX_REDIRECTS + 1):
        with _network():
            try:
                return _opener().open(urllib.request.Request(url, headers=headers), timeout=timeout)
            except urllib.error.HTTPError as problem:
                problem.close()
                if start and problem.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise StalePart from None
                if problem.code not in REDIRECTS or "Location" not in problem.headers:
                    raise
                url = _redirected(url, problem.headers["Location"])
    raise Unreachable(f"it leads to more than {MAX_REDIRECTS} redirects", again=False)


def extent(response, start):
    """Where the answer's bytes begin, and the size of the whole file (None where the server does not say).

    start: what was asked for; a server that knows no ranges sends the whole file instead, from 0 on.
    """
    length = response.headers.get("Content-Length", "")
    if response.status == http.HTTPStatus.OK:
        return 0, int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if response.status != http.HTTPStatus.PARTIAL_CONTENT or not start:
        raise Unreachable(f"the server answers {response.status} {plain(response.reason)}", again=False)
    where = re.match(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18})?", response.headers.get("Content-Range", ""))
    if not where or int(where[1]) != start:
        raise StalePart
    return start, int(where[2]) if where[2] else None


def read(response):
    """The next bytes of an answer, none at its end; raises Unreachable."""
    with _network():
        return response.read(CHUNK)


def plain(text):
    """What a server or a user says, as one short line that does nothing to a terminal."""
    line = " ".join(str(text).split())
    return "".join(char for char in line if char.isprintable())[:200]


def _opener():
    """Opens http and https through the environment's proxies.

    urllib's own default would open file: and ftp: as well, and reads what comes with a redirect to its end.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _redirected(url, to):
    """The address that a redirect leads to. Servers write spaces and the like as they are."""
    to = urllib.parse.quote(to, safe=string.punctuation, encoding="iso-8859-1")
    try:
        new = urllib.parse.urljoin(url, to)
    except ValueError:
        new = to
    if _scheme(new) not in ("http", "https") or (_scheme(url) == "https" and _scheme(new) == "http"):
        raise Unreachable(f"it redirects to {plain(new)}, where nothing is fetched from", again=False)
    return new


def _scheme(url):
    """The scheme of a well-formed address, or None."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme if parts.hostname and parts.port != 0 else None
    except ValueError:  # a port that is no number, a bracket left open
        return None


@contextlib.contextmanager
def _network():
    """Turns what the network may raise into Unreachable."""
    try:
        yield
    except urllib.error.HTTPError as problem:
        again = problem.code in (408, 429) or problem.code >= 500
        raise Unreachable(f"the server answers {problem.code} {plain(problem.reason)}", again) from None
    except urllib.error.URLError as problem:
        raise Unreachable(f"no connection ({_words(problem.reason)})", again=False) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise Unreachable(f"the connection failed ({_words(problem)})") from None


def _words(problem):
    """What an exception says, without the error's number."""
    return plain(getattr(problem, "strerror", None) or problem) or type(problem).__name__
