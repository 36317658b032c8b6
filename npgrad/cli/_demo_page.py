"""The demo's page: one HTML file beside its images, which opens from disk and loads nothing else."""

from dataclasses import dataclass
from html import escape

from npgrad.pages.packing import part

STYLE = "\n" + part("page.css")


@dataclass(frozen=True)
class Section:
    """One image of the page. file: its name. text: paragraphs. alt: a description of the image.

    command: the command that makes a similar image. bars: [(name, share 0..1)]. seconds: the time it took.
    """

    file: str
    title: str
    text: tuple
    alt: str
    command: str = ""
    bars: tuple = ()
    seconds: float = 0.0


def page(title, introduction, sections, footer):
    """The page as text."""
    parts = "\n".join(map(_section, sections))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(introduction)}</p>
{parts}
<footer>{escape(footer)}</footer>
</body>
</html>
"""


def _section(section):
    text = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.text)
    bars = "".join(
        f'<span>{escape(name)}</span><i style="width: {100 * share:.1f}%"></i><span>{share:.1%}</span>'
        for name, share in section.bars
    )
    bars = f'\n<div class="bars">{bars}</div>' if bars else ""
    command = f"\n<pre><code>{escape(section.command)}</code></pre>" if section.command else ""
    file = escape(section.file, quote=True)
    return f"""<section>
<h2>{escape(section.title)}</h2>
{text}{bars}
<a href="{file}"><img src="{file}" alt="{escape(section.alt, quote=True)}"></a>{command}
</section>"""
