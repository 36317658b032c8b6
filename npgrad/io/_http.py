"""Requests to a web server over http and https, with every failure of the network as one exception."""

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
    """The network failed, and the bytes received so far are worth keeping. `again`: another attempt may help."""

    def __init__(self, message, again=True):
        super().__init__(message)
        self.again = again


class StalePart(Exception):
    """The bytes kept from an earlier attempt are not the beginning of this file."""


def check_address(url):
    """Raise a DownloadError unless `url` is an http or https address."""
    if _scheme(url) not in ("http", "https"):
        raise DownloadError(f"cannot download {plain(url)}: expected an address http://... or https://...")


def request(url, start, timeout):
    """The response to a request for the bytes from `start` on; raises Unreachable or StalePart.

    Redirects are followed only to http and https, and never from https to http.
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
    raise Unreachable(f"it redirects more than {MAX_REDIRECTS} times", again=False)


def content_range(response, start):
    """(where the response's bytes begin, size of the whole file, None if the server does not declare it).

    start: the requested first byte. A server without support for ranges sends the whole file instead, from 0 on.
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
    """The next bytes of a response, empty at its end; raises Unreachable."""
    with _network():
        return response.read(CHUNK)


def plain(text):
    """Text from a server or a user as one short line without control characters."""
    line = " ".join(str(text).split())
    return "".join(char for char in line if char.isprintable())[:200]


def _opener():
    """An opener for http and https that uses the environment's proxies.

    urllib's default opener also opens file: and ftp:, and reads the whole body of a redirect.
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
    """The address that a redirect leads to, with characters escaped that servers leave unescaped, such as spaces."""
    to = urllib.parse.quote(to, safe=string.punctuation, encoding="iso-8859-1")
    try:
        new = urllib.parse.urljoin(url, to)
    except ValueError:
        new = to
    if _scheme(new) not in ("http", "https") or (_scheme(url) == "https" and _scheme(new) == "http"):
        raise Unreachable(f"it redirects to {plain(new)}, which is not allowed", again=False)
    return new


def _scheme(url):
    """The scheme of a well-formed address, or None."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme if parts.hostname and parts.port != 0 else None
    except ValueError:  # a port that is not a number, an unclosed bracket
        return None


@contextlib.contextmanager
def _network():
    """Turn every exception of the network into Unreachable."""
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
    """The text of an exception, without the error number."""
    return plain(getattr(problem, "strerror", None) or problem) or type(problem).__name__
