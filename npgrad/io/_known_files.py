"""The facts in `weights/known.json` about files that can be downloaded."""

import dataclasses
import functools
import json
import math
from pathlib import PurePosixPath

from npgrad._files import weights_folder


@dataclasses.dataclass(frozen=True)
class Known:
    """One entry of `weights/known.json`.

    Parameters
    ----------
    name : str
        The name that `get` takes.
    kind : {"weights", "data"}
        "weights" are converted to .h5, "data" are kept as downloaded.
    title, url, license, source : str
        Description, address, license, and where the facts come from.
    max_bytes : int
        The largest size that is downloaded.
    size : int or None, default None
        The exact size in bytes, if known.
    sha256, sha256_prefix : str or None, default None
        SHA-256 of the file as downloaded, or its first digits where no more is known.
    accuracy : dict or None, default None
        {"top1", "top5" in percent, "measured_on"}, with the preprocessing below.
    architecture : str or None, default None
        The network that the weights must belong to.
    options : dict, default {}
        The network's options.
    preprocessing : dict, default {}
        How the network takes images: arguments of `npgrad.Preprocessing`.
    caution : str or None, default None
        A warning to users, apart from the license.
    """

    name: str
    kind: str
    title: str
    url: str
    license: str
    source: str
    max_bytes: int
    size: int | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    accuracy: dict | None = None
    architecture: str | None = None
    options: dict = dataclasses.field(default_factory=dict)
    preprocessing: dict = dataclasses.field(default_factory=dict)
    caution: str | None = None

    @property
    def filename(self) -> str:
        """The original name of the file, the last part of its address."""
        return PurePosixPath(self.url).name


@functools.cache
def known() -> dict[str, Known]:
    """Return everything that `get` can download.

    Returns
    -------
    dict of Known
        By name.
    """
    facts = json.loads((weights_folder() / "known.json").read_text(encoding="utf-8"))
    return {name: _entry(name, facts["shared"], **entry) for name, entry in facts["files"].items()}


def _entry(name, shared, like=None, **own):
    """An entry, with what the files of one publisher have in common."""
    common = shared[like] if like else {}
    accuracy = {**common.get("accuracy", {}), **own.get("accuracy", {})}
    return Known(**{"name": name, **common, **own, "accuracy": accuracy or None})


def megabytes(entry: Known) -> str:
    """Describe the size of a file, rounded up.

    Parameters
    ----------
    entry : Known
        The file.

    Returns
    -------
    str
        Such as "5.0", or "< 103" if only a limit is known, in units of 1,000,000 bytes.
    """
    if entry.size:
        return f"{math.ceil(entry.size / 1e5) / 10:.1f}"
    return f"< {math.ceil(entry.max_bytes / 1e6)}"
