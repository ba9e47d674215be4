"""Two steps in one pass against one step at a time, bit for bit."""

import sys

import numba
import numpy as np
import pytest

import mdlite
from mdlite.engines.reference import ReferenceEngine, wavefront
from mdlite.kernels.wavefront import room_needed
from mdlite.physics.model import aligned_zeros
from mdlite.physics.thermal import thermal_state

SITES = {"kind": "sites", "sites": [[0, 0, 0], [3, 5, 2]]}
CASES = {
    "one tile": ([12, 11, 10], 11, {"kind": "shell", "extent": 1}),
    "tiles of two rows": ([12, 11, 10], 2, {"kind": "shell", "extent": 1}),
    "a last tile of one row": ([13, 9, 14], 4, {"kind": "shell", "extent": 1}),
    "many atoms": ([16, 12, 6], 3, {"kind": "cutoff", "radius": 5.0}),
    "fixed sites": ([16, 12, 9], 3, SITES),
    "the smallest": ([6, 3, 3], 3, {"kind": "shell", "extent": 1}),
}


def engines(size, rows, atoms, chunks):
    settings = {
        "ion.mass": 0.7,
        "ion.position": [1.3, 1.6, 1.5],
        "ion.velocity": [0.0, 0.0, 5.0] if atoms["kind"] == "sites" else [25.0, 3.0, -19.0],
        "interaction.atoms": atoms,
        "interaction.potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5},
        "lattice.size": size,
    }
    model = mdlite.load_case("trapped", **settings).to_model()
    state = thermal_state(model.lattice, 25.0, "classical", np.random.default_rng(1))
    plain, fast = (ReferenceEngine(model, 0.005, 3, True, *state, in_place=in_place) for in_place in (False, True))
    front = fast._front._replace(
        rows=rows, chunks=min(chunks, size[0] // (fast._front.held + 3)), ahead=fast.lattice.u[0, 0].size
    )
    fast._front = front._replace(room=aligned_zeros(room_needed(model.lattice.field_shape, front)))
    fast._front.room[:] = np.nan
    return plain, fast


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("size, rows, atoms", CASES.values(), ids=CASES)
def test_same_bits_as_one_step_at_a_time(size, rows, atoms, chunks):
    """The ion flies through several cells, and frames, with atoms, are taken at every third step, so also in the middle of a pass."""
    plain, fast = engines(size, rows, atoms, chunks)
    for steps in (1, 2, 7, 40, 3):
        (_, expected), (_, found) = plain.advance(steps), fast.advance(steps)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(expected, found))
        assert plain.lattice.u.tobytes() == fast.lattice.u.tobytes()
        assert plain.lattice.v.tobytes() == fast.lattice.v.tobytes()


def test_bits_do_not_depend_on_threads():
    results = []
    for threads in sorted({1, numba.config.NUMBA_NUM_THREADS}):
        numba.set_num_threads(threads)
        _, fast = engines([14, 10, 9], 4, {"kind": "shell", "extent": 1}, 2)
        fast.advance(21)
        results.append(fast.lattice.u.tobytes() + fast.lattice.v.tobytes() + fast.ion.position.tobytes())
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("size", [100, 160, 256, 400, 512])
def test_memory_of_large_lattices(size):
    """At most 56 bytes an atom, threads and tiles as on this machine."""
    model = mdlite.load_case("diffusion", **{"lattice.size": size}).to_model()
    front = wavefront(model)
    numbers = 2 * np.prod(model.lattice.field_shape) + room_needed(model.lattice.field_shape, front)
    assert front is not None
    assert 8 * numbers / size**3 <= 56.0 + 2.0 * max(0, front.chunks - 2)


def test_references_to_arrays_are_neither_lost_nor_kept():
    """Kernels that do not count references must not be given the ones that others count."""
    _, fast = engines([12, 11, 10], 4, {"kind": "shell", "extent": 1}, 2)
    arrays = [*fast.lattice, fast._front.room, fast.ion.position, fast.coupling.offsets]
    counts = []
    for _ in range(3):
        for _ in range(20):
            fast.advance(3)
            fast.sample()
            fast.budget()
        counts.append([sys.getrefcount(a) for a in arrays])
    assert counts[1] == counts[2]  # the first call may drop one that Python held


@pytest.mark.parametrize("place", [np.nan, np.inf, 1e300, -1e300])
def test_an_ion_that_is_nowhere_reads_nothing_from_nowhere(place):
    """A run that has diverged goes on until its chunk is over: every seam that is asked for must be one that there is."""
    model = mdlite.load_case("diffusion", **{"lattice.size": 40, "interaction.atoms": {"kind": "shell", "extent": 2}}).to_model()
    engine = ReferenceEngine(model, 0.005, in_place=True)
    engine.ion.position[:] = place
    cell = np.iinfo(np.int64).min  # what a compiled floor makes of these
    origin = (cell % 40 + engine._front.lowest) % 40
    planes = (engine.coupling.places[:, 0] + cell % 40) % 40
    assert ((planes - origin) % 40).max() < engine._front.held
    engine.advance(4)
    assert np.isfinite(place) or engine.fault() is not None
