"""Formulas as MathML, which browsers draw without a program from elsewhere."""

from docutils import nodes
from docutils.utils.math import latex2mathml


def inline(writer, node):
    writer.body.append(_math(node, "inline"))
    raise nodes.SkipNode


def block(writer, node):
    writer.body.append(f'<div class="math">{_math(node, "block")}</div>\n')
    raise nodes.SkipNode


def _math(node, display):
    tree = latex2mathml.tex2mathml(node.astext(), as_block=display == "block")
    return str(tree)


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
