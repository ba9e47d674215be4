"""What a configuration and a run look like in a notebook: HTML that takes its colours from the page, light or dark."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from mdlite.config import Config, unit_of
from mdlite.report import html

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

TABLES = ("potentials", "atoms", "springs")
"""Tables that are not shown where they are empty."""
LONGEST_VALUE = 60
"""Characters of a value in a table."""
PICTURE_DPI = 110
LINE = "border:0; border-top:1px solid color-mix(in srgb, currentColor 20%, transparent);"
CELL = "text-align:left; vertical-align:top; padding:.15em .9em .15em 0; max-width:none; white-space:nowrap;"
VERSIONS = ("version", "python", "numpy", "numba", "scipy", "h5py", "threads", "machine", "started")


class Setting(NamedTuple):
    """A key of a configuration: its table, name, value as text, unit, description, and whether the value is the default."""

    table: str
    key: str
    value: str
    unit: str
    description: str
    default: bool


def settings(config: Config) -> list[Setting]:
    """Every key that has a value, in the order of the configuration, without the title."""
    return [setting for setting in _walk(config, config, (), ()) if setting.key != "title"]


def _walk(config: Config, section: BaseModel, path: tuple[str, ...], shown: tuple[str, ...]) -> Iterator[Setting]:
    """Settings of a section; ``path`` leads to it by attributes, ``shown`` by the names that a file has."""
    for name, field in type(section).model_fields.items():
        value, label = getattr(section, name), field.alias or name
        if isinstance(value, BaseModel):
            yield from _walk(config, value, (*path, name), (*shown, label))
        elif value is not None and (value or label not in TABLES):
            default = not field.is_required() and value == field.get_default(call_default_factory=True)
            unit = tidy(unit_of(config, ".".join((*path, name))))
            yield Setting(".".join(shown), label, _text(value), unit, field.description or "", default)


def _text(value: Any) -> str:
    """A value on one short line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "∞" if math.isinf(value) else f"{value:.12g}"
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(part)}" for key, part in value.items()) or "–"
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = "(" + ", ".join(map(_text, value)) + ")"
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE].rsplit(" ", 1)[0] + " …"


def tidy(unit: str) -> str:
    """A unit as one writes it: Å for Angstrom, Å/ps for Angstrom ps-1, raised exponents."""
    unit = re.sub(r" (\w+)-1\b", r"/\1", unit.replace("Angstrom", "Å"))
    return re.sub(r"\^(\d+)", lambda found: found[1].translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")), unit)


def config_html(config: Config) -> str:
    """A configuration: the settings that differ from the defaults, and these folded away."""
    return f'<div style="margin:.4em 0">\n{_headline(config.title or "Config", summary(config))}{_settings_html(config)}</div>'


def summary(config: Config) -> str:
    """Method, lattice, temperature and length of a run in a few words."""
    thermal = config.thermal
    if config.crystal is None:
        box = f"lattice {'×'.join(map(str, config.lattice.size))}"
    else:
        box = f"crystal {'×'.join(map(str, config.crystal.size))}"
    if thermal is None:
        temperature = "T=0"
    else:
        temperature = f"T={thermal.temperature:g} K" if thermal.temperature is not None else f"k_BT={thermal.energy:g} meV"
    return f"method={config.method}, {box}, {temperature}, {config.n_steps} steps of {config.run.dt:g} ps"


def _headline(title: str, rest: str) -> str:
    return f'<div style="margin-bottom:.3em"><b>{escape(title)}</b><br><span style="opacity:.7">{escape(rest)}</span></div>\n'


def _settings_html(config: Config) -> str:
    found = settings(config)
    own, defaults = [s for s in found if not s.default], [s for s in found if s.default]
    return f"{_setting_table(own)}{_fold(f'{len(defaults)} defaults', _setting_table(defaults))}"


def _setting_table(found: Iterable[Setting]) -> str:
    rows = []
    for table, group in groupby(found, key=lambda setting: setting.table):
        for n, setting in enumerate(group):
            name = escape(f"[{table}]") if n == 0 and table else ""
            cells = (
                f'<span style="opacity:.7">{name}</span>',
                f'<span title="{escape(setting.description)}">{escape(setting.key)}</span>',
                escape(setting.value),
                f'<span style="opacity:.7">{escape(setting.unit)}</span>',
            )
            rows.append((LINE if n == 0 else "border:0;", cells))
    return _table(("table", "key", "value", "unit"), rows)


def _table(header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table of HTML cells; every row comes with its style."""
    head = "".join(f'<th style="{CELL} border:0; font-weight:600">{escape(name)}</th>' for name in header)
    body = "\n".join(
        '<tr style="background:none">' + "".join(f'<td style="{CELL} {style}">{cell}</td>' for cell in cells) + "</tr>"
        for style, cells in rows
    )
    table = f"<table{TABLE}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
    return f'<div style="overflow-x:auto">{table}</div>\n'


TABLE = ' style="border-collapse:collapse; border:0; margin:0; font-variant-numeric:tabular-nums"'


def _fold(label: str, content: str) -> str:
    return f'<details><summary style="cursor:pointer; opacity:.8">{escape(label)}</summary>\n{content}</details>\n'


def run_html(run: Run, units: Mapping[str, str], png: bytes | None) -> str:
    """A run: what it was and took, its arrays with shapes and ``units``, settings and versions folded away, and a picture."""
    facts, shapes = run.facts, run.shapes()
    wall = ", ".join(
        f"{facts[key]:.3g} s {what}"
        for key, what in (("run_seconds", "stepping"), ("setup_seconds", "setting up"), ("compile_seconds", "compiling"))
        if facts.get(key)
    )
    drift = facts.get("energy_drift")
    told = {
        "method": run.config.method,
        "status": facts.get("status"),
        "ions": run.config.n_ions,
        "steps": f"{facts.get('steps', '–')} of {run.config.run.dt:g} ps",
        "wall time": wall,
        "energy drift": None if drift is None else f"{drift:+.1e}",
    }
    lines = [(LINE, (escape(key), escape(str(value)))) for key, value in told.items() if value not in (None, "")]
    arrays = [
        (LINE, (f"<code>{escape(name)}</code>", " × ".join(map(str, shape)), escape(tidy(units.get(name, "")))))
        for name, shape in sorted(shapes.items(), key=lambda item: item[0].startswith("energy_"))
    ]
    versions = [(LINE, (escape(name), escape(str(facts[name])))) for name in VERSIONS if name in facts]
    picture = "" if png is None else html.picture(png, "position, velocity and energies against time", PICTURE_DPI)
    framed = picture.replace("<img ", '<img style="max-width:100%; height:auto; background:#fff; border-radius:4px" ')
    return f"""<div style="margin:.4em 0">
{_headline(run.config.title or "Run", "Run: " + summary(run.config))}
<div style="display:flex; flex-wrap:wrap; gap:1em 2em; align-items:flex-start">
<div>
{_table(("", ""), lines)}
{_fold(f"{len(arrays)} arrays", _table(("array", "shape", "unit"), arrays)).replace("<details>", "<details open>")}
{_fold("settings", _settings_html(run.config))}
{_fold("versions and machine", _table(("", ""), versions))}
</div>
{f'<div style="flex:1 1 24em; min-width:0">{framed}</div>' if framed else ""}
</div>
</div>"""
