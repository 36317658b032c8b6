"""The demo's page: one HTML file beside its images, which opens from disk and loads nothing else."""

from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --paper: #fbfaf8; --card: #fff; --line: #dedad3; --bar: #c8553d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e3; --paper: #16181b; --card: #1f2226; --line: #383c42; } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem; background: var(--paper); color: var(--ink);
       font: 17px/1.55 system-ui, sans-serif; }
h1 { font-size: 2rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 0 0 .4rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem 1.4rem;
          margin: 1.6rem 0; }
p { margin: .4rem 0; max-width: 46rem; }
a img { display: block; max-width: 100%; height: auto; margin: 1rem 0 .4rem; border-radius: 4px; background: #fff; }
code { font: 14px/1.5 ui-monospace, monospace; }
pre { margin: .6rem 0 0; padding: .5rem .8rem; overflow-x: auto; background: var(--paper);
      border: 1px solid var(--line); border-radius: 6px; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .15rem .8rem; align-items: center;
        max-width: 34rem; margin: .8rem 0; }
.bars i { height: .8rem; background: var(--bar); border-radius: 3px; min-width: 1px; }
footer { font-size: .85rem; opacity: .75; }
"""


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
