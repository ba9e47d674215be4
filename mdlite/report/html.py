"""A report of `mdlite validate` as one HTML page that needs nothing else: figures and style inside, no scripts, no network."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

DPI = 150
"""Of the figures, so that the page shows them in the size in which they were drawn."""
FEW_SECTIONS = 3
"""So many need no table of contents."""
LONG_CELL = 40
"""Characters; longer text in a table is broken into lines."""
WIDE_TABLE = 40
"""Characters in a row, about; a wider table does not fit on a telephone, and says so there."""

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1d2329; --soft: #5b6670; --line: #d8dee4; --shade: #f4f6f8; --link: #0a58a8; --edge: #0004; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181c; --ink: #dfe4e9; --soft: #9aa5b0; --line: #343b43; --shade: #1e2328; --link: #7db8f0; --edge: #fff6; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1.25rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h1, p, li { max-width: 46rem; }
h1, h2, p, li { overflow-wrap: break-word; }
a { color: var(--link); }
nav { margin: 0 0 1.5rem; padding: .75rem 1rem; background: var(--shade); border-radius: 6px; font-size: .9rem; max-width: 46rem; }
nav ul { margin: 0; padding: 0 0 0 1.1rem; columns: 20rem 2; column-gap: 2rem; }
nav li { break-inside: avoid; }
.table, .view { overflow-x: auto; background:
  linear-gradient(to right, var(--page) 30%, transparent) left / 2.5rem 100% local,
   linear-gradient(to left, var(--page) 30%, transparent) right / 2.5rem 100% local,
  linear-gradient(to right, var(--edge), transparent) left / .9rem 100% scroll,
   linear-gradient(to left, var(--edge), transparent) right / .9rem 100% scroll;
  background-repeat: no-repeat; }
.table { margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; text-align: left; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: .35rem; }
th { vertical-align: bottom; font-weight: 600; min-width: 4.5rem; max-width: 12rem; border-bottom: 2px solid var(--line); }
td { vertical-align: top; white-space: nowrap; }
td.prose { white-space: normal; min-width: 16rem; max-width: 34rem; }
.number { text-align: right; }
.unit { white-space: nowrap; }
tbody tr:hover { background: var(--shade); }
figure { margin: 1.5rem 0; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; padding: .5rem; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
.grow { cursor: zoom-in; text-decoration: none; }
.grow span, .close { position: sticky; left: 0; display: inline-block; margin-top: .4rem; font-size: .875rem; text-decoration: underline; }
.close { display: none; }
.view:target { position: fixed; inset: 0; z-index: 1; overflow: auto; padding: 1rem; background: var(--page); }
.view:target img { max-width: none; width: var(--full); }
.view:target .close { display: inline-block; margin-right: 1rem; }
.view:target .grow span { display: none; }
figcaption { margin-top: .4rem; font-size: .875rem; color: var(--soft); }
figcaption::first-letter { text-transform: uppercase; }
pre { overflow-x: auto; padding: .9rem 1rem; background: var(--shade); border-radius: 6px; font-size: .8125rem; line-height: 1.45; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
p code, li code, td code { font-size: .875em; padding: .1em .3em; background: var(--shade); border-radius: 3px; }
@media (max-width: 40rem) {
  main { padding: 1.25rem .9rem 3rem; }
  h1 { font-size: 1.4rem; }
  th, td { padding: .3rem .55rem; }
  td.prose { min-width: 14rem; }
  .wide::before, .view::before { content: "scroll sideways \\2192"; position: sticky; left: 0; display: block;
     width: max-content; font-size: .8125rem; color: var(--soft); }
  .view:target::before { content: none; }
  .wide th:first-child, .wide td:first-child { position: sticky; left: 0; background: var(--page); box-shadow: 1px 0 var(--line); }
  figure img { max-width: none; width: min(var(--drawn), 44rem); }
}
@media print {
  :root { --page: #fff; --ink: #000; --soft: #444; --line: #bbb; --shade: #f4f4f4; --link: #000; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  h1, p, li, nav { max-width: none; }
  h2 { break-after: avoid; }
  .table, .view { overflow: visible; background: none; }
  .wide::before, .view::before, .grow span { content: none; display: none; }
  table { font-size: 7.5pt; }
  th, td { padding: .15rem .35rem; }
  th { min-width: 0; }
  td, td.prose { white-space: normal; min-width: 0; }
  tr { break-inside: avoid; }
  pre { white-space: pre-wrap; font-size: 7.5pt; }
}
"""


def page(title: str, markdown: str, figures: Mapping[str, bytes]) -> str:
    """The HTML page of a report's Markdown; ``figures`` are PNG files by the names that it gives them.

    HTML in the Markdown is shown as text, and neither pictures nor links lead out of the page.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.validateLink = lambda url: url in figures or url.startswith("#")  # type: ignore[method-assign]
    for name, rule in {"table_open": _table_open, "table_close": _table_close, "image": _image}.items():
        parser.add_render_rule(name, rule)
    environment = {"figures": figures}
    tokens = parser.parse(markdown, environment)
    sections = _name_sections(tokens)
    _mark_cells(tokens)
    _mark_figures(tokens)
    body = parser.renderer.render(tokens, parser.options, environment)
    if len(sections) > FEW_SECTIONS:
        place = re.search(r"</h1>\n(<p>.*?</p>\n)?", body, re.DOTALL)
        end = place.end() if place else 0
        body = body[:end] + _contents(sections) + body[end:]  # after the verdict
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


def picture(png: bytes, alt: str, dpi: float = DPI) -> str:
    """An ``img`` element with the picture inside, in the size in which it was drawn."""
    width, height = (round(pixels * 96 / dpi) for pixels in struct.unpack(">II", png[16:24]))
    data = base64.b64encode(png).decode("ascii")
    full = struct.unpack(">I", png[16:20])[0]
    sizes = f"--drawn: {width}px; --full: {full}px"
    return f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}" style="{sizes}">'


def _name_sections(tokens: Sequence[Token]) -> dict[str, str]:
    """Give every section's heading an anchor; returns the headings' text by anchor."""
    found: dict[str, str] = {}
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            text = "".join(child.content for child in inline.children or ())
            anchor = re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
            if anchor in found:
                anchor = f"{anchor}-{len(found)}"
            opening.attrSet("id", anchor)
            found[anchor] = text
    return found


def _contents(sections: Mapping[str, str]) -> str:
    entries = "".join(f'<li><a href="#{escape(anchor)}">{escape(text)}</a></li>\n' for anchor, text in sections.items())
    return f'<nav aria-label="Contents">\n<ul>\n{entries}</ul>\n</nav>\n'


def _mark_cells(tokens: Sequence[Token]) -> None:
    """Make the alignment of columns of numbers a class, mark cells of prose, and keep the units of headers in one piece."""
    for opening, inline in pairwise(tokens):
        if opening.type in ("th_open", "td_open") and opening.attrs.pop("style", "") == "text-align:right":
            opening.attrSet("class", "number")
        elif opening.type == "td_open" and len(inline.content) > LONG_CELL:
            opening.attrSet("class", "prose")
        children = inline.children or []
        last = children[-1] if opening.type == "th_open" and children else None
        if last is not None and last.type == "text" and (match := re.search(r"\([^()]*\)$", last.content)):
            last.content = last.content[: match.start()]
            children.append(Token("html_inline", "", 0, content=f'<span class="unit">{escape(match[0])}</span>'))


def _mark_figures(tokens: Sequence[Token]) -> None:
    """A paragraph that is a picture becomes a figure, with an anchor."""
    seen: list[str] = []
    for opening, inline, closing in zip(tokens, tokens[1:], tokens[2:]):
        children = inline.children or []
        alone = opening.type == "paragraph_open" and [child.type for child in children] == ["image"]
        if alone:
            opening.tag = closing.tag = "figure"
            stem = re.sub(r"\W+", "-", str(children[0].attrs["src"]).removesuffix(".png"))
            name = f"figure-{len(seen)}-{stem}"
            seen.append(name)
            opening.attrSet("id", name)
            children[0].meta |= {"caption": True, "anchor": name}


def _table_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    wide = " wide" if _characters(tokens[index:]) > WIDE_TABLE else ""
    return f'<div class="table{wide}" role="region" aria-label="Table" tabindex="0">\n<table>\n'


def _characters(tokens: Sequence[Token]) -> int:
    """How wide the table that begins here is: of every column its longest cell, prose cut at LONG_CELL, headings at half of it, and their padding."""
    columns: list[int] = []
    place = 0
    for opening, inline in pairwise(tokens):
        if opening.type == "table_close":
            break
        if opening.type == "tr_open":
            place = 0
        elif opening.type in ("th_open", "td_open"):
            length = min(len(inline.content), LONG_CELL if opening.type == "td_open" else LONG_CELL // 4)
            columns[place:] = (
                [max(length, *columns[place : place + 1]), *columns[place + 1 :]] if place < len(columns) else [length]
            )
            place += 1
    return sum(columns) + 2 * len(columns)


def _table_close(renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    return "</table>\n</div>\n"


def _image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    """A picture; as a figure of its own with a link that fills the window with it in full size, and one back."""
    token = tokens[index]
    found = picture(environment["figures"][str(token.attrs["src"])], token.content)
    if not token.meta.get("caption"):
        return found
    name = token.meta["anchor"]
    return (
        f'<div class="view" id="full-{name}" tabindex="0"><a class="close" href="#{name}">back to the report</a>'
        f'<a class="grow" href="#full-{name}">{found}<span>full size</span></a></div>\n<figcaption>{escape(token.content)}</figcaption>'
    )
