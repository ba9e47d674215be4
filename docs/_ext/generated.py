"""What pages say of the program, made from the program: the keys of a configuration and of a sweep, the commands with their options, the
public names of the package. It stands in the pages themselves, between two comments, so that it can be read where nothing is built:

    python docs/_ext/generated.py

writes it anew, and a test fails while it is not what the program says. For Sphinx this is an extension that makes pages of the files at the root.
"""

import dataclasses
import importlib
import inspect
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT_FILES = ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")
"""Markdown files at the root of the repository that are pages here too."""
MODULES = (
    ("analysis", "Trajectories to numbers."),
    ("physics.phonons", "The lattice by itself."),
    ("physics.response", "How the lattice answers a force."),
    ("accuracy.small_oscillations", "Small oscillations of an ion, exact and by every rung."),
    ("physics.relax", "The lattice at rest around an ion that is held."),
    ("physics.thermal", "Thermal states."),
    ("units", ""),
)
"""Modules shown whole, below the public names."""
MARKS = "<!-- made by docs/_ext/generated.py: {} -->", "<!-- end -->"
QUOTED = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|").replace("*", "\\*") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def sections(tables, level: int) -> str:
    """The Markdown of tables of keys."""
    parts = []
    for one in tables:
        title = f"`{one.path}`, kind `{one.kind}`" if one.kind else f"`[{one.path}]`" if one.path else "Top of the file"
        parts.append(f"{'#' * (level + bool(one.kind))} {title}")
        if one.about:
            parts.append(one.about.replace("phi =", "φ =").replace("*", "\\*"))
        if one.keys:
            rows = [[f"`{k.name}`", _code(k.values), k.unit, _default(k.default), k.about] for k in one.keys]
            parts.append(table(["key", "value", "unit", "default", "what it is"], rows))
    return "\n\n".join(parts)


def _code(values: str) -> str:
    """Values in words, with those that are written so in a file as code."""
    return re.sub(r'"[^"]*"|\btrue\b|\bfalse\b', lambda found: f"`{found[0]}`", values)


def _default(value: str) -> str:
    return value if value == "required" else f"`{value}`" if value else "–"


def configuration() -> str:
    """All keys of a configuration."""
    from mdlite.config import keys

    return sections(keys.configuration(), 2)


def sweep() -> str:
    """All keys of a sweep."""
    from mdlite.config import keys
    from mdlite.sweeps.plan import Range, Span, SweepSection

    parts = []
    for section, title in (
        (SweepSection, "Top of the file"),
        (Span, "Value of a key in `[grid]` or `[zip]`, in place of a list"),
        (Range, "Value of a key in `[random]`"),
    ):
        schema = section.model_json_schema()
        schema.pop("description", None)
        parts.append(sections(keys.tables(schema), 3).replace("### Top of the file", f"### {title}", 1))
    return "\n\n".join(parts)


def command_line() -> str:
    """All commands, with arguments and options."""
    import typer

    from mdlite.cli.help import examples_of
    from mdlite.cli.main import app
    from mdlite.config.keys import pretty

    parts = []
    for name, command in typer.main.get_command(app).commands.items():
        entries = []
        for parameter in command.params:
            if parameter.name == "help" or getattr(parameter, "hidden", False):
                continue
            label = parameter.metavar or parameter.name.upper()
            if parameter.param_type_name == "option":
                label = ", ".join(f"`{o}`" for o in [*parameter.opts, *parameter.secondary_opts])
                if not parameter.is_flag:
                    label += f" {parameter.metavar or parameter.name.upper()}"
                value = parameter.default
                shown = "" if value in (None, False, (), []) or parameter.is_flag else f"`{value}`"
            else:
                label, shown = f"`{label}`", "" if parameter.required else "optional"
            entries.append([label, shown, pretty(parameter.help or "")])
        parts.append(f"## `mdlite {name}`\n\n{pretty(inspect.cleandoc(command.help or ''))}")
        if entries:
            parts.append(table(["argument or option", "default", "what it does"], entries))
        parts.append("```sh\n" + "\n".join(examples_of(command)) + "\n```")
    return "\n\n".join(parts)


def api() -> str:
    """The public names, from where they are defined, and then whole modules."""
    import mdlite

    parts = []
    for name in ["load_case", *mdlite._PUBLIC]:
        module = f"mdlite.{mdlite._PUBLIC[name]}" if name in mdlite._PUBLIC else "mdlite"
        parts.append(described(getattr(importlib.import_module(module), name), f"mdlite.{name}", 3))
    shown = {f"{mdlite._PUBLIC[name]}.{name}" for name in mdlite._PUBLIC}
    for name, about in MODULES:
        module = importlib.import_module(f"mdlite.{name}")
        names = getattr(module, "__all__", None) or [n for n, v in vars(module).items() if _own(module, n, v)]
        parts.append(f"## `mdlite.{name}`" + (f"\n\n{about}" if about else ""))
        parts.append(prose(module.__doc__))
        for entry in names:
            thing = getattr(module, entry)
            home = getattr(thing, "__module__", module.__name__)
            if f"{home.removeprefix('mdlite.')}.{entry}" in shown:
                continue
            if callable(thing):
                parts.append(described(thing, f"mdlite.{name}.{entry}", 3))
            else:
                parts.append(f"`mdlite.{name}.{entry} = {thing!r}`" + _comment_below(module, entry))
    return "\n\n".join(parts)


def described(thing, name: str, level: int) -> str:
    """A function or class: its signature, what it says of itself, and, of a class, its own public members."""
    parts = [f"{'#' * level} `{name}`"]
    if not (inspect.isclass(thing) and not _plain_class(thing)):
        parts.append(f"```python\n{signature(thing, name.rsplit('.', 1)[-1])}\n```")
    parts.append(prose(thing.__doc__))
    if inspect.isclass(thing):
        members = [line for member, value in vars(thing).items() if (line := _member(member, value))]
        parts += ["\n".join(members)] if members else []
    return "\n\n".join(part for part in parts if part)


def _plain_class(thing: type) -> bool:
    """Whether its signature says how it is made."""
    return (
        dataclasses.is_dataclass(thing)
        or hasattr(thing, "_fields")
        or ("__init__" in vars(thing) and not issubclass(thing, Exception))
    )


def signature(thing, name: str) -> str:
    """How it is called, a parameter a line where that is long. The words of the source, whatever Python writes them."""
    found = inspect.signature(thing)
    found = found.replace(
        parameters=[p.replace(annotation=_Words(p.annotation)) for p in found.parameters.values()]
        if not any(p.annotation is p.empty for p in found.parameters.values())
        else list(found.parameters.values()),
        return_annotation=found.empty
        if inspect.isclass(thing) or found.return_annotation is found.empty
        else _Words(found.return_annotation),
    )
    shown = f"{name}{found}"
    if len(shown) <= 100:
        return shown
    inside = ",\n".join(f"    {parameter}" for parameter in found.parameters.values())
    result = "" if found.return_annotation is found.empty else f" -> {found.return_annotation!r}"
    return f"{name}(\n{inside},\n){result}"


class _Words:
    """An annotation that is shown as it stands in the source."""

    def __init__(self, annotation):
        self.text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))

    def __repr__(self) -> str:
        return self.text


def _member(name: str, value) -> str | None:
    """A line for a public method, property or class method."""
    if name.startswith(("_", "model_")):
        return None
    target = value.fget if isinstance(value, property) else getattr(value, "__func__", getattr(value, "func", value))
    if not inspect.isfunction(target) or not target.__doc__:
        return None
    plain = not isinstance(value, property) and inspect.isfunction(target) and not hasattr(value, "attrname")
    shown = f"{name}({', '.join(p for p in inspect.signature(target).parameters if p not in ('self', 'cls'))})" if plain else name
    return f"- `{shown}`: " + " ".join(prose(target.__doc__).split())


def _comment_below(module, name: str) -> str:
    """The text in quotes that stands below a constant of a module."""
    found = re.search(rf'^{name}\b.*\n"""(.*?)"""', inspect.getsource(module), re.MULTILINE)
    return f": {prose(found[1])}" if found else ""


def prose(text: str | None) -> str:
    """A docstring as Markdown: nothing in it is markup but names in backquotes, and indented examples."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text or "").strip())
    return "\n\n".join(p if p.startswith("    ") else _escaped(" ".join(p.split())) for p in paragraphs if p.strip())


def _escaped(line: str) -> str:
    parts = QUOTED.split(line)
    for n, part in enumerate(parts):
        parts[n] = f"`{part.strip('`')}`" if n % 2 else re.sub(r"([*_<|\[\]\\])", r"\\\1", part)
    return "".join(parts)


def _own(module, name: str, value) -> bool:
    """Whether a module defines this public name itself."""
    if name.startswith("_") or inspect.ismodule(value):
        return False
    if callable(value):
        return getattr(value, "__module__", None) == module.__name__ and bool(value.__doc__)
    return module.__name__ == "mdlite.units" and name.isupper()


PAGES = {
    "configuration.md": (configuration,),
    "sweeps.md": (sweep,),
    "command-line.md": (command_line,),
    "api.md": (api,),
}
"""Pages, and what is made in each."""


def page(name: str) -> str:
    """The text of a page with what is made in it as it should be."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for make in PAGES[name]:
        begin, end = MARKS[0].format(make.__name__), MARKS[1]
        head, found, rest = text.partition(begin)
        _, ended, tail = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"docs/{name}: has no place for {make.__name__}: {begin} and {end}")
        text = f"{head}{begin}\n\n{make()}\n\n{end}{tail}"
    return text


def root_file(name: str) -> str:
    """A file of the root with its links as they are from a page in docs/_generated/pages."""
    text = (Path(__file__).resolve().parents[2] / f"{name}.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](../../", text)
    return re.sub(rf"\]\(({'|'.join(ROOT_FILES)})\.md", lambda found: f"]({found[1].lower()}.md", text)


def root_links(app, name: str, source: list[str]) -> None:
    """For `source-read`: links from docs to files of the root lead to their pages."""
    source[0] = re.sub(
        rf"\]\(\.\./({'|'.join(ROOT_FILES)})\.md", lambda found: f"](_generated/pages/{found[1].lower()}.md", source[0]
    )


def write(app) -> None:
    """For `builder-inited`: pages of the files at the root; those that have not changed are left alone."""
    folder = Path(app.srcdir) / "_generated" / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ROOT_FILES:
        path, text = folder / f"{name.lower()}.md", root_file(name) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app):
    """Sphinx's way in."""
    app.connect("builder-inited", write)
    app.connect("source-read", root_links)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    for name in PAGES:
        text = page(name)
        if text != (DOCS / name).read_text(encoding="utf-8"):
            (DOCS / name).write_text(text, encoding="utf-8")
            print(f"docs/{name}: written", file=sys.stderr)
