"""What a user is told of a configuration before it runs, and of an ion that met nothing."""

import re

import numpy as np
import pytest

import mdlite
from hostile import call
from mdlite.config import introduction, load, parse
from mdlite.simulation import monitors

FREE = {"ion.velocity": [3.0, 0.0, 0.0], "run.duration": 0.1, "run.dt": 0.005}


def test_the_line_has_what_decides_the_physics():
    assert introduction.line(load("trapped", ["ion.mass=22.99"])).startswith(
        "ion 221.8 Da; atoms 33.77 Da, 3 Å apart, Ω_max 4.99 THz; T = 0; reference"
    )
    line = introduction.line(load("diffusion", ["thermal.energy=900"]))
    assert "T = 10444 K" in line and "time-local, 20³ atoms, 384 ions, 200000 steps of 0.005 ps" in line
    assert "ion 6.754 Da along z only" in introduction.line(load("trapped"))
    assert "held in place" in introduction.line(load("trapped", ["ion.mass=inf", "ion.velocity=[0,0,0]"]))
    assert "by default" not in introduction.line(load("trapped"))


def test_numbers_of_the_line_by_hand():
    """1 meV ps²/Å² = 1.602176634e-22 J · 1e-24 s² / 1e-20 m² = 1.602e-26 kg; Ω² = (4 k1 + 8 k2)/m; k_B = 8.617e-5 eV/K."""
    line = introduction.line(load("diffusion", ["lattice.mass=5.0", "lattice.k1=700.0", "thermal.energy=40.0"]))
    dalton = 1.602176634e-26 / 1.66053906660e-27
    assert f"atoms {5 * dalton:.4g} Da" in line and f"ion {0.7 * dalton:.4g} Da" in line
    assert (
        f"Ω_max {np.sqrt((4 * 700 + 8 * 170) / 5.0) / 2 / np.pi:.3g} THz" in line
        and f"T = {0.040 / 8.617333262e-5:.4g} K" in line
    )


def test_what_is_left_to_defaults_is_said(small_case):
    data = small_case().to_dict()
    data["lattice"] = {"size": 8, "mass": 2.0}
    assert introduction.line(parse(data)).endswith("by default: lattice spacing = 3, k1 = 520, k2 = 170")


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            ["ion.mass=22.99"],
            "ion.mass = 22.99 is 221.8 Da, and 22.99 Da is the mass of sodium: was it meant in Da? 22.99 Da would be ion.mass = 2.383",
        ),
        (["ion.mass=6.94"], "the mass of lithium"),
        (["ion.mass=50.0"], "ion.mass = 50 is 482.4 Da, more than an atom of bismuth"),
        (["lattice.mass=32.06"], "lattice.mass = 32.06 is 309.3 Da, and 32.06 Da is the mass of sulphur"),
        (["ion.mass=0.01"], "less than an atom of hydrogen"),
        (
            [
                "lattice.spacing=0.3",
                "ion.position=[0.15,0.15,0.15]",
                "ion.velocity=[0,0,0]",
                "interaction.potential.strength=1e-3",
            ],
            "lattice.spacing = 0.3 Å",
        ),
        (["lattice.k1=0.52", "lattice.k2=0.17"], "k1 is in meV/Å²"),
    ],
)
def test_other_units_are_suspected(overrides, message):
    doubts = introduction.doubts(load("trapped", [*overrides, "run.dt=1e-4"]))
    assert len(doubts) == 1 and doubts[0].startswith("warning: ") and message in doubts[0]


def test_temperatures_in_kelvin_are_suspected():
    (doubt,) = introduction.doubts(load("diffusion", ["thermal.energy=900"]))
    assert "900 meV is 10444 K, hotter than any solid: was it meant in K? That would be thermal.temperature = 900" in doubt
    (doubt,) = introduction.doubts(load("diffusion", ["thermal.energy=300"]))
    assert "3481 K" in doubt
    assert not introduction.doubts(load("diffusion"))


@pytest.mark.parametrize("name", mdlite.config.case_names())
def test_no_built_in_case_is_doubted(name):
    assert not introduction.doubts(mdlite.load_case(name)) and "by default" not in introduction.line(mdlite.load_case(name))


def test_run_validate_and_sweep_say_it_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--set", "lattice.size=8", "--set", "run.duration=0.2"]
    for arguments in (
        ["run", "trapped", "-o", "x.h5", "--set", "method=rigid", *small],
        ["validate", "trapped", "-o", "v", *small, "--set", 'validate.rungs=["rigid"]'],
    ):
        code, told = call(*arguments)
        assert code == 0 and len(re.findall(r"^ion 6\.754 Da along z only; atoms", told, re.MULTILINE)) == 1, told
        assert told.startswith("ion 6.754 Da")
    (tmp_path / "s.toml").write_text(
        'base = "trapped"\n[set]\nmethod = "rigid"\n"lattice.size" = 8\n[grid]\n"run.duration" = [0.1, 0.2]\n'
    )
    code, told = call("sweep", "s.toml", "-o", "s", "--workers", "1")
    assert code == 0 and told.startswith("first point: ion 6.754 Da") and told.count("ion 6.754 Da") == 1
    assert call("run", "trapped", "-o", "y.h5", "-q", "--set", "method=rigid", *small) == (0, "")
    code, told = call("run", "trapped", "-o", "x.h5", "--set", "method=rigid", *small)
    assert code == 2 and told.startswith("error: ")  # nothing is said of a run that does not begin


@pytest.mark.parametrize("method", ["reference", "memory-kernel", "patch", "time-local", "implicit", "static", "rigid"])
def test_an_ion_that_meets_nothing_is_told(small_case, method):
    lines = []
    atoms = {"kind": "cutoff", "radius": 1.0, "switch_width": 0.5}
    run = mdlite.run(
        small_case(method=method, **FREE, **{"interaction.atoms": atoms, "ion.position": [7.5, 7.5, 7.5]}), notice=lines.append
    )
    assert run.facts["met_no_atom"] == [0] and lines[-1].startswith("warning: the ion has met no atom in the whole run")
    lines.clear()
    run = mdlite.run(small_case(method=method, **FREE), notice=lines.append)
    assert "met_no_atom" not in run.facts and "met no atom" not in "".join(lines)


@pytest.mark.parametrize("method", ["reference", "time-local", "patch"])
def test_of_several_ions_those_that_meet_nothing(small_case, method):
    lines = []
    thermal = {"energy": 25.0, "lattices": 2, "ions": 1}
    atoms = {"kind": "cutoff", "radius": 0.2, "switch_width": 0.1}
    config = small_case(
        method=method, **FREE, **{"interaction.atoms": atoms, "thermal": thermal, "ion.position": [7.5, 7.5, 7.5]}
    )
    run = mdlite.run(config, notice=lines.append)
    assert run.facts["met_no_atom"] == [0, 1] and "2 of 2 ions have met no atom" in lines[-1]


def test_an_ion_at_rest_where_forces_cancel_has_met_atoms(small_case):
    config = small_case(
        method="rigid",
        **{"ion.position": [7.5, 7.5, 7.5], "ion.velocity": [0.0, 0.0, 0.0], "interaction.atoms": {"kind": "shell"}},
    )
    assert "met_no_atom" not in mdlite.run(config).facts


def test_a_meeting_between_two_frames_shows_in_the_velocity():
    def frames(*velocities):
        v = np.array(velocities, float)[:, None, None] * np.ones(3)
        return {"velocity": v, "force": np.zeros_like(v), "interaction": np.zeros(v.shape[:2])}

    for velocities, alone in (((2.0, 2.0), [0]), ((2.0, -2.0), []), ((0.0, 0.0), [0]), ((2.0, np.nan), [])):
        seen = monitors.Encounters()
        seen.take(frames(velocities[0]))
        seen.take(frames(velocities[1]))
        assert seen.alone == alone


def test_a_run_in_pieces_remembers_whom_it_met(small_case, tmp_path):
    """The first half meets an atom, the second flies free; and neither."""
    atoms = {"kind": "sites", "sites": [[2, 2, 2]]}
    for strength, alone in ((300.0, None), (1e-12, [0])):
        changes = {
            "method": "rigid",
            "ion.position": [6.8, 6.1, 6.0],
            "ion.velocity": [30.0, 0.0, 0.0],
            "run.duration": 0.2,
            "interaction.atoms": atoms,
        }
        potential = {"kind": "gaussian", "strength": strength, "range": 0.3}
        config = small_case(**changes, **{"interaction.potential": potential})
        path = tmp_path / f"{strength}.h5"
        mdlite.run(config, path)
        run = mdlite.run(config.replace(**{"run.duration": 0.4}), path, resume=True)
        assert run.facts.get("met_no_atom") == alone
