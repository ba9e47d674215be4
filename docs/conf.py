"""Sphinx configuration: ``python -m sphinx -W -b html docs docs/_build/html`` (after ``pip install -e '.[docs]'``)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))
import mdlite

project = "mdlite"
author = "The mdlite developers"
project_copyright = "2026, The mdlite developers"
version = release = mdlite.__version__

extensions = ["myst_parser", "generated"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

smartquotes = False  # a prime is a derivative

html_theme = "furo"
html_title = f"mdlite {release}"
html_copy_source = False
html_show_sphinx = False
