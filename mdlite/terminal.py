"""Text on a terminal that may not have the letters: what its encoding lacks is written in other letters, instead of ending a
program whose work is done. And anybody's text, value or exception on one line."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import unicodedata

NAME = "mdlite-letters"
LETTERS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
    "†": "^+",
    "∓": "-/+",
    "η": "eta", "θ": "theta", "ϑ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "µ": "u", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Σ": "Sigma", "Φ": "Phi", "Ω": "Omega", "ℏ": "hbar", "ħ": "hbar", "∇": "grad ",
    "²": "^2", "³": "^3", "⁻": "^-", "¹": "^1", "⁰": "^0", "⁴": "^4", "½": "1/2", "¼": "1/4", "√": "sqrt", "∞": "inf", "∫": "integral ", "∂": "d",
    "×": "x", "·": "*", "±": "+/-", "−": "-", "–": "-", "—": "-", "‑": "-", "≤": "<=", "≥": ">=", "≈": "~", "≠": "!=", "∝": "~", "°": " deg",
    "→": "->", "←": "<-", "↔": "<->", "…": "...", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "ø": "o", "ß": "ss", "æ": "ae", "•": "*",
}  # fmt: skip


MOST_LETTERS = 500
"""Of a text that comes from elsewhere."""


def one_line(text: str, most: int = MOST_LETTERS) -> str:
    """A text on one line, without control characters, at most so long."""
    text = text[: 10 * most]
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    return text if len(text) <= most else text[: most - 3] + "..."


def shown(value: object) -> str:
    """A value on one short line, whatever its own repr does."""
    try:
        return one_line(repr(value), 60)
    except Exception:
        return f"<{type(value).__name__}>"


def of_error(error: BaseException) -> str:
    """An exception's kind and what it says, on one line, whatever its own text does."""
    try:
        text = one_line(str(error))
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def spelled(text: str) -> str:
    """Text in ASCII: what has no such letters becomes a word or a mark, accents are left out, and what is left a question mark."""
    return "".join(_spelled(letter) for letter in text)


def _spelled(letter: str) -> str:
    if letter.isascii():
        return letter
    if letter in LETTERS:
        return LETTERS[letter]
    if unicodedata.combining(letter):
        return ""
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that is no text
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelled(error.object[error.start : error.end]), error.end


def prepare() -> None:
    """Let standard output and standard error take any text."""
    codecs.register_error(NAME, _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(ValueError, OSError):
                stream.reconfigure(errors=NAME)


def finish() -> str | None:
    """Bring what was printed out: None, or what went wrong. A reader that has gone away (``mdlite ... | head``) is nothing wrong."""
    wrong = None
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            if not isinstance(error, BrokenPipeError | ValueError):
                wrong = error.strerror or str(error)
            _discard(stream)
    return wrong


def _discard(stream) -> None:
    """Let what is left in a stream go nowhere, so that the interpreter does not stumble over it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
