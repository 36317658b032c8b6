"""Check every link of the finished pages that stays within them: the file, and the place in it."""

import html
import re
from pathlib import Path
from urllib.parse import unquote

from sphinx.util import logging

LINK = re.compile(r'<[a-z]+ [^<>]*?(?:href|src)="([^"<>]*)"')
PLACE = re.compile(r'<[a-z0-9]+ [^<>]*?(?:id|name)="([^"<>]*)"')
logger = logging.getLogger(__name__)


def check(app, exception):
    """Warn of the links that lead nowhere."""
    if exception or app.builder.format != "html":
        return
    pages = {path: path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")}
    places = {path: set(PLACE.findall(text)) for path, text in pages.items()}
    for path, text in pages.items():
        for link in sorted(set(LINK.findall(text))):
            file, _, place = unquote(html.unescape(link)).partition("#")
            if re.match(r"[a-z]+:|$", file) and not (place and not file):
                continue
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            if not target.is_file() or (place and target in places and place not in places[target]):
                logger.warning("%s: leads nowhere: %s", path.relative_to(app.outdir), link)


def setup(app):
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
