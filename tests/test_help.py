"""How the command line explains itself."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import typer

from hostile import call
from mdlite.cli import help
from mdlite.cli.main import app
from mdlite.config import keys

ROOT = typer.main.get_command(app)
COMMANDS = ROOT.commands
METAVAR = re.compile(r"[A-Z][A-Z.5]*(,[A-Z.]+)*(=[A-Z]+)?")


def mdlite(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "mdlite", *arguments], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.thorough(quick=4)
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_h_is_help(command):
    short, long = (mdlite(*([command] if command else []), option) for option in ("-h", "--help"))
    assert short == long and "-h, --help" in short
    assert not re.search(r"<\w+>|\{[A-Z]+\}|INTEGER|TEXT|FLOAT|PATH\b", short)


def test_summaries_are_whole_and_in_groups():
    text = mdlite("-h")
    flat = " ".join(text.split())
    for name, command in COMMANDS.items():
        assert f"{name} {help.summary(command)}" in flat and command.rich_help_panel in help.GROUPS
    assert "..." not in text.split("Options:")[1] and [g for g in help.GROUPS if f"\n{g}:\n" in text] == list(help.GROUPS)


@pytest.mark.thorough(quick=4)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_understands(name):
    found = help.examples_of(COMMANDS[name])
    assert found
    for line in found:
        words = shlex.split(line)
        assert words[:2] == ["mdlite", name]
        with ROOT.make_context("mdlite", [name], resilient_parsing=True) as root:
            COMMANDS[name].make_context(name, words[2:], parent=root)
    assert all(line in mdlite(name, "-h") for line in found)


@pytest.mark.parametrize("name", COMMANDS)
def test_metavars_have_one_style(name):
    for parameter in COMMANDS[name].params:
        if parameter.name != "help" and not getattr(parameter, "is_flag", False):
            assert METAVAR.fullmatch(parameter.metavar or ""), (parameter.name, parameter.metavar)


def test_completion_can_be_installed():
    assert "--install-completion" in mdlite("-h")
    found = mdlite(_MDLITE_COMPLETE="complete_bash", COMP_WORDS="mdlite ana", COMP_CWORD="1")
    assert found.split() == ["analyse"]
    assert "trapped-heavy" in mdlite(_MDLITE_COMPLETE="complete_bash", COMP_WORDS="mdlite run tr", COMP_CWORD="2")


def test_configurations_are_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "throws").mkdir()
    for name in ("throws/one.toml", "trap.toml", "trap.h5", ".hidden.toml"):
        (tmp_path / name).write_text("")
    assert help.complete_config("tr") == ["trapped", "trapped-heavy", "trap.toml"]
    assert help.complete_config("thr") == ["throw", "throws/"] and help.complete_config("throws/") == ["throws/one.toml"]
    assert help.complete_config("nowhere/") == [] and ".hidden.toml" not in help.complete_config("")


def test_keys_with_units_defaults_and_what_they_are():
    text = mdlite("keys", "thermal")
    assert "thermal.energy  number > 0  meV" in text and "thermal.seed" in text and "run.dt" not in text
    assert "default [0.7, 0.7, 0.7]" in keys.text("ion.mass") and "meV ps²/Å²" in keys.text("ion.mass")
    assert len(keys.text("ion.mass").splitlines()) == 2
    found = json.loads(mdlite("keys", "interaction.potential", "--json"))
    row = {
        "key": "interaction.potential.range",
        "kind": "yukawa",
        "values": "number > 0",
        "unit": "Å",
        "default": "required",
        "about": "",
    }
    assert row in found and len(keys.chosen()) > 70


@pytest.mark.parametrize(
    "prefix, message",
    [
        ("therml", "did you mean thermal?"),
        ("ion.maas", "did you mean ion.mass?"),
        ("mass", "did you mean ion.mass or lattice.mass?"),
        ("zzz", "there are interaction, ion, lattice"),
    ],
)
def test_unknown_keys(prefix, message):
    code, told = call("keys", prefix)
    assert code == 2 and told.count("\n") == 1 and message in told
