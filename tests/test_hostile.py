"""Hostile input: whatever a configuration or a file holds, there is a correct run or one clear error, and nothing is left behind.

Two thousand cases here; ``MDLITE_HOSTILE=20 pytest tests/test_hostile.py`` makes it twenty times as many, other ones each time.
"""

import concurrent.futures
import multiprocessing
import os
import string

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import hostile
import mdlite
from mdlite.config import parse
from mdlite.errors import Interrupted

TIMES = int(os.environ.get("MDLITE_HOSTILE", "1"))
PATIENCE = 120.0
"""Seconds after which an answer counts as a hang."""


def cases(count):
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


BASE = {
    "method": "reference",
    "lattice": {"size": [6, 6, 7], "k1": 520.0, "k2": 170.0},
    "ion": {"mass": 0.7, "position": [7.4, 7.5, 7.6], "velocity": [5.0, -3.0, 4.0]},
    "interaction": {
        "potential": {"kind": "yukawa", "strength": 1500.0, "range": 0.5},
        "atoms": {"kind": "cutoff", "radius": 5.0, "switch_width": 2.0},
    },
    "thermal": {"energy": 25.0, "seed": 1},
    "memory": {"window": 0.6},
    "snapshots": {"every": 5},
    "run": {"dt": 0.005, "duration": 0.2, "sample_every": 2, "record_atoms": False},
}
KEYS = sorted(
    {
        *(
            "method",
            "response",
            "title",
            "nonsense",
            "lattice.size",
            "lattice.spacing",
            "lattice.mass",
            "lattice.k1",
            "lattice.k2",
        ),
        *("lattice.boundary", "lattice.absorber_width", "ion.mass", "ion.position", "ion.velocity", "interaction.potential.kind"),
        *("interaction.potential.strength", "interaction.potential.range", "interaction.potential", "interaction.atoms"),
        *("interaction.atoms.kind", "interaction.atoms.radius", "interaction.atoms.extent", "interaction.atoms.sites", "thermal"),
        *("thermal.energy", "thermal.temperature", "thermal.statistics", "thermal.seed", "thermal.lattices", "thermal.ions"),
        *("thermal.motion", "memory.window", "memory.start", "memory.kernel", "run.dt", "run.duration", "run.sample_every"),
        *(
            "run.energy_every",
            "run.energy_tolerance",
            "run.record_atoms",
            "run.checkpoint_every",
            "run.checkpoint_steps",
            "run.keep_state",
        ),
        *(
            "snapshots",
            "snapshots.every",
            "snapshots.extent",
            "snapshots.precision",
            "snapshots.velocities",
            "snapshots.compress",
            "validate",
        ),
        *("validate.rungs", "validate.fit", "run", "ion", "lattice", "interaction"),
    }
)
WORDS = (
    "reference",
    "memory-kernel",
    "patch",
    "time-local",
    "implicit",
    "static",
    "rigid",
    "finite",
    "periodic",
    "echo-free",
    "absorbing",
    "shell",
)
MORE_WORDS = (
    "sites",
    "cutoff",
    "gaussian",
    "lennard-jones",
    "born-mayer",
    "classical",
    "quantum",
    "modes",
    "dressed",
    "float32",
    "5min",
    "",
)
numbers = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2, 3, 7, 10**9, 10**30, -(10**30), 0.0, -0.0, 1e-300, 1e300, 0.01, 0.05, 1.0, float("inf"), float("nan")]
    ),
    st.integers(-5, 40),
    st.floats(-20.0, 20.0),
    st.floats(),
)
values = st.recursive(
    st.one_of(numbers, st.sampled_from(WORDS + MORE_WORDS), st.booleans(), st.text(string.printable, max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["kind", "radius", "x"]), inner, max_size=2),
        st.lists(numbers, min_size=3, max_size=3),
    ),
    max_leaves=6,
)
BLOCKS = {
    "interaction.atoms": [{"kind": "shell"}, {"kind": "shell", "extent": 2}, {"kind": "sites", "sites": [[0, 0, 0], [1, 2, 3]]}],
    "interaction.potential": [
        {"kind": "gaussian", "strength": 500.0, "width": 0.7},
        {"kind": "lennard-jones", "epsilon": 30.0, "sigma": 2.0},
        {"kind": "born-mayer", "strength": 1e4, "range": 0.3},
    ],
    "thermal": [{"energy": 10.0, "lattices": 2}, {"temperature": 300.0, "ions": 3}],
}


some = st.floats(0.2, 3.0)
vector = st.lists(st.floats(-8.0, 8.0), min_size=3, max_size=3)
LIKELY = {
    **dict.fromkeys(
        (
            "interaction.potential.range",
            "lattice.spacing",
            "lattice.mass",
            "interaction.atoms.radius",
            "ion.mass",
            "memory.window",
        ),
        some,
    ),
    **dict.fromkeys(("lattice.k1", "lattice.k2", "interaction.potential.strength"), st.floats(0.0, 2000.0)),
    **dict.fromkeys(("ion.position", "ion.velocity"), vector),
    **dict.fromkeys(
        ("run.sample_every", "run.energy_every", "run.checkpoint_steps", "snapshots.every", "thermal.lattices"), st.integers(1, 9)
    ),
    **dict.fromkeys(("interaction.atoms.extent", "snapshots.extent", "thermal.ions", "thermal.seed"), st.integers(0, 4)),
    **dict.fromkeys(("run.record_atoms", "run.keep_state", "snapshots.compress", "snapshots.velocities"), st.booleans()),
    "lattice.size": st.one_of(st.integers(3, 9), st.lists(st.integers(3, 8), min_size=3, max_size=3)),
    "run.dt": st.sampled_from([0.001, 0.002, 0.004, 0.01, 0.02]),
    "run.duration": st.sampled_from([0.02, 0.1, 0.5, 1.0]),
    "run.energy_tolerance": st.sampled_from([1e-6, 1e-3, 1.0]),
    "run.checkpoint_every": st.sampled_from(["1s", "5min", 0.01]),
    "thermal.energy": st.floats(0.1, 60.0),
    "thermal.statistics": st.sampled_from(["classical", "quantum"]),
    "snapshots.precision": st.sampled_from(["float32", "float64"]),
    "title": st.text(max_size=9),
}


@st.composite
def configurations(draw):
    """A sound configuration with one to five keys put wrong, or right in another way; sometimes its text is spoilt as well."""
    data = parse(BASE).to_dict()
    for name in draw(st.lists(st.sampled_from(["thermal", "snapshots", "memory"]), max_size=3)):
        data.pop(name, None)
    if draw(st.booleans()):
        data["method"] = draw(st.sampled_from(WORDS[:6]))
        if data["method"] != "reference":
            data.pop("snapshots", None)
    wild = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3 if wild else 6))):
        key = draw(st.sampled_from(KEYS))
        *tables, last = key.split(".")
        table = data
        for name in tables:
            table = table.setdefault(name, {}) if isinstance(table.get(name, {}), dict) else {}
        if not wild and key in LIKELY:
            table[last] = draw(LIKELY[key])
        elif not wild:
            continue
        elif draw(st.integers(0, 5)) == 0:
            table.pop(last, None)
        else:
            table[last] = draw(st.one_of(values, st.sampled_from(BLOCKS[key]))) if key in BLOCKS else draw(values)
    text = tomli_w.dumps(data).encode()
    if draw(st.integers(0, 7)) == 0:
        text = draw(spoilt(text))
    return text


@st.composite
def spoilt(draw, data):
    """Bytes with some of them changed, cut off, zeroed, doubled, or put in."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["flip", "flip", "byte", "cut", "zero", "move", "insert", "ones"]))
        length = draw(st.sampled_from([1, 4, 8, 64, 512, 4096]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at:]
        elif kind in ("zero", "ones"):
            data[at : at + length] = bytes([255 * (kind == "ones")]) * len(data[at : at + length])
        elif kind == "move":
            other = draw(st.integers(0, max(0, len(data) - 1)))
            data[at : at + length] = data[other : other + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
    return bytes(data)


class Worker:
    """A process that is asked one case at a time, and replaced if it dies."""

    def __init__(self):
        self.pool = None

    def ask(self, function, *arguments):
        if self.pool is None:
            context = multiprocessing.get_context("spawn")
            self.pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context, initializer=hostile.prepare)
        try:
            return self.pool.submit(function, *arguments).result(PATIENCE)
        except concurrent.futures.process.BrokenProcessPool:
            self.pool = None
            return "the process crashed"
        except TimeoutError:
            for process in self.pool._processes.values():
                process.kill()
            self.pool = None
            return f"no answer within {PATIENCE} s"


@pytest.fixture(scope="module")
def worker():
    return Worker()


@pytest.mark.thorough
@cases(1200)
@given(text=configurations())
def test_configurations(worker, text):
    assert worker.ask(hostile.try_config, text) is None


class StopAt:
    def __call__(self, progress):
        if progress.done >= 100:
            raise Interrupted("stop", 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of three runs, finished and stopped, with their checkpoints: (bytes, arrays or None, checkpoints, settings)."""
    folder, found = tmp_path_factory.mktemp("files"), []
    kinds = [
        BASE | {"run": BASE["run"] | {"duration": 1.0}, "snapshots": {"every": 20, "compress": True}},
        {k: v for k, v in BASE.items() if k not in ("thermal", "snapshots")} | {"method": "time-local"},
        {k: v for k, v in BASE.items() if k != "snapshots"}
        | {
            "method": "time-local",
            "thermal": {"energy": 10.0, "ions": 3},
            "interaction": BASE["interaction"] | {"atoms": {"kind": "shell"}},
        },
    ]
    for n, kind in enumerate(kinds):
        config = parse(kind).replace(**{"run.checkpoint_steps": 20})
        run = mdlite.run(config, folder / f"{n}.h5")
        truth = {name: run.data[name] for name in run.data}
        found.append(((folder / f"{n}.h5").read_bytes(), truth, {}, config.to_toml()))
    config = parse(kinds[0]).replace(**{"run.checkpoint_steps": 20})
    path = folder / "stopped.h5"
    with pytest.raises(Interrupted):
        mdlite.run(config, path, progress=StopAt())
    kept = {p.name: p.read_bytes() for p in (folder / "stopped.h5.checkpoints").iterdir()}
    found.append((path.read_bytes(), None, kept, config.to_toml()))
    return found


@pytest.mark.thorough
@cases(600)
@given(data=st.data(), which=st.integers(0, 3))
def test_damaged_files(worker, files, data, which):
    content, truth, checkpoints, source = files[which]
    assert worker.ask(hostile.try_file, data.draw(spoilt(content)), truth, checkpoints, source) is None


@pytest.mark.thorough
@cases(100)
@given(data=st.data())
def test_damaged_checkpoints(worker, files, data):
    content, _, checkpoints, source = files[3]
    truth = files[0][1]
    name = data.draw(st.sampled_from(sorted(checkpoints)))
    assert worker.ask(hostile.try_file, content, None, checkpoints | {name: data.draw(spoilt(checkpoints[name]))}, source) is None
    assert truth


@st.composite
def foreign(draw):
    """Other people's HDF5: our names with other contents, or any bytes at all."""
    import io

    import h5py

    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([b"", b"\x89HDF\r\n\x1a\n"])) + draw(st.binary(max_size=200))
    file = io.BytesIO()
    with h5py.File(file, "w") as f:
        for name in draw(
            st.lists(
                st.sampled_from(["particles/ion/position/value", "particles/ion/position/step", "mdlite/energy/step", "x"]),
                unique=True,
            )
        ):
            f[name] = draw(st.sampled_from([1, "text", np.zeros((3, 2)), np.array([b"a"]), np.zeros(0)]))
        if draw(st.booleans()):
            own = f.require_group("mdlite")
            for name in draw(st.lists(st.sampled_from(["config", "facts", "run", "checksums"]), unique=True)):
                own.attrs[name] = draw(st.sampled_from([1, "", "{}", "[]", "x = 1", "null", '{"settings": 1}', np.zeros(3)]))
    return file.getvalue()


@pytest.mark.thorough
@cases(100)
@given(content=foreign())
def test_foreign_files(worker, files, content):
    assert worker.ask(hostile.try_file, content, None, {}, files[0][3]) is None
