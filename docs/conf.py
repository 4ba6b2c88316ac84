"""Sphinx settings. Pages are Markdown (MyST); nothing is fetched while building."""

import re

project = "paygate"
author = copyright = "the paygate maintainers"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 100

html_theme = "furo"
html_title = "paygate"
html_copy_source = False
html_show_sphinx = False


def _as_rst(app, what, name, obj, options, lines):
    """Our docstrings are plain text with `code` in single backticks; reStructuredText wants other marks."""
    rst = []
    for line in lines:
        if line.startswith("    ") and rst and not rst[-1] and "::" not in rst[-2:]:
            rst += ["::", ""]  # an indented block after an empty line is code
        rst.append(line if line.startswith("    ") else "".join(_marked(line)))
    lines[:] = rst


def _marked(line):
    for n, part in enumerate(re.split(r"`+", line)):
        yield f"``{part}``" if n % 2 else re.sub(r"\*|(?<=\w)_(?!\w)", r"\\\g<0>", part)


def setup(app):
    app.connect("autodoc-process-docstring", _as_rst)
