"""Terminals without the letters, and readers that go away."""

import io
import os
import subprocess
import sys

import pytest

from mdlite import terminal

PLAIN = (
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "latin-1"},
)


@pytest.mark.thorough(quick=3)
@pytest.mark.parametrize("environment", PLAIN, ids=lambda e: " ".join(e))
@pytest.mark.parametrize("arguments", [("validity", "trapped"), ("cases", "trapped"), ("--help",)], ids=lambda a: a[0])
def test_output_that_the_terminal_can_not_show(tmp_path, environment, arguments):
    done = subprocess.run(
        [sys.executable, "-m", "mdlite", *arguments], capture_output=True, cwd=tmp_path, env=os.environ | environment
    )
    assert done.returncode == 0 and b"Error" not in done.stderr, done.stderr
    assert b"\\u" not in done.stdout and b"?" not in done.stdout
    if arguments[0] == "cases":
        assert (b"meV/\xc5\xb2" if "latin-1" in environment.values() else b"meV/A^2") in done.stdout
    if "latin-1" not in environment.values() and arguments[0] != "--help":
        done.stdout.decode("ascii")


def test_letters_are_spelled():
    assert (
        terminal.spelled("κ = 3 Å² × 2 ± 1 – Ω_max → ħω … Bárány")
        == "kappa = 3 A^2 x 2 +/- 1 - Omega_max -> hbaromega ... Barany"
    )
    assert terminal.spelled("\udcff 晶") == "\\xff ?"


def test_anything_fits_on_one_line():
    class Rude(Exception):
        def __str__(self):
            raise KeyError("no")

        __repr__ = __str__

    assert terminal.one_line(" a\n\tb\x1b[0m\x00 ö\u2028\ud800 ") == r"a b\x1b[0m\x00 ö \ud800"
    assert (
        terminal.one_line("x" * 10**6, 20) == "x" * 17 + "..." and len(terminal.one_line("\0" * 10**6)) == terminal.MOST_LETTERS
    )
    assert terminal.shown(Rude()) == "<Rude>" and terminal.shown("a\n") == r"'a\n'" and len(terminal.shown([1] * 100)) == 60
    assert terminal.of_error(Rude()) == "Rude" and terminal.of_error(ValueError("a\nb")) == "ValueError: a b"


def test_every_letter_of_the_program_has_a_spelling():
    """What the sources print beyond ASCII never becomes a question mark."""
    from pathlib import Path

    import mdlite

    root = Path(mdlite.__file__).parent
    texts = [path.read_text(encoding="utf-8") for pattern in ("*.py", "*.toml") for path in root.rglob(pattern)]
    letters = {letter for text in texts for letter in text if not letter.isascii()}
    assert [letter for letter in sorted(letters) if "?" in terminal.spelled(letter)] == []


def test_a_name_that_is_no_text_can_be_printed(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.prepare()
    print(os.fsdecode(b"run-\xff.h5"))
    stream.flush()
    assert stream.buffer.getvalue().strip() == b"run-\\xff.h5"


@pytest.mark.skipif(not hasattr(os, "pipe"), reason="needs pipes")
@pytest.mark.parametrize("arguments", [("schema",), ("cases",), ("cases", "trapped"), ("--help",)], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(tmp_path, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "mdlite", *arguments], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(writing)
    assert done.stderr == b"" and done.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_output_that_can_not_be_written_is_an_error(tmp_path):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "mdlite", "cases"], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True
        )
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "No space left" in done.stderr
    assert "Exception ignored" not in done.stderr
