"""The documentation site: `make docs`, or `python -m sphinx -W -n docs .cache/docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

from softphone import __version__  # noqa: E402 - found by the line above

project = "softphone"
author = "the softphone authors"
project_copyright = "the softphone authors, MIT licence"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "generated"]
exclude_patterns = ["renames"]
nitpicky = True
smartquotes = False  # it makes a dash of --option

html_theme = "furo"
html_title = "softphone"
html_copy_source = False
html_extra_path = ["json-lines.schema.json", "page-state.schema.json"]
html_static_path = ["_static"]
html_css_files = ["softphone.css"]
html_show_sphinx = False

# Docstrings are plain prose: what stands in single backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
ALIASES = (
    "AccountEvent AskUser CallEvent DirectoryConfig Entropy ExtraHeaders OnBootStep Pcm PcmLike"
)
autodoc_type_aliases = {name: name for name in ALIASES.split()}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
# A type in a signature is a link where a page has it; that each has is held by a test of its own.
nitpick_ignore_regex = [("py:.*", ".*")]
add_module_names = False
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3


def take_links_off_examples(app, doctree):
    """Leave `sip:user@host` and `user@host` of docstrings as text: docutils makes links of them."""
    for link in list(doctree.findall(nodes.reference)):
        if link.get("refuri", "").partition(":")[0] in ("mailto", "sip", "sips", "tel", "xmpp"):
            link.replace_self(link.children)


def setup(app):
    """Have CSV shown as it is (Pygments has no lexer of that name), and examples without links."""
    app.add_lexer("csv", TextLexer)
    app.connect("doctree-read", take_links_off_examples)
