"""Masses by element, in the configuration, in sweeps and in Python; positions in units of the cell."""

import math
import subprocess
import sys

import numpy as np
import pytest

from mdlite import InputError, Ion, Lattice, collect, elements, motion, run, sweep
from mdlite.config import Config, keys, load, parse
from mdlite.protocols import reflection, rungs
from mdlite.sweeps import plan
from mdlite.units import DALTON

WEIGHTS = {
    "Li": 6.94,
    "6Li": 6.0151228874,
    "7Li": 7.0160034,
    "H": 1.008,
    "D": 2.014101778,
    "2H": 2.014101778,
    "T": 3.01604928,
    "O": 15.999,
    "Si": 28.085,
    "Cu": 63.546,
    "Pb": 207.2,
    "6.94 Da": 6.94,
    "28u": 28.0,
    " 7.016 amu ": 7.016,
    "1e2 Da": 100.0,
}
"""Da; standard atomic weights (IUPAC 2021, abridged) and isotopes' masses (AME 2020)."""


@pytest.mark.parametrize("text", WEIGHTS)
def test_masses(text):
    assert elements.mass(text) == pytest.approx(WEIGHTS[text] * DALTON, rel=2e-4 if text == "Pb" else 1e-7)


@pytest.mark.parametrize(
    "text, right",
    [
        ("Lt", "ion.mass = 'Lt': must be an element such as \"Li\""),
        ("Xx", "did you mean Xe?"),
        ("li", "did you mean Li"),
        ("lithium", "did you mean Li?"),
        ("99Li", "is no known isotope; those of Li are 4Li to 12Li"),
        ("2.3", 'must be a number, without quotes: 2.3; or with its unit, "2.3 Da"'),
        ("inf", "must be a number, without quotes: inf"),
        ("-3 Da", "must be greater than 0"),
        ("1e400 Da", "must be from 1e-30 to 1e+30"),
        ("3 kg", "or a number with its unit"),
        ("", "must be an element"),
        ("n", "must be an element"),
    ],
)
def test_what_is_no_mass(text, right):
    with pytest.raises(InputError) as caught:
        elements.mass(text, "ion.mass")
    assert right in str(caught.value) and "\n" not in str(caught.value)


def test_species_begin_with_their_element():
    named = {"O1": "O", "Fe_up": "Fe", "Fe2+": "Fe", "Si": "Si", "6Li_a": "6Li", "D2": "D"}
    for label, element in named.items():
        assert elements.species_mass(label) == elements.mass(element)
    for label in ("Oax", "X", "A1", "", "1", "OH", "99Li"):
        assert elements.species_mass(label) is None


def test_masses_in_a_configuration():
    assert load("trapped", ["ion.mass=Li"]).ion.mass == (elements.mass("Li"),) * 3
    assert load("trapped", ['ion.mass="7.016 Da"']).ion.mass == (7.016 * DALTON,) * 3
    mixed = load("trapped", ['ion.mass=["6Li", inf, 0.7]', "ion.velocity=[1, 0, 0]", "lattice.mass=Si"])
    assert mixed.ion.mass == (elements.mass("6Li"), math.inf, 0.7) and mixed.lattice.mass == elements.mass("Si")
    assert mixed.to_model().ion.mass == mixed.ion.mass and mixed.to_model().lattice.mass == mixed.lattice.mass
    assert parse(mixed.to_dict()) == mixed
    assert mixed.replace(**{"ion.mass.z": "K"}).ion.mass[2] == elements.mass("K")


def test_a_file_of_a_configuration_holds_numbers(tmp_path):
    config = load("trapped", ["ion.mass=Li", 'lattice.mass="28 Da"'])
    file = tmp_path / "run.toml"
    file.write_text(config.to_toml())
    assert "Li" not in file.read_text().partition("[ion]")[2] and load(file) == config


@pytest.mark.parametrize(
    "override, right",
    [
        ("ion.mass=Lt", "ion.mass = 'Lt': must be an element"),
        ('ion.mass=["Li", 1.0, "Xx"]', "ion.mass = 'Xx': must be an element"),
        ('ion.mass=["Li", 1.0]', "must be a list of three"),
        ('ion.mass=["Li", "inf", 1.0]', "must be a number, without quotes: inf"),
        ("lattice.mass=Xx", "lattice.mass = 'Xx': must be an element"),
        ('lattice.mass="2"', "must be a number, without quotes: 2"),
        ('lattice.mass="0 Da"', "must be greater than 0"),
        ("lattice.mass=true", "must be a valid number"),
        ("ion.coordinates=crystal", "must be 'cartesian' or 'fractional'"),
    ],
)
def test_wrong_masses_in_a_configuration(override, right):
    with pytest.raises(InputError) as caught:
        load("trapped", [override])
    assert right in str(caught.value) and "\n" not in str(caught.value)


def test_schema_and_keys_tell_of_elements():
    schema = Config.model_json_schema()["$defs"]
    mass = [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "format": "mass"}]
    assert schema["LatticeSection"]["properties"]["mass"]["anyOf"] == mass
    assert [item["anyOf"] for item in schema["IonSection"]["properties"]["mass"]["prefixItems"]] == [mass] * 3
    (row,) = keys.chosen("lattice.mass")
    assert row["values"] == "number > 0 or element" and row["unit"] == "meV ps²/Å²"


def test_masses_in_python():
    assert Ion(mass="Li").mass == (elements.mass("Li"),) * 3
    assert Ion(mass=("6Li", math.inf, 0.7)).mass == (elements.mass("6Li"), math.inf, 0.7)
    assert Lattice(mass="28 Da").mass == 28.0 * DALTON
    for make, right in ((lambda: Ion(mass="Lt"), "ion.mass = 'Lt': must be three numbers, a number, an element"), (lambda: Lattice(mass="Xx"), "did you mean Xe?")):  # fmt: skip
        with pytest.raises(InputError, match=right.replace("?", r"\?")):
            make()


def test_tables_of_elements_and_symmetry_wait_until_they_are_needed():
    code = (
        "import sys, mdlite, mdlite.crystals.springs\nmdlite.load_case('trapped').to_model(), mdlite.Ion(mass=0.7)\n"
        "heavy = {'periodictable', 'spglib', 'phonopy'} & set(sys.modules)\nsys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_isotopes_on_an_axis_of_a_sweep(tmp_path):
    base = load("trapped", ["lattice.size=8", "run.duration=0.05", "run.dt=0.005", "ion.position=[0, 0, 1.5]", "method=rigid"])
    tables = {"base": base, "grid": {"ion.mass": ["6Li", "7Li", 0.7]}}
    points = plan.load(tables).points
    assert [point.config.ion.mass[2] for point in points] == [elements.mass("6Li"), elements.mass("7Li"), 0.7]
    sweep(tables, tmp_path / "sweep", workers=1, progress=False)
    table = collect(tmp_path / "sweep")
    assert [str(value) for value in table["ion.mass"].values] == ["6Li", "7Li", "0.7"]
    with pytest.raises(InputError, match="are the same run"):
        plan.load({"base": base, "grid": {"ion.mass": ["Li", elements.mass("Li")]}})
    with pytest.raises(InputError, match=r"ion\.mass = 'Lt': must be an element"):
        plan.load({"base": base, "grid": {"ion.mass": ["Li", "Lt"]}})


def fractional(*overrides) -> Config:
    return load("trapped", ["lattice.spacing=2.5", "ion.position=[0.0, 0.0, 3.5]", "ion.coordinates=fractional", *overrides])


def test_fractional_positions_are_in_units_of_the_spacing():
    config, same = fractional(), load("trapped", ["lattice.spacing=2.5", "ion.position=[0.0, 0.0, 8.75]"])
    assert config.ion.position == (0.0, 0.0, 3.5) and config.ion_position == same.ion_position == (0.0, 0.0, 8.75)
    assert config.to_model() == same.to_model() and config.cartesian() == same and same.cartesian() is same
    assert parse(config.to_dict()) == config and config.replace(**{"lattice.spacing": 3.0}).ion_position[2] == 10.5
    with pytest.raises(InputError, match="lies 2e\\+09 cells from the origin"):
        fractional("ion.position=[0, 0, 9e8]", "ion.coordinates=cartesian", "lattice.spacing=0.5")
    with pytest.raises(InputError, match=r"ion\.position = \[0\.0, 0\.0, 2\.0\]: is on top of the atom at site \[0, 0, 2\]"):
        fractional("ion.position=[0, 0, 2]")


SHORT = ("lattice.size=8", "run.dt=0.005", "run.duration=2.0", "method=rigid")


def test_a_run_from_fractional_coordinates():
    """The same motion and the same analysis as from the same place in Å."""
    given, same = fractional(*SHORT), fractional(*SHORT).cartesian()
    one, other = (run(config, progress=False) for config in (given, same))
    assert np.array_equal(one.position, other.position) and one.position[0, 0, 2] == 8.75
    np.testing.assert_equal(motion.at_rest(one), motion.at_rest(other))


def test_fractional_coordinates_in_a_sweep():
    one, other = plan.load({"base": given_base(), "grid": {"ion.position.z": [3.5, 3.25]}}).points
    assert (one.config.ion_position[2], other.config.ion_position[2]) == (8.75, 8.125)
    with pytest.raises(InputError, match="are the same run"):
        rows = [{"ion.position.z": 3.5}, {"ion.position.z": 8.75, "ion.coordinates": "cartesian"}]
        plan.load({"base": given_base(), "list": rows})


def given_base() -> Config:
    return fractional(*SHORT)


def test_protocols_put_the_ion_where_fractional_coordinates_say():
    config = fractional(*SHORT)
    assert rungs._centred(config, 2, 8.0).ion.position == (0.0, 0.0, 8.0)
    assert rungs._centred(config, 0, 1.0).ion.position == (1.0, 0.0, 8.75)
    thrown = load("reflection", ["ion.coordinates=fractional"])
    assert reflection.point(thrown, 0.5, 10.0).ion_position == reflection.point(load("reflection"), 0.5, 10.0).ion_position
