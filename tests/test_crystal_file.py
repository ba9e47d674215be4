"""A crystal's own file: it says the same again without what it came from, and nothing that is damaged or foreign passes for one."""

import dataclasses
import sys

import h5py
import numpy as np
import pytest

import mdlite
from hostile import call
from made_up import MASSES, PLACES, TRICLINIC, springs, triclinic
from mdlite.crystals import dynamics, sources
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.material import Material, Polar
from mdlite.errors import InputError
from mdlite.io import crystal_file, seal

ARRAYS = crystal_file.ARRAYS


def finished(material=None, **wanted):
    return sources.finished(material or Material(bent(), charges(), "made up"), wanted, lambda line: None)


def bent():
    """A crystal whose force constants miss the sum rules a little."""
    one = triclinic()
    noise = np.random.default_rng(3).normal(size=one.blocks.shape)
    return one.with_blocks(one.blocks * (1.0 + 1e-3 * noise))


def wide():
    """A crystal whose springs reach farther, and become small there."""
    return Material(springs(TRICLINIC, PLACES, MASSES, radius=6.5), None, "made up")


def charges():
    tensors = np.random.default_rng(4).normal(size=(3, 3, 3))
    return Polar(tensors - tensors.mean(axis=0), 3.0 * np.eye(3), 2 * np.eye(3, dtype=int), 0.01)


def same(one: Crystal, other: Crystal):
    return one.species == other.species and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


def test_a_file_says_the_same_again(tmp_path, monkeypatch):
    made = finished(tolerance=1e-3)
    crystal_file.write(tmp_path / "c.h5", made)
    monkeypatch.setitem(sys.modules, "phonopy", None)
    read = crystal_file.read(tmp_path / "c.h5")
    assert same(read.crystal, made.crystal) and same(read.raw, made.raw) and not same(read.crystal, read.raw)
    assert (read.source, read.settings, read.facts) == (made.source, made.settings, made.facts)
    assert all(np.array_equal(a, b) for a, b in zip(read.polar, made.polar))
    assert read.facts["corrections"]["change"] > 1e-5 and read.settings["tolerance"] == 1e-3
    loaded = sources.load({"file": str(tmp_path / "c.h5")})
    assert same(loaded.crystal, made.crystal)  # as the file has it, nothing done again
    with h5py.File(tmp_path / "c.h5") as f:
        assert f["crystal/blocks"].attrs["unit"] == "meV/Angstrom^2" and f.attrs["version"] == 1


def test_other_settings_begin_from_what_was_read(tmp_path):
    crystal_file.write(tmp_path / "c.h5", finished())
    found = sources.load({"file": str(tmp_path / "c.h5"), "corrections": "translation"})
    assert same(found.crystal, finished(corrections="translation").crystal) and same(found.raw, bent())
    assert found.facts["corrections"]["after"]["rotation"] > 1e-6
    assert "is unstable" in found.facts["unstable"]  # for the lack of the rotational rule, as phonopy has it
    with pytest.raises(InputError, match="is unstable"):
        _ = found.stable
    crystal_file.write(tmp_path / "d.h5", found)
    assert sources.load({"file": str(tmp_path / "d.h5")}).settings["corrections"] == "translation"
    again = sources.load({"file": str(tmp_path / "d.h5"), "corrections": "all"})
    assert same(again.crystal, finished().crystal)


def test_a_file_that_changes_is_read_again(tmp_path):
    crystal_file.write(tmp_path / "c.h5", finished(wide()))
    first = sources.load({"file": str(tmp_path / "c.h5")})
    assert sources.load({"file": str(tmp_path / "c.h5")}) is first
    crystal_file.write(tmp_path / "c.h5", finished(wide(), tolerance=0.06))
    other = sources.load({"file": str(tmp_path / "c.h5")})
    assert other.settings["tolerance"] == 0.06 and len(other.crystal.blocks) < len(first.crystal.blocks)


def test_the_tolerance_drops_what_is_small_and_says_so():
    whole, cut = finished(wide()), finished(wide(), tolerance=0.06)
    facts = cut.facts["tolerance"]
    assert len(cut.crystal.blocks) == len(whole.crystal.blocks) - facts["dropped"] and facts["dropped"] > 0
    q = np.random.default_rng(1).random((20, 3))
    change = np.abs(dynamics.frequencies(cut.crystal, q) - dynamics.frequencies(whole.crystal, q)).max() / (2.0 * np.pi)
    assert 0.0 < change < 3.0 * facts["largest_change_of_a_frequency_THz"]
    from mdlite.crystals import sumrules

    assert max(sumrules.violations(cut.crystal)[:3]) < 1e-10


def test_force_constants_that_are_far_from_the_rules_are_refused():
    one = triclinic()
    noise = np.random.default_rng(3).normal(size=one.blocks.shape)
    with pytest.raises(
        InputError, match=r"had to change by \d.*% of the largest to obey the sum rules, 2% at most .*rotation by"
    ):
        finished(Material(one.with_blocks(one.blocks * (1.0 + 0.2 * noise)), None, "made up"))


def test_an_unstable_crystal_is_refused():
    with pytest.raises(
        InputError, match=r"crystal \(made up\): is unstable, its lowest frequency is -.* THz \(imaginary\) at q = \("
    ):
        finished(Material(triclinic().with_blocks(-triclinic().blocks), None, "made up"))


def test_every_byte_is_covered(tmp_path):
    crystal_file.write(tmp_path / "c.h5", finished())
    whole = (tmp_path / "c.h5").read_bytes()
    for place in np.random.default_rng(2).integers(0, len(whole), 30):
        (tmp_path / "d.h5").write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(InputError, match="is no file of `mdlite crystal`, or it is damaged"):
            crystal_file.read(tmp_path / "d.h5")
    assert crystal_file.read(tmp_path / "c.h5").crystal.n_basis == 3


def test_numbers_have_a_checksum_of_their_own(tmp_path):
    """In the file of a run, which grows, there is no seal around them."""
    with h5py.File(tmp_path / "c.h5", "w") as f:
        crystal_file.store(f.create_group("crystal"), finished())
        assert same(crystal_file.fetch(f["crystal"], "crystal").crystal, finished().crystal)
        for place in ("crystal/blocks", "crystal/cells", "raw/masses", "polar/charges"):
            data = f["crystal"][place]
            before = data[()]
            data[...] = before[::-1]
            with pytest.raises(InputError, match="is damaged, its checksum is another"):
                crystal_file.fetch(f["crystal"], "crystal")
            data[...] = before
        f["crystal"].attrs["facts"] = "{}"
        with pytest.raises(InputError, match="is damaged"):
            crystal_file.fetch(f["crystal"], "crystal")


def test_what_is_no_crystal_of_ours(tmp_path):
    crystal_file.write(tmp_path / "c.h5", finished())
    whole = (tmp_path / "c.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("no crystal")
    with h5py.File(tmp_path / "c.h5", "r+") as f:
        f.attrs["version"] = 7
    seal.strip(tmp_path / "c.h5")
    seal.seal(tmp_path / "c.h5", [])
    for name, message in (
        ("cut.h5", "damaged"),
        ("text.h5", "damaged"),
        ("c.h5", "version 7.*update it"),
        ("tex.h5", "no such file; did you mean text.h5"),
    ):
        with pytest.raises(InputError, match=message):
            sources.load({"file": str(tmp_path / name)})


def test_nothing_else_is_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.h5").write_text("precious")
    code, said = call("crystal", "copper", "-o", "mine.h5")
    assert code == 2 and "exists" in said and (tmp_path / "mine.h5").read_text() == "precious"
    assert call("crystal", "copper", "-o", "mine.h5", "--force")[0] == 0 and crystal_file.is_crystal("mine.h5")
    assert call("crystal", "silicon", "-o", "mine.h5")[0] == 0 and crystal_file.read("mine.h5").crystal.species == ("Si", "Si")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.h5"]
    code, said = call("crystal", "mine.h5", "-o", "mine.h5")
    assert code == 2 and "is also what is read" in said
    assert call("crystal", "silicon", "-o", "mine.txt")[0] == 2


@pytest.mark.thorough
def test_a_run_stands_for_its_crystal(tmp_path):
    import mdlite
    from mdlite.config import parse

    tables = {
        "crystal": {"name": "copper", "size": 6},
        "ion": {"mass": "H", "position": [1.8, 0.1, 0.1]},
        "interaction": {
            "potential": {"kind": "yukawa", "strength": 1000.0, "range": 0.5},
            "atoms": {"kind": "cutoff", "radius": 4.0},
        },
        "run": {"dt": 0.001, "duration": 0.01},
    }
    mdlite.run(parse(tables), tmp_path / "run.h5")
    found = sources.load({"file": str(tmp_path / "run.h5")})
    assert same(found.crystal, sources.load({"name": "copper"}).crystal) and found.source == "built-in crystal copper"
    mdlite.run(mdlite.load_case("trapped", **{"lattice.size": 8, "run.duration": 0.01}), tmp_path / "lattice.h5")
    with pytest.raises(InputError, match="is a run in a \\[lattice\\], which has no crystal"):
        sources.load({"file": str(tmp_path / "lattice.h5")})


def test_a_run_goes_on_in_its_own_crystal_whatever_machine_has_made_it(tmp_path):
    """Corrected force constants differ in their last bits from one library to another; another crystal is refused."""
    config = mdlite.load_case("silicon", **{"crystal.size": 5, "run.duration": 0.04, "run.sample_every": 1})
    whole = mdlite.run(config, tmp_path / "whole.h5")
    mdlite.run(config.replace({"run.duration": 0.02}), tmp_path / "begun.h5")
    values, own = config.crystal.values(), config.load_crystal()
    for factor, same in ((1.0 + 1e-13, True), (1.0 + 1e-6, False)):
        other = dataclasses.replace(own, crystal=own.crystal.with_blocks(factor * own.crystal.blocks))
        sources.adopt(values, other, instead=True)
        try:
            if same:
                again = mdlite.run(config, tmp_path / "begun.h5", resume=True)
                assert np.array_equal(again.position, whole.position)
            else:
                with pytest.raises(InputError, match="its force constants are not those"):
                    mdlite.run(config.replace({"run.duration": 0.08}), tmp_path / "begun.h5", resume=True)
        finally:
            sources.adopt(values, own, instead=True)
