"""Every key at the ends of what a number can be: a sound configuration or one clear line, never a traceback or a warning."""

import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import mdlite
from mdlite.config import introduction, keys, parse, parse_override, set_key
from mdlite.config.explain import all_keys
from mdlite.config.sections import LARGEST, SMALLEST
from mdlite.errors import InputError, RunError

LATTICE = {"size": [6, 6, 7], "spacing": 3.0, "mass": 3.5, "k1": 520.0, "k2": 170.0}
ATOMS = (
    {"kind": "cutoff", "radius": 5.0, "switch_width": 2.0},
    {"kind": "shell", "extent": 1},
    {"kind": "sites", "sites": [[2, 2, 2], [3, 2, 2]]},
)
POTENTIALS = (
    {"kind": "yukawa", "strength": 1500.0, "range": 0.5},
    {"kind": "gaussian", "strength": 500.0, "range": 0.5},
    {"kind": "born-mayer", "strength": 5000.0, "range": 0.5},
    {"kind": "lennard-jones", "epsilon": 1.0, "sigma": 1.5},
)
METHODS = ("reference", "memory-kernel", "time-local", "implicit", "static", "rigid", "patch")
NUMBERS = (
    *(1e308, -1e308, 1e-308, 5e-324, -5e-324, 1e30, -1e30, 1.0001e30, 1e-30, 0.9999e-30, 1e9, 1e-9, 0.0, -0.0),
    *(float("inf"), float("-inf"), float("nan"), 10**400, -(10**400), 10**18, 2**63, -(2**63), 0, -1, 1, 3, True, False),
)


def base(method="reference", atoms=ATOMS[0], potential=POTENTIALS[0], thermal=False):
    """A sound configuration, small enough to run."""
    data = {
        "method": method,
        "lattice": dict(LATTICE),
        "ion": {"mass": 0.7, "position": [7.4, 7.5, 7.6], "velocity": [5.0, -3.0, 4.0]},
        "interaction": {"potential": dict(potential), "atoms": dict(atoms)},
        "run": {"dt": 0.005, "duration": 0.05},
    }
    return data | ({"thermal": {"energy": 25.0}} if thermal else {})


def outcome(data):
    """The configuration, or what is wrong with it; one line each, and no warning on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            config = parse(data)
        except InputError as error:
            lines = str(error).splitlines()
            assert lines and all(len(line) < 500 for line in lines), error
            return None, lines
        introduction.tell(config, lambda line: None)
        return config, []


def numeric_keys():
    """Dotted keys that take a number or numbers, and how many."""
    found = {}
    for row in keys.chosen():
        if "number" in row["values"]:
            found[row["key"]] = 3 if "three ×" in row["values"] else 2 if "two ×" in row["values"] else 1
    return found


def test_every_key_is_listed():
    listed = {row["key"] for row in keys.chosen()}
    assert {key for key in all_keys(mdlite.Config) if not key.endswith(".kind")} <= listed
    assert len(numeric_keys()) > 40


@pytest.mark.parametrize("key", sorted(numeric_keys()))
@pytest.mark.parametrize("thermal", [False, True], ids=["cold", "thermal"])
def test_every_number_at_its_extremes(key, thermal):
    many = numeric_keys()[key]
    where = [
        (atoms, potential)
        for atoms in ATOMS
        for potential in POTENTIALS
        if not (key.startswith("interaction.atoms.") and not key.endswith(".kind") and key.rsplit(".", 1)[1] not in atoms)
        and not (key.startswith("interaction.potential.") and key.rsplit(".", 1)[1] not in potential)
    ]
    assert where
    for atoms, potential in where if key.startswith("interaction.") else where[:1]:
        for value in NUMBERS:
            for shape in [value] if many == 1 else [value, [1, value, 2][:many], [value] * many]:
                shaped = [[[0, 0, shape]], [shape]] if key.endswith(("sites", "series")) else [shape]
                for one in [*shaped, [shape]]:
                    data = base("reference", atoms, potential, thermal)
                    if key.startswith("validate.series."):
                        data["validate"] = {"series": [{key.rsplit(".", 1)[1]: one}]}
                    else:
                        set_key(data, key, one)
                    config, lines = outcome(data)
                    assert config is not None or len(lines) <= 3, lines


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    st.sampled_from(METHODS),
    st.sampled_from(ATOMS),
    st.sampled_from(POTENTIALS),
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from([k for k in sorted(numeric_keys()) if not k.startswith(("interaction.", "validate.series"))]),
            st.sampled_from(NUMBERS) | st.floats() | st.floats(SMALLEST, LARGEST) | st.floats(1e-3, 1e3) | st.integers(),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_several_numbers_at_once(method, atoms, potential, thermal, changes):
    data = base(method, atoms, potential, thermal)
    for key, value in changes:
        set_key(data, key, [value] * 3 if numeric_keys()[key] == 3 else value)
    outcome(data)


SPEEDS = [("ion.velocity", [v] * 3) for v in (1e9, -1e9, 1e-300)]
MASSES = [("ion.mass", m) for m in (1e30, 1e-30, 1e3, 1e-3)]
OTHERS = [
    *(("interaction.potential.strength", s) for s in (1e30, 1e-30, -1e9, 0.0)),
    *(("interaction.potential.range", s) for s in (1e30, 1e-30)),
    *(("run.energy_tolerance", 1e308), ("run.energy_tolerance", 5e-324), ("lattice.spacing", 1e30), ("lattice.spacing", 1e-3)),
    *(("ion.position", [1e9, 1e9, 1e9]), ("lattice.k2", 1e-30), ("lattice.mass", 1e30), ("lattice.k1", 1e30)),
]


@pytest.mark.parametrize("method", ["reference", "time-local", "rigid"])
@pytest.mark.parametrize("key, value", [*SPEEDS, *MASSES, *OTHERS])
def test_what_is_accepted_runs_or_says_why_not(method, key, value):
    data = base(method)
    set_key(data, key, value)
    config, _ = outcome(data)
    if config is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            run = mdlite.run(config)
        except (InputError, RunError) as error:
            assert str(error) and "\n" not in str(error)
        else:
            assert run.facts["status"] == "complete"


def test_minus_zero_is_zero():
    minus, plus = (base() for _ in range(2))
    for data, zero in ((minus, -0.0), (plus, 0.0)):
        data["lattice"]["k2"], data["ion"]["velocity"] = zero, [zero] * 3
    assert parse(minus).to_toml() == parse(plus).to_toml() and "-0.0" not in parse(minus).to_toml()


@pytest.mark.parametrize("text", ["1" + "0" * 400, "1e400", "-1e400", "1e-400", "0x" + "f" * 300, "1_" * 200 + "1", "9" * 5000])
def test_numbers_too_long_for_anything(text):
    try:
        _, value = parse_override(f"lattice.spacing={text}")
    except InputError:
        return
    data = base()
    data["lattice"]["spacing"] = value
    config, lines = outcome(data)
    assert config is None and lines[0].startswith("lattice.spacing = ")
