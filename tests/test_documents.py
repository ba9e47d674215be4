"""The README and the tutorial, word for word: every fenced block is run, in order, in one folder for each document; links lead somewhere.

What a block is for stands in its language and in what precedes it. ``sh``: run by bash, with `mdlite` and `python` those of the
tests. ``python``: run in a process of its own. ``toml`` and ``diff``: written to the file that the line before them names (``...
`mine.toml`:``), else a ``toml`` block must parse. ``text``: output, not run. HTML comments before a block: ``<!-- test: --set
run.duration=1 -->`` is added to its commands that run something, to make them short; ``<!-- test: in the edited clone -->`` (and
options, after a comma) runs it on the copy of the source tree that an earlier block has edited, whose kernels are compiled anew;
``<!-- test: skip, REASON -->`` or ``<!-- ci: NAME -->`` (CI runs it) leaves it out.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "docs/tutorial.md")
LINKED = sorted(
    {
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "scripts/README.md",
        *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    }
)
NOT_RUN = {"text"}
LENGTHY = re.compile(r"mdlite (run|validate|sweep) ")
SKIPPED = re.compile(r"<!-- (?:test: skip, (?P<reason>\S.*\S)|ci: (?P<ci>main|test)) -->")
CLONE = "in the edited clone"
CHANGED = re.compile(rf"<!-- test: (?:(?P<clone>{CLONE})(?:, )?)?(?P<options>--set .*\S)? -->")
NAMED = re.compile(r"`(?P<name>[\w-]+\.(toml|diff|py))`:$")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language and text, the comment before it, and the file that the line before it names."""

    where: str
    language: str
    text: str
    comment: str
    name: str | None

    @property
    def skipped(self) -> str | None:
        """Why it is not run, or None."""
        if self.language in NOT_RUN:
            return "is not code"
        found = SKIPPED.fullmatch(self.comment)
        return None if found is None else found["reason"] or f"CI runs it ({found['ci']})"

    @property
    def script(self) -> str:
        """The text of a ``sh`` block, its commands made short as the comment says."""
        found = CHANGED.fullmatch(self.comment)
        options = (found and found["options"]) or ""
        lines = self.text.replace("\\\n", " ").splitlines()
        return "\n".join(f"{line} {options}" if LENGTHY.match(line) else line for line in lines)

    @property
    def edited(self) -> bool:
        """Whether it is run on the edited copy of the source tree."""
        found = CHANGED.fullmatch(self.comment)
        return bool(found and found["clone"])


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a Markdown file, directives of the documentation left out."""
    found, before, fence, opened, comment, name = [], "", None, 0, "", None
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if fence is None and (start := re.fullmatch(r"(```+)(\S*).*", line)):
            fence, opened, inside = start[1], number, []
            language = start[2]
        elif fence is not None and line == fence:
            if not language.startswith("{"):
                found.append(Block(f"{path.name}, line {opened}", language, "\n".join(inside) + "\n", comment, name))
            fence, comment, name = None, "", None
        elif fence is not None:
            inside.append(line)
        elif line.startswith("<!--"):
            assert not comment, f"{path.name}, line {number}: two comments before one block"
            comment = line
        elif line.strip():
            comment, before = "", line
            name = match["name"] if (match := NAMED.search(before)) else None
    assert fence is None, f"{path.name}: the block of line {opened} does not end"
    return found


class Reader:
    """One who does what a document says, in the folder ``md`` beside a copy of the source tree, ``mdlite``."""

    def __init__(self, folder: Path):
        self.clone, self.work, programs = folder / "mdlite", folder / "md", folder / "bin"
        for place in (self.clone, self.work, programs):
            place.mkdir()
        for package in ("mdlite", "kernels"):
            shutil.copytree(ROOT / package, self.clone / package, ignore=shutil.ignore_patterns("__pycache__"))

        for name, command in (("mdlite", f'"{sys.executable}" -m mdlite'), ("python", f'"{sys.executable}"')):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "MPLBACKEND": "Agg",
            "GIT_CEILING_DIRECTORIES": str(folder),
        }

    def does(self, block: Block) -> None:
        """Write or run a block."""
        if block.language == "toml":
            tomllib.loads(block.text)
        if block.language in ("toml", "diff"):
            assert block.name or block.language == "toml", f"{block.where}: the line before it names no file"
            if block.name:
                (self.work / block.name).write_text(block.text, encoding="utf-8")
            return
        commands = {"sh": ["bash", "-euo", "pipefail", "-c", block.script], "python": [sys.executable, "-c", block.text]}
        assert block.language in commands, f"{block.where}: {block.language!r} is no language that is run"
        assert self.changed() or not block.edited, f"{block.where}: nothing has been edited"
        source = {"PYTHONPATH": str(self.clone)} if block.edited else {}
        done = subprocess.run(
            commands[block.language], cwd=self.work, env=self.environment | source, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block.where}:\n{block.script}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    def changed(self) -> bool:
        """Whether the copy of the kernels has been edited."""
        return any(
            path.read_bytes() != (ROOT / "kernels" / path.name).read_bytes() for path in (self.clone / "kernels").glob("*.py")
        )


@pytest.mark.thorough
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_block_runs(name, tmp_path):
    reader = Reader(tmp_path)
    for block in blocks(ROOT / name):
        if block.skipped is None:
            reader.does(block)
    assert reader.changed() == any(block.language == "diff" for block in blocks(ROOT / name))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_only_blocks_with_a_reason_are_left_out(name):
    found = blocks(ROOT / name)
    assert sum(block.skipped is None for block in found) >= 3
    for block in found:
        changed = CHANGED.fullmatch(block.comment)
        assert SKIPPED.fullmatch(block.comment) or changed or not block.comment, f"{block.where}: what is {block.comment}?"
        if changed and changed["options"]:
            assert block.language == "sh" and block.script != block.text, f"{block.where}: nothing in it can be made short"


def generated():
    """The extension that makes the tables."""
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs/_ext/generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["configuration.md", "sweeps.md", "command-line.md", "api.md"])
def test_the_tables_of_the_documentation_are_what_the_program_says(name):
    """After a change of a key, an option or a public docstring: python docs/_ext/generated.py"""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generated().page(name)


def test_the_reference_can_be_read_where_nothing_is_built():
    assert "| `spacing` | number > 0 | Å | `3.0` | lattice constant |" in (ROOT / "docs/configuration.md").read_text(
        encoding="utf-8"
    )
    assert "## `mdlite keys`" in (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    api = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert all(f"### `mdlite.{name}`" in api for name in ("run", "load_case", "Config", "validity"))
    assert "recoil_kernel(" in api and not any("{include}" in p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.md"))


def anchors(path: Path) -> set[str]:
    """Anchors of a Markdown file's headings."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", LINKED)
def test_links_lead_somewhere(name):
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"there is no {name}")
    text = re.sub(r"^(```+).*?^\1$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), f"{name}: {target} leads nowhere"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{name}: {target}: there is no such heading"
