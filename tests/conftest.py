import os
import tempfile
from collections import Counter

import pytest

import mdlite
from mdlite.engines import build

os.environ.setdefault("MDLITE_CACHE_DIR", tempfile.mkdtemp(prefix="mdlite-test-"))  # not the user's own


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="also run the tests marked thorough")


def pytest_configure(config):
    """Compile all kernels before several processes test side by side, so that none is compiled twice."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        build.prepare_all(lambda line: print(line, flush=True))


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked thorough, unless it is asked for: by --all, or by its name.

    ``thorough(quick=2)``: the first two sets of parameters stay; ``thorough(only=("patch",))``: all but these.
    """
    if config.getoption("--all") or any("::" in argument for argument in config.args):
        return
    seen: Counter = Counter()
    kept, left_out = [], []
    for item in items:
        place = item.nodeid.partition("[")[0]
        seen[place] += 1
        mark = item.get_closest_marker("thorough")
        if (
            mark is None
            or seen[place] <= mark.kwargs.get("quick", 0)
            or ("only" in mark.kwargs and item.callspec.id not in mark.kwargs["only"])
        ):
            kept.append(item)
        else:
            left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


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
