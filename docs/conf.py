"""Sphinx configuration: ``python -m sphinx -W -b html docs docs/_build/html`` (after ``pip install -e '.[docs]'``)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))
import mdlite

project = "mdlite"
author = "The mdlite developers"
project_copyright = "2026, The mdlite developers"
version = release = mdlite.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "generated", "prose"]
exclude_patterns = ["_build", "_generated/*.md"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

default_role = "code"  # docstrings put names in single backquotes
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
smartquotes = False  # a prime is a derivative
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"mdlite {release}"
html_copy_source = False
html_show_sphinx = False
