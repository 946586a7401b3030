"""Sphinx's settings for the manual: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from kvw import __version__  # noqa: E402 - the path above finds it

project = "kvw"
author = "kvw's authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
html_theme = "furo"
html_title = f"kvw {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path, html_css_files = ["_static"], ["kvw.css"]
highlight_language = "none"
pygments_style, pygments_dark_style = "friendly", "native"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures have them
autodoc_preserve_defaults = True
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype = False
nitpicky = True
# built without a network, so that names of other projects are not looked up; kvw's own are: _ext/generated.py
nitpick_ignore_regex = [("py:.*", r"(?!kvw\b|strategies\b).*")]
