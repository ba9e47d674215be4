import os
import tempfile

import pytest

import mdlite

os.environ.setdefault("MDLITE_CACHE_DIR", tempfile.mkdtemp(prefix="mdlite-test-"))  # not the user's own


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs --slow"))


@pytest.fixture
def small_case():
    """An ion thrown inside a cage of a small non-cubic lattice, as a configuration."""

    def make(**overrides):
        base = {
            "lattice": {"size": [8, 9, 10]},
            "ion": {"mass": 0.7, "position": [10.7, 10.4, 10.5], "velocity": [5.0, -3.0, 4.0]},
            "interaction": {
                "potential": {"kind": "yukawa", "strength": 1500.0, "range": 0.5},
                "atoms": {"kind": "cutoff", "radius": 6.0, "switch_width": 2.0},
            },
            "run": {"dt": 0.002, "duration": 0.4},
        }
        config = mdlite.config.parse(base)
        return config.replace(**overrides) if overrides else config

    return make
