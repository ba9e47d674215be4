"""Speed of the lattice step: ``python -m pytest bench/test_lattice.py --benchmark-columns=median,iqr,rounds --benchmark-json=FILE``.

Every benchmark's extra_info (printed at the end, and in the JSON) has atom-steps per second, the bytes and flops of an atom-step, and the part of
what the triad, measured in the same session, says that a single pass over memory allows.
"""

import numba
import pytest
from plain import advance as advance_plain

from mdlite.engines.base import Setup
from mdlite.engines.reference import ReferenceEngine
from mdlite.engines.speed import BYTES_PER_ATOM_STEP, FLOPS_PER_ATOM_STEP, bench_model, triad_bandwidth

METHODS = {"plain": None, "one-step-a-pass": False, "in-place": True}
SIZES = [20, 30, 40, 60, 100, 160, 256]


@pytest.fixture(scope="module")
def triad():
    return triad_bandwidth()


@pytest.fixture(params=sorted({1, numba.config.NUMBA_NUM_THREADS}), ids=lambda n: f"threads={n}")
def threads(request):
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


def stepping(method, size):
    """A function that takes some steps (an even number), and that number."""
    engine = ReferenceEngine(Setup(bench_model(size), dt=0.005, sample_every=2**62), in_place=METHODS[method])
    steps = max(2, 2 * (20_000_000 // size**3))
    if method != "plain":
        return lambda: engine.advance(steps), steps
    u, v, u_next = *engine.lattice, bench_model(size).lattice.field()
    return lambda: advance_plain(u, v, u_next, engine.springs, 0.005, steps // 2), steps


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES, ids=lambda n: f"N={n}")
def test_float64(benchmark, threads, triad, size, method):
    run, steps = stepping(method, size)
    run()
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    rate = size**3 * steps / benchmark.stats["median"]
    benchmark.extra_info |= {
        "atom_steps_per_s": rate,
        "bytes_per_atom_step": BYTES_PER_ATOM_STEP / (2 if method == "in-place" else 1),
        "flops_per_atom_step": FLOPS_PER_ATOM_STEP,
        "percent_of_triad": 100.0 * rate * BYTES_PER_ATOM_STEP / triad,
    }


@pytest.fixture(scope="module", autouse=True)
def table(request):
    """The rates, printed when all are measured."""
    yield
    session = getattr(request.config, "_benchmarksession", None)
    rows = [b for b in getattr(session, "benchmarks", []) if "percent_of_triad" in b.extra_info]
    if rows:
        print("\n10^6 atom-steps/s and % of the triad's bandwidth at 96 bytes each")
    for b in rows:
        print(f"{b.name:45} {b.extra_info['atom_steps_per_s'] / 1e6:7.0f} {b.extra_info['percent_of_triad']:6.0f} %")
