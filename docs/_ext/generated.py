"""Pages made from the program itself when the documentation is built, so that they can not be stale: the keys of a configuration and of a
sweep, the commands with their options, the public names of the package, each a file in docs/_generated that a page includes; and the files
of the root."""

import importlib
import inspect
import json
import re
from pathlib import Path

PRETTY = (
    ("Angstrom", "Å"),
    ("^-1", "⁻¹"),
    ("^12", "¹²"),
    ("^2", "²"),
    ("^3", "³"),
    ("k_B T", "k_BT"),
    ("|", "\\|"),
    ("*", "\\*"),
)
UNITS = ("meV ps²/Å²", "meV/Å²", "meV Å", "Å/ps", "meV", "Å", "ps", "K", "1/Å")
ROOT_FILES = ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")
"""Markdown files at the root of the repository that are pages here too."""
MODULES = (
    ("analysis", "Trajectories to numbers."),
    ("phonons", "The lattice by itself."),
    ("response", "How the lattice answers a force."),
    ("linear", "Small oscillations of an ion, exact and by every rung."),
    ("relax", "The lattice at rest around an ion that is held."),
    ("thermal", "Thermal states."),
    ("units", ""),
)
"""Modules shown whole, below the public names."""


def pretty(text: str) -> str:
    """A description as Markdown shows it."""
    for plain, shown in PRETTY:
        text = text.replace(plain, shown)
    return " ".join(text.split())


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def kind(schema: dict) -> str:
    """What values a field of a JSON schema takes, in words."""
    if "$ref" in schema:
        return "table"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(s) for s in schema["anyOf"] if s.get("type") != "null"))
    if "oneOf" in schema:
        return "table, by its `kind`"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    name = schema.get("type")
    if name == "array":
        if "prefixItems" in schema:
            words = {2: "two", 3: "three"}
            return f"{words[len(schema['prefixItems'])]} × {kind(schema['prefixItems'][0])}"
        return f"list of {kind(schema['items'])}"
    if name == "object":
        return "table"
    word = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "string": "text"}.get(name, "any")
    if name in ("integer", "number"):
        if schema.get("exclusiveMinimum") == 0:
            return word + " > 0"
        if "minimum" in schema and abs(schema["minimum"]) < 1e9:
            return f"{word} ≥ {schema['minimum']:g}"
    return word


def unit(text: str) -> tuple[str, str]:
    """Unit and rest of a description that has its unit behind a comma, or is nothing else."""
    for name in UNITS:
        if text == name:
            return name, ""
        for found in (f", {name}", f" in {name}"):
            head, comma, rest = text.partition(found)
            if comma and (not rest or rest[0] in ";,"):
                return name, head + rest
    return "", text


def default(field: dict, required: bool) -> str:
    """A field's default."""
    if required:
        return "required"
    value = field.get("default")
    return "–" if value is None or isinstance(value, dict) or "$ref" in field else f"`{json.dumps(value)}`"


def tables(schema: dict, title: str, path: str, definitions: dict, level: int) -> str:
    """The Markdown of one table of a configuration, and of the tables in it."""
    fields, required = schema.get("properties", {}), schema.get("required", [])
    rows, inner = [], []
    for name, field in fields.items():
        kinds = [field, *field.get("anyOf", []), field.get("items", {})]
        references = [(name, k["$ref"]) for k in kinds if "$ref" in k]
        references += [
            (f"{name}, kind `{value}`", ref) for value, ref in field.get("discriminator", {}).get("mapping", {}).items()
        ]
        for label, reference in references:
            target = definitions[reference.rsplit("/", 1)[1]]
            if "properties" in target:
                inner.append((target, path + label))
        if references and "discriminator" not in field and "items" not in field:
            continue
        if "default" not in field and name not in required and references:
            continue
        symbol, text = unit(pretty(field.get("description", "")))
        rows.append([f"`{name}`", kind(field), symbol, default(field, name in required), text])
    parts = [f"{'#' * level} {title}"]
    about = pretty(schema.get("description", ""))
    if about:
        parts.append(about.replace("phi =", "φ ="))
    if rows:
        parts.append(table(["key", "value", "unit", "default", "what it is"], rows))
    for target, label in inner:
        name, _, chosen = label.partition(",")
        heading = f"`{name}`, {chosen.strip()}" if chosen else f"`[{name}]`"
        parts.append(tables(target, heading, f"{name}.", definitions, level + bool(chosen)))
    return "\n\n".join(parts)


def configuration() -> str:
    """All keys of a configuration."""
    from mdlite.config import Config

    schema = Config.model_json_schema()
    schema.pop("description", None)
    return tables(schema, "Top of the file", "", schema["$defs"], 2)


def sweep() -> str:
    """All keys of a sweep."""
    from mdlite.axes import Range, Span, SweepSection

    parts = []
    for section, title in (
        (SweepSection, "Top of the file"),
        (Span, "Value of a key in `[grid]` or `[zip]`, in place of a list"),
        (Range, "Value of a key in `[random]`"),
    ):
        schema = section.model_json_schema()
        schema.pop("description", None)
        parts.append(tables(schema, title, "", schema.get("$defs", {}), 3))
    return "\n\n".join(parts)


def command_line() -> str:
    """All commands, with arguments and options."""
    import typer

    from mdlite.cli import app

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
            entries.append([label.replace("|", "\\|"), shown, pretty(parameter.help or "")])
        parts.append(f"## `mdlite {name}`\n\n{pretty(inspect.cleandoc(command.help or ''))}")
        if entries:
            parts.append(table(["argument or option", "default", "what it does"], entries))
    return "\n\n".join(parts)


def api() -> str:
    """The public names, from where they are defined, and then whole modules."""
    import mdlite

    parts = []
    for name in ["load_case", *mdlite._PUBLIC]:
        module = f"mdlite.{mdlite._PUBLIC[name]}" if name in mdlite._PUBLIC else "mdlite"
        thing = getattr(importlib.import_module(module), name)
        if not inspect.isclass(thing):
            directive, options = "autofunction", ""
        elif issubclass(thing, Exception):
            directive, options = "autoexception", "   :no-members:\n"
        else:
            directive, options = "autoclass", "   :exclude-members: model_config\n"
        parts.append(f"### `mdlite.{name}`\n\n```{{eval-rst}}\n.. {directive}:: {module}.{name}\n{options}```")
    shown = {f"{mdlite._PUBLIC[name]}.{name}" for name in mdlite._PUBLIC}
    for name, about in MODULES:
        module = importlib.import_module(f"mdlite.{name}")
        names = getattr(module, "__all__", None) or [n for n, v in vars(module).items() if _own(module, n, v)]
        parts.append(f"## `mdlite.{name}`" + (f"\n\n{about}" if about else ""))
        parts.append(f"```{{eval-rst}}\n.. automodule:: mdlite.{name}\n   :no-members:\n```")
        for entry in names:
            thing = getattr(module, entry)
            home = getattr(thing, "__module__", module.__name__)
            if f"{home.removeprefix('mdlite.')}.{entry}" in shown:
                continue
            directive = "autoclass" if inspect.isclass(thing) else "autofunction" if callable(thing) else "autodata"
            home = home if callable(thing) else module.__name__
            parts.append(f"```{{eval-rst}}\n.. {directive}:: {home}.{entry}\n```")
    return "\n\n".join(parts)


def _own(module, name: str, value) -> bool:
    """Whether a module defines this public name itself."""
    if name.startswith("_") or inspect.ismodule(value):
        return False
    if callable(value):
        return getattr(value, "__module__", None) == module.__name__ and bool(value.__doc__)
    return module.__name__ == "mdlite.units" and name.isupper()


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
    """Make the files, and leave those alone that have not changed."""
    folder = Path(app.srcdir) / "_generated"
    (folder / "pages").mkdir(parents=True, exist_ok=True)
    texts = {"configuration": configuration(), "sweep": sweep(), "command-line": command_line(), "api": api()}
    texts |= {f"pages/{name.lower()}": root_file(name) for name in ROOT_FILES}
    for name, text in texts.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text + "\n":
            path.write_text(text + "\n", encoding="utf-8")


def setup(app):
    """Sphinx's way in."""
    app.connect("builder-inited", write)
    app.connect("source-read", root_links)
    return {"parallel_read_safe": True}
