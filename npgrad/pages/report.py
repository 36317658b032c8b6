"""The report of one image: every method with its image and measures, and how far the methods agree."""

from __future__ import annotations

import base64
import io
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from npgrad import __version__
from npgrad._asked import asked
from npgrad._files import atomic_write
from npgrad._outputs import explained
from npgrad._typing import Array, ImageLike, Path, Progress
from npgrad._validate import whole_number
from npgrad.attribution import methods
from npgrad.attribution.explain import attributed, opened
from npgrad.attribution.explanation import Explanation, weights_hash
from npgrad.attribution.families import FAMILIES, family_of
from npgrad.attribution.request import Request
from npgrad.errors import NpgradError
from npgrad.evaluation.table import MEASURES, RANDOM, measure_method
from npgrad.images.captions import NARROW, Legend, captioned, duration
from npgrad.images.reading import open_image
from npgrad.images.seen import middle
from npgrad.model import Model
from npgrad.pages.packing import part, still_html

# They run the network hundreds of times; what repeats a method leaves them out.
SLOW = (
    *FAMILIES["parts of the image covered"],
    "guided_ig",
    "score_cam",
    "ablation_cam",
    "layer_ablation",
    "xrai",
)
LEVELS = 10  # colors of a correlation on each side of 0; `report.css` has them


@dataclass(frozen=True, eq=False)
class Entry:
    """One method in a report.

    Parameters
    ----------
    name : str
        The method.
    explanation : Explanation or None
        None if the method cannot explain this network.
    row : dict
        Its measures; see `npgrad.evaluation.table.measure_method`.
    reason : str
        Why there is no explanation.
    """

    name: str
    explanation: Explanation | None
    row: dict[str, Any]
    reason: str = ""


def report(
    model: Model,
    image: ImageLike,
    target: Any = None,
    output: Path | None = None,
    method: str | Sequence[str] = "all",
    mask: Array | None = None,
    steps: int = 20,
    samples: int = 5,
    rng: int = 0,
    title: str = "",
    progress: Progress = None,
) -> str:
    """Make one HTML page about what attribution methods say of an image, how good they are, and whether they agree.

    Parameters
    ----------
    model : Model
        The network.
    image : path, PIL.Image.Image, ndarray (H, W, 3) of uint8, or ndarray (1, C, H, W) of floats
        The image; or the network's input, as ``model.preprocess`` returns it.
    target : int, str, callable or None
        The class by index or name, or another question (`npgrad.targets`). None: the top class.
    output : str, path-like or None
        The file to write, whole or not at all. None: none.
    method : str or sequence of str, default "all"
        The names of the methods.
    mask : ndarray (H, W) of bool or None
        Where the object is in the part that the network sees, for the measures that need it.
    steps, samples, rng
        As for `npgrad.evaluation.table.measure_method`.
    title : str, default ""
        The page's title, such as the image's name.
    progress : callable or None
        Called with (done, total), counted in methods.

    Returns
    -------
    str
        The page. It opens from disk and makes no request.

    Raises
    ------
    InputError
        If an argument cannot be used, or the file cannot be written.
    TargetError, UnknownName
        If there is no such class or method.
    ImageError
        If the image cannot be read.
    """
    steps, samples = whole_number(steps, "steps"), whole_number(samples, "samples")
    names = (method,) if isinstance(method, str) else tuple(method)
    names = tuple(methods.METHODS) if names == ("all",) else names
    request = Request(names, target)
    request.check(model)
    whole, x, asked_for = opened(model, image, request)
    valued, index = (
        (model, asked_for) if isinstance(asked_for, int) else asked(explained(model), x, asked_for)
    )
    entries = []
    for done, name in enumerate(names, 1):
        entries.append(_entry(whole, x, asked_for, name, (valued, index, mask, steps, samples, rng)))
        if progress is not None:
            progress(done, len(names))
    random = measure_method(RANDOM, valued, x, index, mask, steps, samples, rng)
    page = _page(whole, x, entries, random, title or "image")
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_bytes(page.encode(errors="replace"))
    return page


def _entry(whole, x, asked_for, name, measured):
    valued, index, mask, steps, samples, rng = measured
    request = replace(whole.request, method=name)
    try:
        start = time.perf_counter()
        array = attributed(whole.model, x, asked_for, name, {})
        found = replace(whole, array=array, request=request, seconds=time.perf_counter() - start)
        row = measure_method(name, valued, x, index, mask, steps, samples, rng, array[None], name not in SLOW)
    except NpgradError as error:
        return Entry(name, None, {}, str(error))
    return Entry(name, found, {**row, "seconds": found.seconds})


def _page(whole, x, entries, random, title):
    families = list(FAMILIES)
    entries = sorted(entries, key=lambda entry: families.index(family_of(entry.name)))
    there = [entry for entry in entries if entry.explanation is not None]
    columns = [key for key in MEASURES if key in random]
    parts = [
        _header(whole, title),
        *(_family(family, [e for e in entries if family_of(e.name) == family]) for family in families),
        _measures([*(e.row for e in there), random], columns),
        _agreement(there, x) if len(there) > 1 else "",
        f"<footer>npgrad {__version__}; network {weights_hash(whole.model)}</footer>",
    ]
    return still_html(f"{title}: a report", "\n".join(parts), part("page.css") + part("report.css"))


def _header(whole, title):
    note = "" if whole.whole else middle(whole.model.preprocessing, whole.photo.size)
    seen = f" It sees {note}." if note else ""
    about = f"Target: {whole.about}." if whole.about else ""
    return f"""<header><h1>{escape(title)}</h1>
<p class="about"><b>{escape(about)}</b></p>
<p>{escape(repr(whole.model))}.{seen} Each method says where the evidence is in its own way, and they disagree: see the
measures and the agreement below.</p>
<img class="seen" src="{_data(_large(open_image(whole.seen)))}" alt="what the network sees"></header>"""


def _family(family, entries):
    if not entries:
        return ""
    figures = "\n".join(map(_figure, entries))
    return f'<section><h2>{escape(family)}</h2>\n<div class="maps">{figures}</div></section>'


def _figure(entry):
    note = escape(methods.METHODS[entry.name].note)
    if entry.explanation is None:
        reason = f"Not for this network: {escape(entry.reason)}"
        return f"<figure><figcaption><b>{entry.name}</b>: {note}. {reason}</figcaption></figure>"
    found = entry.explanation
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="nothing to show")  # the caption says so
        canvas = _large(found.tile())
    canvas = captioned(canvas, [], None if found.blank else Legend(found.sign, found.shown.limit))
    blank = f" <b>Blank: {escape(found.blank)}.</b>" if found.blank else ""
    alt = escape(f"heat map of {found.caption}", quote=True)
    return (
        f'<figure><img src="{_data(canvas)}" alt="{alt}"><figcaption><b>{entry.name}</b>: {note}; '
        f"{duration(found.seconds)}.{blank}</figcaption></figure>"
    )


def _measures(rows, columns):
    head = "".join(f'<th scope="col">{key}</th>' for key in (*columns, "time"))
    body = []
    for row in rows:
        cells = "".join(f"<td>{'' if row.get(key) is None else f'{row[key]:.3g}'}</td>" for key in columns)
        time = "" if row["method"] == RANDOM else duration(row["seconds"])
        body.append(f'<tr><th scope="row">{row["method"]}</th>{cells}<td>{time}</td></tr>')
    terms = "".join(f"<dt>{key}</dt><dd>{escape(MEASURES[key].text)}</dd>" for key in columns)
    return f"""<section><h2>Measures</h2>
<p>The last row is a random map: a method that is no better has found nothing. Methods that run the network hundreds of
times are not repeated, so they have no sensitivity and no randomized.</p>
<div class="wide" tabindex="0"><table id="measures"><tr><th></th>{head}</tr>{"".join(body)}</table></div>
<dl>{terms}</dl></section>"""


def _agreement(entries, x):
    found = rank_correlations([methods.importance(e.name, e.explanation.array[None], x)[0] for e in entries])
    head = "".join(f'<th scope="col"><span>{entry.name}</span></th>' for entry in entries)
    body = "".join(
        f'<tr><th scope="row">{entry.name}</th>{"".join(map(_cell, row))}</tr>'
        for entry, row in zip(entries, found, strict=True)
    )
    return f"""<section><h2>Agreement between methods</h2>
<p>Rank correlation (Spearman) of the importance of the pixels: 1 if two methods order them alike, 0 if they have
nothing in common, negative if one has what the other lacks. Blank maps have none.</p>
<div class="wide" tabindex="0"><table id="agreement"><tr><th></th>{head}</tr>{body}</table></div></section>"""


def _cell(value):
    if np.isnan(value):
        return "<td>-</td>"
    level = round(abs(value) * LEVELS)
    return f'<td class="{"n" if value < 0 else "p"}{level}">{value:.2f}</td>'


def rank_correlations(maps: Sequence[Array]) -> Array:
    """Compute Spearman's rank correlation of each pair of maps; equal values share the mean of their ranks.

    Parameters
    ----------
    maps : sequence of ndarray (H, W)

    Returns
    -------
    ndarray (len(maps), len(maps))
        NaN for maps that are the same everywhere.
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(values) for values in maps])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(ranks, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (ranks @ ranks.T) / np.outer(norms, norms)
    found[norms == 0] = found[:, norms == 0] = np.nan
    return np.clip(found, -1, 1)


def _large(tile):
    """The image of a small network enlarged by a whole number, so that it is as wide as its legend."""
    times = max(1, NARROW // tile.width)
    return tile.resize((times * tile.width, times * tile.height), Image.Resampling.NEAREST)


def _data(canvas):
    file = io.BytesIO()
    canvas.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
