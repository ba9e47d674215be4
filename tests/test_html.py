"""The HTML report: one file that needs nothing else, says what the Markdown says, and shows text as text."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import mdlite
from mdlite.report import html, markdown, plots

HOSTILE = "<script>alert(1)</script> ![x](http://example.com/x.png) [go](http://example.com) $5 `a` | b"
VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """What a browser would see: attributes of every element, cells of every table, text of every element kind."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.tables, self.text, self.open = [], [], {}, []
        self.feed(text)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.text[tag] = self.text.get(tag, "") + data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def markdown_tables(text):
    """The cells of every table of a Markdown text, without emphasis."""
    found, inside = [], False
    for line in text.split("\n"):
        if line.startswith("|"):
            cells = [cell.strip().replace("\\|", "|").replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not inside:
                found.append([])
            if not all(re.fullmatch("-+:?", cell) for cell in cells):
                found[-1].append(cells)
        inside = line.startswith("|")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A validation with a title that would be trouble."""
    output = tmp_path_factory.mktemp("validation") / "v"
    mdlite.validate(mdlite.load_case("trapped", **{"lattice.size": 40, "run.duration": 3.0, "title": HOSTILE}), output)
    return output


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_nothing_leads_out_of_the_file(page):
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object") and not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "data"):
            address = attributes.get(name, "data:")
            assert address.startswith("data:") or address.removeprefix("#") in anchors, address
    assert "url(" not in page.text["style"] and "@import" not in page.text["style"]
    assert len(page.named("a")) == len(anchors) > 3


def test_every_figure_is_inside(folder, page):
    figures = [name for name in json.loads((folder / "summary.json").read_text())["files"] if name.endswith(".png")]
    inside = [base64.b64decode(a["src"].removeprefix("data:image/png;base64,"), validate=True) for a in page.named("img")]
    assert len(figures) >= 4 and sorted(inside) == sorted((folder / name).read_bytes() for name in figures)
    assert all(png.startswith(b"\x89PNG\r\n\x1a\n") for png in inside)
    assert all(a["alt"] and int(a["width"]) > 100 and int(a["height"]) > 100 for a in page.named("img"))
    assert len(page.named("figure")) == len(figures)


def test_a_hostile_title_is_text(page):
    assert page.text["h1"] == page.text["title"] == HOSTILE
    assert HOSTILE in page.text["pre"]  # the settings


def test_tables_are_those_of_the_markdown(folder, page):
    expected = markdown_tables((folder / "report.md").read_text(encoding="utf-8"))
    assert len(expected) >= 5 and page.tables == expected


def test_files_are_listed_and_replaced(folder):
    assert "report.html" in json.loads((folder / "summary.json").read_text())["files"]
    config = mdlite.load_case("trapped", **{"lattice.size": 12, "run.duration": 0.5, "title": "another"})
    (folder / "report.html").write_text("old")
    mdlite.validate(config, folder, force=True)
    assert Page((folder / "report.html").read_text(encoding="utf-8")).text["h1"] == "another"


def test_html_in_markdown_is_text_and_strange_addresses_are_dropped():
    body = "# T\n\n<img src=x onerror=y> [a](javascript:alert(1)) [b](https://example.com) ![c](https://example.com/c.png) ![d](d.png)"
    found = Page(html.page("T", body, {"d.png": plots.png(plots.Figure(figsize=(1, 1)))}))
    assert [a["alt"] for a in found.named("img")] == ["d"] and not found.named("a") and not found.named("figure")
    assert "<img src=x onerror=y>" in found.text["p"]


def test_few_sections_need_no_contents_and_equal_ones_get_anchors_of_their_own():
    assert not Page(html.page("T", "# T\n\n## A\n\n## B", {})).named("nav")
    found = Page(html.page("T", "# T\n\n## A\n\n## A\n\n## A & <b>\n\n## §", {}))
    anchors = [a["id"] for a in found.named("h2")]
    assert len(set(anchors)) == 4 and [a["href"] for a in found.named("a")] == ["#" + anchor for anchor in anchors]


def test_columns_of_numbers_are_to_the_right():
    text = markdown.table(
        ["name", "x (Å)", "a|b"], [["one", 1.25, "–"], ["2", "", "+3.00 (-4 %)"], ["three", float("nan"), 1e-12]]
    )
    assert text.split("\n")[1] == "| --- | ---: | ---: |"
    found = Page(html.page("T", text, {}))
    assert [a.get("class") for a in found.named("td")] == [None, "number", "number"] * 3
    assert found.tables == [[["name", "x (Å)", "a|b"], ["one", "1.25", "–"], ["2", "", "+3.00 (-4 %)"], ["three", "–", "1e-12"]]]


@pytest.mark.parametrize(
    "value, error, expected",
    [
        (3.7512, 1.3412, "3.8 ± 1.3"),
        (0.47631, 0.00394, "0.4763 ± 0.0039"),
        (-3.2e-05, 0.0012, "0.0000 ± 0.0012"),
        (12345.6, 234.0, "12350 ± 230"),
        (74.89, 13.2, "75 ± 13"),
        (1.0, 0.0, "1 ± 0"),
        (2.5, np.nan, "2.5"),
        (np.nan, 1.0, "–"),
        (1.5e-12, 2.5e-13, "1.5e-12 ± 2.5e-13"),
    ],
)
def test_a_value_is_given_as_far_as_its_error(value, error, expected):
    assert markdown.measured(value, error) == expected


def test_titles_in_markdown_show_what_they_say():
    assert markdown.plain_text("k_B T, two\n\nlines_ *a*") == r"k_B T, two lines\_ \*a\*"


def test_wide_tables_and_figures_say_so_on_a_narrow_screen():
    narrow = markdown.table(["a", "b"], [["one", 1.0]])
    wide = markdown.table(["method", *(f"at {n} meV" for n in range(6))], [["time-local", *["0.5637 (-25 %)"] * 6]])
    found = Page(html.page("T", f"# T\n\n{narrow}\n\n{wide}", {}))
    assert [a["class"] for a in found.named("div")] == ["table", "table wide"]
    style = found.text["style"]
    cue = style[style.index("@media (max-width: 40rem)") :]
    assert ".wide::before" in cue and ".view::before" in cue and "scroll sideways" in cue and "\\2192" in cue


def test_every_figure_has_its_full_size():
    figures = {f"{name}.png": plots.png(plots.Figure(figsize=(8, 4)), html.DPI) for name in ("decay", "path-of-z")}
    found = Page(html.page("T", "# T\n\n" + "\n\n".join(f"![{n}](<{n}>)" for n in figures), figures))
    ids = [a["id"] for _, a in found.elements if "id" in a]
    links = [a["href"].removeprefix("#") for a in found.named("a")]
    assert sorted(links) == sorted(ids) and len(set(ids)) == 4 and sum(i.startswith("full-") for i in ids) == 2
    assert all("--full: 1200px" in a["style"] and a["width"] == "768" for a in found.named("img"))


def test_the_first_paragraph_stands_above_the_contents():
    text = html.page("T", "# T\n\n**Take** it.\n\nmore\n\n## A\n\n## B\n\n## C\n\n## D", {})
    assert text.index("Take") < text.index("<nav") < text.index("more")
