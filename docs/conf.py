"""The documentation's settings. `make docs` builds it in strict mode, offline, into build/docs.

Sphinx reads the repository itself, so that README.md, SECURITY.md, docs/ and the notebooks have the same links in the
repository and on the site.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "docs" / "_ext")]

import npgrad  # noqa: E402

project = "npgrad"
author = "The npgrad developers"
copyright = author
version = release = npgrad.__version__
root_doc = "docs/index"
include_patterns = [
    "*.md", "weights/README.md", "docs/**", "notebooks/*.ipynb",
]  # fmt: skip
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "npgrad",
    "tests",
    "scripts",
    "fuzz",
    "benchmarks",
    "npgrad-demo",
    "**/_*",
]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "api_pages",
    "command_page",
    "links",
    "mathml",
    "source_pages",
]
default_role = "code"
highlight_language = "text"

# Notebooks are shown with the outputs that they are stored with; scripts/make_notebooks.py runs them.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
# Headings of the changelog and of lessons that go from level 1 to 3, and lexers that notebooks do not name.
suppress_warnings = ["misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have types with shapes
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
viewcode_follow_imported_members = True
# Types in docstrings are prose ("ndarray (N, C, H, W)"), and the pages of Python and NumPy are not at hand offline.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = f"npgrad {release}"
templates_path = ["_templates"]
html_additional_pages = {"index": "start.html"}  # the folder opens at docs/index.html
html_static_path = ["_static"]
html_css_files = ["npgrad.css"]
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
