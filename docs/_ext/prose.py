"""Docstrings of plain prose for Sphinx: nothing in them is markup but names in backquotes and, in modules, an indented example.

What looks like markup (``*``, ``|``, a trailing ``_``) is escaped, and what a function returns and raises gets a paragraph of its own.
"""

import re

QUOTED = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
NEW_PARAGRAPH = re.compile(r"(?<=[.;:)]) (?=(?:Returns|Raises) )")
FIELD = "_tuplegetter"


def escape(line: str) -> str:
    """A line whose only markup is names in backquotes."""
    parts = QUOTED.split(line)
    for n, part in enumerate(parts):
        if n % 2:
            parts[n] = f"``{part.strip('`')}``"
        else:
            parts[n] = re.sub(r"([*|\\])", r"\\\1", re.sub(r"(\w)_(?=\W|$)", r"\1\\_", part))
    return "".join(parts)


def process(app, what, name, thing, options, lines) -> None:
    """For `autodoc-process-docstring`: changes the lines in place."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    found = []
    for paragraph in paragraphs:
        if paragraph.startswith(("    ", "\t")):  # an example
            found += ["::", "", *paragraph.split("\n"), ""]
            continue
        text = NEW_PARAGRAPH.sub("\n\n", " ".join(paragraph.split()))
        for piece in text.split("\n\n"):
            word, _, rest = piece.partition(" ")
            if word in ("Returns", "Raises"):
                piece = f"**{word}** {escape(rest)}"
            else:
                piece = escape(piece)
            found += [piece, ""]
    lines[:] = found


def skip(app, what, name, thing, skip, options) -> bool | None:
    """Leave out the fields of named tuples, which their docstring explains, and pydantic's own attributes."""
    if type(thing).__name__ == FIELD or name.startswith("model_"):
        return True
    return None


def setup(app):
    """Sphinx's way in."""
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
