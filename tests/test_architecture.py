"""Imports point one way, kernels stay plain, the command line stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, KERNELS = ROOT / "mdlite", ROOT / "kernels"

LAYERS = [
    {"units", "errors", "html", "journal", "machine", "outputs", "seal", "settings", "terminal"},
    {"kernels"},
    {"model", "integrators", "losses"},
    {"guard"},
    {"phonons", "checks", "explain", "sections"},
    {"textfile"},
    {"propagator"},
    {"response", "config", "notebook", "keys"},
    {"engine", "statistics", "sampling", "echo"},
    {"brownian"},
    {"correlations"},
    {"transport", "hopping", "oscillation", "thermometry"},
    {"analysis"},
    {"reading", "checkpoint"},
    {"probe"},
    {"reference", "timelocal", "storage", "observers", "thermal", "modes"},
    {"relax", "ensemble", "edge", "memory", "echofree", "absorbing", "linear", "foretaste", "groups", "regression"},
    {"patch", "conformal", "surrogate", "estimate"},
    {"helpers", "kernel_groups"},
    {"compiling", "engines", "export", "plots"},
    {"runs", "resuming", "stopping", "progress"},
    {"simulate", "bench", "run_info"},
    {"report"},
    {"verdict"},
    {"plots_thermal", "motion_text", "ratios", "rungs_report"},
    {"motion", "rungs_measures"},
    {"validation", "rungs", "reflection", "barriers", "diffusion", "framework", "lattice_report"},
    {"arrhenius", "ladder"},
    {"measures", "comparison"},
    {"axes", "repeats", "point", "pool", "pool_dask", "sweep_progress"},
    {"sweeps", "collection"},
    {"map_points"},
    {"map_report", "plots_map", "map_thermal"},
    {"map"},
    {"cli_help"},
    {"options"},
    {"cli_sweep"},
    {"cli"},
    {"__main__"},
]
"""From the bottom up: a module imports from its own layer and those before it."""


def imported(path):
    """Names of mdlite modules imported at run time anywhere in a file (imports for type checkers left out)."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(n)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for n in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"mdlite.{a.name}" for a in node.names] if node.module == "mdlite" else [node.module]
        found |= {name for name in names if name and name.split(".")[0] == "mdlite"}
    return {name.split(".")[1] for name in found if "." in name}


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.stem)
def test_imports_point_downwards(path):
    if path.stem == "__init__":
        return
    level = {name: n for n, names in enumerate(LAYERS) for name in names}
    for name in imported(path) - {"__version__", "cases"}:
        assert level[name] <= level[path.stem], f"{path.stem} imports {name}, which stands above it"


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda p: p.stem)
def test_kernels_import_only_numbers_and_each_other(path):
    allowed = {"math", "numpy", "numba", "typing"} | {
        "jit": {"hashlib", "os", "pathlib"},
        "building": {"threading", "weakref"},
        "cache": {
            "contextlib",
            "hashlib",
            "llvmlite",
            "os",
            "pathlib",
            "pickle",
            "platform",
            "secrets",
            "stat",
            "tempfile",
            "types",
        },
        "sums": {"llvmlite"},
        "vectors": {"llvmlite", "operator"},
    }.get(path.stem, set())
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] in allowed or name.startswith(("mdlite.kernels", "mdlite.settings")), (
                f"{path.stem} imports {name}"
            )


def test_only_storage_uses_h5py():
    users = {p.stem for p in PACKAGE.glob("*.py") if "import h5py" in p.read_text()}
    assert users <= {"storage", "reading", "probe", "simulate"}  # simulate records its version
    assert "h5py.File" not in (PACKAGE / "simulate.py").read_text()


def test_engines_storage_and_analysis_do_not_know_each_other():
    for module in ("storage", "analysis", "plots"):
        assert not imported(PACKAGE / f"{module}.py") & {"reference", "timelocal", "simulate"}


def test_help_is_light():
    code = (
        "import sys; sys.argv = ['mdlite', '--help']\n"
        "from mdlite.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numba', 'numpy', 'scipy', 'h5py', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "validate" in done.stdout
