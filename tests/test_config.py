"""Configuration: what is wrong is named, with its value and what would be right; what is right survives a round trip."""

import tomllib

import numpy as np
import pytest

import mdlite
from mdlite.config import case_names, load, parse, parse_override
from mdlite.errors import InputError

BAD = [
    ("lattice.sise=8", r"lattice\.sise = 8: unknown key; did you mean size"),
    ("thermal.energi=25.0", r"thermal\.energi = 25\.0: unknown key; did you mean energy"),
    ("colour=1", r"colour = 1: unknown key; known keys are title, method"),
    ('run.dt="fast"', r"run\.dt = 'fast': must be a valid number"),
    ("lattice=3", r"lattice = 3: "),
    ("lattice.size=2", r"lattice\.size = 2: must be greater than or equal to 3 \(.*18 distinct neighbours\)"),
    ("lattice.size=[8, 8, 2.5]", r"lattice\.size = 2\.5: must be a valid integer"),
    ("lattice.mass=0", r"lattice\.mass = 0: must be greater than 0"),
    ("lattice.spacing=-3", r"lattice\.spacing = -3: must be greater than 0"),
    ("lattice.k1=0", r"lattice\.k1 = 0: must be greater than 0"),
    ("lattice.k2=-1", r"lattice\.k2 = -1: must be greater than or equal to 0"),
    ("run.dt=0", r"run\.dt = 0: must be greater than 0"),
    ("run.dt=0.0638", r"run\.dt = 0\.0638: must be below 2/Omega_max = 0\.0637947 ps"),
    ("run.duration=30.001", r"run\.duration = 30\.001: must be a whole number of steps .* the nearest is 30$"),
    ("ion.mass=0", r"ion\.mass = 0: must be greater than 0"),
    ("ion.mass=nan", r"ion\.mass = nan: must be greater than 0"),
    ("ion.mass=-inf", r"ion\.mass = -inf: must be greater than 0"),
    ("ion.position=[0, 0, inf]", r"ion\.position = inf: must be a finite number"),
    ("ion.velocity=[0, 0, nan]", r"ion\.velocity = nan: must be a finite number"),
    ("ion.velocity=[1, 0, 0]", r"ion\.velocity x = 1: must be 0, because the infinite ion\.mass"),
    ("ion.position=[0, 0, 6.0]", r"ion\.position = \[0\.0, 0\.0, 6\.0\]: is on top of the atom at site \[0, 0, 2\]"),
    ("lattice.k1=inf", r"lattice\.k1 = inf: must be a finite number"),
    ("interaction.potential.range=nan", r"interaction\.potential\.range = nan: must be a finite number"),
    ("interaction.potential.strength=inf", r"interaction\.potential\.strength = inf"),
    (
        'interaction.potential={kind="coulomb"}',
        r"interaction\.potential\.kind = 'coulomb': must be one of 'yukawa', 'gaussian', 'lennard-jones', 'born-mayer'",
    ),
    ('interaction.potential={kind="gaussian", strength=1.0}', r"interaction\.potential\.range: is missing"),
    (
        'interaction.potential={kind="gaussian", strength=1.0, range=1.0, shift=2}',
        r"interaction\.potential\.shift = 2: unknown key",
    ),
    ("interaction.atoms.sites=[[0, 0, 100]]", r"sites = \[0, 0, 100\]: lies outside the lattice"),
    ("interaction.atoms.sites=[[0, 0, -1]]", r"sites = \[0, 0, -1\]: lies outside the lattice"),
    ("interaction.atoms.sites=[[0, 0, 0], [0, 0, 0]]", r"is listed more than once"),
    ("interaction.atoms.sites=[]", r"interaction\.atoms\.sites = \[\]"),
    (
        'interaction.atoms={kind="cutoff", radius=150.5}',
        r"atoms\.radius = 150\.5: must be at most half the smallest box edge, 150 Angstrom",
    ),
    ('interaction.atoms={kind="cutoff", radius=3.0, switch_width=3.5}', r"switch_width = 3\.5: must be at most the radius"),
    ('interaction.atoms={kind="shell", extent=51}', r"extent = 51: .* give 50 or less"),
    ('interaction.atoms={kind="shell", extent=0}', r"extent = 0: must be greater than or equal to 1"),
    ('method="magic"', r"method = 'magic': must be 'reference', 'memory-kernel', 'time-local'"),
    ("run.sample_every=0", r"run\.sample_every = 0"),
    ("lattice.size=[10, 10]", r"lattice\.size = \[10, 10\]: must be a list of three"),
    ("ion.position=[1.0, 2.0]", r"ion\.position = \[1\.0, 2\.0\]: must be a list of three"),
    ('validate.rungs=["static", "static"]', r"validate\.rungs = .*lists one of them twice"),
    ("validate.rungs=[]", r"validate\.rungs = \[\]: "),
    ("run.duration=1e300", r"run\.duration = 1e\+300"),
]


@pytest.mark.parametrize("override, message", BAD, ids=[o for o, _ in BAD])
def test_bad_input_is_named(override, message):
    with pytest.raises(InputError, match=message):
        load("trapped", [override])


@pytest.mark.parametrize("method", ["time-local", "implicit", "static"])
def test_chains_have_no_medium(method):
    with pytest.raises(InputError, match=r"lattice\.k2 = 0: method = "):
        load("trapped", ["lattice.k2=0", f"method={method}"])


def test_too_many_atoms_for_a_medium():
    atoms = ["lattice.size=40", 'interaction.atoms={kind="cutoff", radius=18.0}', "ion.position=[1.0, 1.2, 1.3]"]
    load("trapped", atoms)
    with pytest.raises(InputError, match=r'method = "implicit" at most 500'):
        load("trapped", [*atoms, "method=implicit"])


def test_chains_can_be_integrated():
    assert load("trapped", ["lattice.k2=0"]).lattice.k2 == 0
    assert load("trapped", ["lattice.k2=0", "method=rigid"]).method == "rigid"


def test_the_stability_limit_is_the_lattice_s_own():
    assert load("trapped", ["run.dt=0.06", "run.duration=30.0"]).n_steps == 500
    load("trapped", ["run.dt=0.1", "method=rigid"])  # no lattice, no limit


def test_all_faults_are_told_at_once():
    with pytest.raises(InputError) as caught:
        load("trapped", ["lattice.mass=0", "run.dt=-1", "colour=2"])
    assert len(str(caught.value).splitlines()) == 3


def test_missing_tables_are_told():
    with pytest.raises(InputError, match=r"ion: is missing"):
        parse({})


@pytest.mark.parametrize("text", ["run.dt", "=3", "run..dt=1", "run.dt=1 2", "run.dt=[1,", "a b=3"])
def test_bad_overrides(text):
    with pytest.raises(InputError, match="--set"):
        parse_override(text)


def test_a_value_is_no_table():
    with pytest.raises(InputError, match="method is a value"):
        load("trapped", ["method.kind=3"])


def test_overrides_are_toml_and_bare_words_are_strings():
    assert parse_override("lattice.size=[8,8,8]") == ("lattice.size", [8, 8, 8])
    assert parse_override("ion.mass=inf") == ("ion.mass", np.inf)
    assert parse_override("method=time-local") == parse_override('method="time-local"') == ("method", "time-local")


@pytest.mark.parametrize("name", case_names())
def test_cases_are_sound_and_survive_a_round_trip(name):
    config = mdlite.load_case(name)
    assert parse(tomllib.loads(config.to_toml())) == config


def test_files(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(mdlite.load_case("trapped").to_toml())
    assert load(path) == mdlite.load_case("trapped")
    path.write_text("lattice = [")
    with pytest.raises(InputError, match="is not valid TOML"):
        load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        load(path)
    with pytest.raises(InputError, match="no such file, and no built-in case"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    path.write_text("x = " + "[" * 20000)
    with pytest.raises(InputError, match="is not valid TOML"):
        load(path)


def test_one_number_stands_for_three():
    config = load("trapped", ["lattice.size=12", "ion.mass=0.7"])
    assert config.lattice.size == (12, 12, 12) and config.ion.mass == (0.7, 0.7, 0.7)


def test_paper_settings_of_the_trapped_case():
    model = mdlite.load_case("trapped").to_model()
    assert model.lattice.size == (100, 100, 100) and model.lattice.n_atoms == 10**6
    assert mdlite.load_case("trapped").n_steps == 6000
    assert model.echo_time == pytest.approx(93 * 3.0 / 47.026, rel=1e-4)
