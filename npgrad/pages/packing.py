"""One HTML file of a page's parts: its data compressed, nothing in it taken for markup, and no request to anywhere."""

import base64
import hashlib
import json
import zlib
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from npgrad._typing import Array

FOLDER = Path(__file__).parent


def part(name: str) -> str:
    """The text of one of the files that pages are made of, such as "page.css".

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return (FOLDER / name).read_text(encoding="utf-8")


def packed(arrays: dict[str, Array]) -> tuple[dict[str, Any], str]:
    """Arrays as one compressed block, and what a page needs to take it apart.

    Parameters
    ----------
    arrays : dict of ndarray
        Of int8, int32 or float32.

    Returns
    -------
    (dict, str)
        {name: [dtype, offset in bytes, number of values]}, and the block in base64 of zlib's format.
    """
    index, block = {}, bytearray()
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        index[name] = [array.dtype.name, len(block), array.size]
        block += array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        block += bytes(-len(block) % 4)
    return index, base64.b64encode(zlib.compress(bytes(block), 9)).decode()


def html(title: str, body: str, data: dict[str, Any], block: str, style: str, script: str) -> str:
    """The page. Its policy allows this style and this script only, and no request.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML without anything that comes from a file.
    data : dict
        What `JSON.parse` gives the script from the element "data".
    block : str
        As `packed` gives it; in the element "block".
    style, script : str
        CSS and JavaScript.

    Returns
    -------
    str
    """
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # No "<" in the data: no text in it can end its element. JSON allows the escape in every string.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{text}</script>
<script type="application/octet-stream" id="block">{block}</script>
<script>{script}</script>
</body>
</html>
"""


def still_html(title: str, body: str, style: str) -> str:
    """A page without a script. Its policy allows this style only, images that are in the page, and no request.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML; what comes from a file is escaped in it.
    style : str
        CSS.

    Returns
    -------
    str
    """
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body data-ready>
{body}
</body>
</html>
"""


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
