"""How the command line explains itself: commands in groups, their summaries whole, and examples."""

from __future__ import annotations

import inspect
import re
from itertools import groupby
from typing import Any

from typer.core import TyperCommand, TyperGroup

BEFORE, RUNNING, RESULTS, MACHINE = "Before a run", "Runs", "What came out", "This machine"
GROUPS = (BEFORE, RUNNING, RESULTS, MACHINE)


def _group(command: Any) -> str:
    return command.rich_help_panel


class Grouped(TyperGroup):
    """The commands under the headings of `GROUPS`, each with its whole summary."""

    def list_commands(self, ctx) -> list[str]:
        """Names in the order of the groups."""
        return sorted(self.commands, key=lambda name: GROUPS.index(_group(self.commands[name])))

    def format_commands(self, ctx, formatter) -> None:
        """Write them for ``mdlite --help``."""
        found = [(_group(self.commands[name]), name, summary(self.commands[name])) for name in self.list_commands(ctx)]
        width = max(len(name) for _, name, _ in found)
        for heading, rows in groupby(found, key=lambda row: row[0]):
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), about) for _, name, about in rows])


class Plain(TyperCommand):
    """A command whose arguments look like the metavars of its options, whatever the version of the command line's library."""

    def collect_usage_pieces(self, ctx) -> list[str]:
        """Parts of the line of usage."""
        return [re.sub(r"^\{([^|{}]+)\}$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def get_help(self, ctx) -> str:
        """The text of ``-h``."""
        return re.sub(
            r"^(  [A-Z]+)( <\w+>)", lambda found: found[1] + " " * len(found[2]), super().get_help(ctx), flags=re.MULTILINE
        )


def summary(command: Any) -> str:
    """The first paragraph of a command's help, on one line."""
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def about(group: str, *examples: str) -> dict[str, Any]:
    """What a command is declared with: its group, and examples for the end of its help (``mdlite`` goes before each)."""
    text = "\b\nExamples:\n" + "\n".join(f"  mdlite {example}" for example in examples)
    return {"cls": Plain, "rich_help_panel": group, "epilog": text}


def examples_of(command: Any) -> list[str]:
    """The examples of a command, each a line of a shell."""
    return [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  mdlite")]


def complete_config(incomplete: str) -> list[str]:
    """Built-in cases, and TOML files and folders, that begin so: what a shell offers for CONFIG."""
    return _complete(incomplete, ("config/cases",), (".toml",))


def complete_crystal(incomplete: str) -> list[str]:
    """The same for CRYSTAL: built-in crystals too, and files that crystals come in."""
    return _complete(incomplete, ("config/cases", "crystals/library"), (".toml", ".h5", ".hdf5", ".yaml", ".yml", ".xz"))


def _complete(incomplete: str, built_in: tuple[str, ...], endings: tuple[str, ...]) -> list[str]:
    from importlib import resources
    from pathlib import Path

    names = [
        f.name.removesuffix(".toml")
        for place in built_in
        for f in resources.files("mdlite").joinpath(place).iterdir()
        if f.name.endswith(".toml")
    ]
    folder, _, start = incomplete.rpartition("/")
    prefix = f"{folder}/" if folder or incomplete.startswith("/") else ""
    try:
        beside = [f for f in Path(prefix or ".").iterdir() if f.name.startswith(start) and (start or f.name[0] != ".")]
        files = [prefix + f.name + ("/" if f.is_dir() else "") for f in beside if f.is_dir() or f.suffix in endings]
    except OSError:
        files = []
    return sorted(name for name in names if name.startswith(incomplete)) + sorted(files)
