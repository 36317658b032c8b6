"""A comparison as one HTML page, which opens from disk and makes no request."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from npgrad import __version__
from npgrad._compare.results import DIFFERS, Comparison
from npgrad._files import atomic_write
from npgrad._typing import Path
from npgrad.pages.packing import part, still_html

WIDTH, HEIGHT, LEFT = 900, 260, 60  # of the plot, in px
LOWEST, HIGHEST = -9.0, 1.0  # powers of ten
SIDE = 160  # px of a map
STYLE = """
table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; padding: .15rem .6rem .15rem 0; border-bottom: 1px solid var(--line); }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.wrong { color: var(--bar); font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
figure { display: inline-block; margin: .6rem 1rem .2rem 0; } figcaption { font-size: .85rem; }
figure img { display: block; image-rendering: pixelated; border: 1px solid var(--line); }
.verdict { font-size: 1.2rem; font-weight: 600; }
.whole { fill: none; stroke: currentColor; stroke-width: 1.5; }
.own { fill: none; stroke: currentColor; stroke-width: 1.5; stroke-dasharray: 4 4; opacity: .6; }
.grid { stroke: var(--line); } .dot { fill: currentColor; } .bad { fill: var(--bar); }
"""


def page_of(comparison: Comparison, title: str, output: Path | None = None) -> str:
    """Return the page of a comparison, and write it if there is a path.

    Parameters
    ----------
    comparison : Comparison
    title : str
        What was compared.
    output : path or None

    Returns
    -------
    str
    """
    body = "\n".join([_summary(comparison), *(_difference(row) for row in comparison.different[:8])])
    body = f"<h1>{escape(title)}</h1>\n{body}{_plot(comparison)}{_table(comparison)}"
    footer = f"<footer>npgrad {__version__}, npgrad compare</footer>"
    page = still_html(title, f"{body}\n{footer}", part("page.css") + STYLE)
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_bytes(page.encode(errors="replace"))
    return page


def _summary(comparison):
    lines = str(comparison).splitlines()
    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    first = comparison.first
    verdict = (
        "Equal to rounding"
        if comparison
        else "The input differs"
        if first is None
        else f"First: {first.name}"
    )
    return f'<section><p class="verdict">{escape(verdict)}</p>{text}</section>'


def _difference(row):
    maps = ""
    if row.maps:
        largest = max(float(np.abs(one).max(initial=0)) for one in row.maps[:2]) or 1.0
        names = ("npgrad's", "recorded", f"difference, up to {np.abs(row.maps[2]).max(initial=0):.3g}")
        scales = (largest, largest, float(np.abs(row.maps[2]).max(initial=0)) or 1.0)
        for name, one, scale in zip(names, row.maps, scales, strict=True):
            maps += f'<figure><img src="{_image(one / scale)}" alt="{name}"><figcaption>{name}</figcaption></figure>'
        maps = f"<p>The sum over channels of the first sample:</p>{maps}"
    texts = "".join(
        f"<p>{escape(found.kind)}: {escape(found.text)} (fits to {found.fit:.1e})</p>"
        for found in row.diagnoses
    )
    what = "output" if row.direction == "forward" else f"gradient of the output of {row.key}"
    between = f"<p>Not recorded before it: {escape(', '.join(row.between))}</p>" if row.between else ""
    title = f"{row.direction}: {row.name} ({row.kind}), {what}"
    return f"<section><h2>{escape(title)}</h2>{texts}{between}{maps}</section>"


def _image(values):
    """A signed map as a data URL: red positive, blue negative, white 0."""
    values = np.clip(np.asarray(values, np.float64), -1, 1)[..., None]
    red, blue = np.array([178.0, 24, 43]), np.array([33.0, 102, 172])
    colors = 255 + np.abs(values) * (np.where(values > 0, red, blue) - 255)
    pixels = Image.fromarray(np.uint8(np.rint(colors)))
    height, width = values.shape[:2]
    zoom = max(1, SIDE // max(height, width))
    file = io.BytesIO()
    pixels.resize((width * zoom, height * zoom), Image.Resampling.NEAREST).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _plot(comparison):
    rows = [row for row in comparison.layers if row.direction == "forward"]
    if not rows:
        return ""
    step = (WIDTH - LEFT - 10) / max(len(rows) - 1, 1)
    marks = []
    for power in range(int(LOWEST), int(HIGHEST) + 1, 2):
        y = _y(10.0**power)
        marks.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">1e{power:+d}</text>')
    for kind, name in (("whole", "whole"), ("own", "rounding")):
        points = " ".join(f"{LEFT + i * step:.1f},{_y(getattr(row, name)):.1f}" for i, row in enumerate(rows))
        marks.append(f'<polyline class="{kind}" points="{points}"/>')
    for i, row in enumerate(rows):
        kind = "bad" if row.verdict == DIFFERS else "dot"
        radius = 5 if kind == "bad" else 2.5
        tip = f"<title>{escape(row.name)}: {row.error:.1e}</title>"
        marks.append(
            f'<circle class="{kind}" cx="{LEFT + i * step:.1f}" cy="{_y(row.error):.1f}" r="{radius}">{tip}</circle>'
        )
    text = (
        "Dots: the difference that each layer makes by itself, given what was recorded before it. Line: the difference "
        "of the whole pass from the input on. Dashed: that of npgrad's own float32 pass, which is rounding."
    )
    return (
        f'<section><h2>From the input to the output</h2><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="differences by layer">{"".join(marks)}</svg><p>{text}</p></section>'
    )


def _y(value):
    power = np.log10(value) if np.isfinite(value) and value > 0 else (HIGHEST if value > 0 else LOWEST)
    share = (np.clip(power, LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return HEIGHT - 15 - share * (HEIGHT - 30)


def _table(comparison):
    lines = []
    for row in comparison.layers:
        kind = ' class="wrong"' if row.verdict == DIFFERS else ""
        cells = "".join(f"<td>{escape(text)}</td>" for text in (row.direction, row.name, row.kind, row.key))
        numbers = "".join(f'<td class="n">{value:.1e}</td>' for value in (row.error, row.tolerance))
        lines.append(f"<tr{kind}>{cells}{numbers}<td>{escape(row.text or row.verdict)}</td></tr>")
    head = "<tr><th></th><th>layer</th><th>type</th><th>recorded as</th><th>error</th><th>rounding</th><th></th></tr>"
    return f"<section><h2>Every recorded layer</h2><table>{head}{''.join(lines)}</table></section>"
