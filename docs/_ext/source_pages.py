"""Links to files of the repository: a Python file gets a page with its source, as `viewcode` makes for modules."""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

METHODS, API = "docs/reference/methods", "docs/reference/api/npgrad.attribution"


class SourceLinks(SphinxTransform):
    """Turn links to Python files, which would be downloads, into links to their pages."""

    default_priority = 400

    def apply(self, **_):
        folder = Path(self.document["source"]).parent
        for node in list(self.document.findall(addnodes.download_reference)):
            path = (folder / node["reftarget"]).resolve()
            if path.suffix != ".py":
                continue
            if self.env.docname == METHODS:  # the table of methods leads to their documentation
                uri = self.app.builder.get_relative_uri(METHODS, API) + f"#npgrad.attribution.{node.astext()}"
                node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))
                continue
            page = _page(path, self.env.srcdir)
            pages = getattr(self.env, "source_pages", None)
            if pages is None:
                pages = self.env.source_pages = {}
            pages.setdefault(self.env.docname, set()).add(page)
            uri = self.app.builder.get_relative_uri(self.env.docname, page)
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))


def _page(path, root):
    return "_modules/" + path.relative_to(root).with_suffix("").as_posix()


def _purge(app, env, docname):
    getattr(env, "source_pages", {}).pop(docname, None)


def _collect(app):
    """Pages that `viewcode` does not make itself, since nothing in them is documented."""
    made = {f"_modules/{name.replace('.', '/')}" for name, entry in _viewcode(app.env).items() if entry}
    linked = (
        set().union(*getattr(app.env, "source_pages", {}).values())
        if hasattr(app.env, "source_pages")
        else set()
    )
    for page in sorted(linked - made):
        path = Path(app.srcdir, page.removeprefix("_modules/")).with_suffix(".py")
        body = app.builder.highlighter.highlight_block(
            path.read_text(encoding="utf-8"), "python", linenos=False
        )
        title = path.relative_to(app.srcdir).as_posix()
        yield (
            page,
            {"title": title, "body": f"<h1>Source code of {title}</h1>{body}", "parents": []},
            "page.html",
        )


def _viewcode(env):
    return getattr(env, "_viewcode_modules", {})


def setup(app):
    app.add_transform(SourceLinks)
    app.connect("env-purge-doc", _purge)
    app.connect("html-collect-pages", _collect)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
