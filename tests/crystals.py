"""Real crystals to test with, from a folder that is not part of the project."""

import os
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("si", "nacl", "li2o", "li3po4", "aln", "li3n")


def folder(name):
    """The folder of a crystal: in MDLITE_CRYSTALS, or in ``shared/crystals`` beside the repository. Skips where there is none."""
    own = os.environ.get("MDLITE_CRYSTALS")
    places = [Path(own)] if own else [ROOT / up / "shared" / "crystals" for up in ("..", "../..")]
    for place in places:
        if (place / name / "phonopy_params.yaml.xz").is_file():
            return (place / name).resolve()
    pytest.skip(f"no folder of the crystal {name}; MDLITE_CRYSTALS can name the one that has it")


def params(name):
    """The crystal's phonopy_params.yaml.xz."""
    return folder(name) / "phonopy_params.yaml.xz"


@cache
def phonopy_of(name, dipoles=False):
    """The crystal as `phonopy.load` has it, with its Born charges or without. Skips where phonopy or the crystal is missing."""
    phonopy = pytest.importorskip("phonopy")
    born = folder(name) / "BORN" if dipoles else None
    return phonopy.load(params(name), is_nac=dipoles, born_filename=born, log_level=0)
