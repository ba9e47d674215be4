"""Imports point one way, kernels stay plain, the command line stays light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "kernels"


def modules():
    """The file of every module, by its dotted name; kernels and packages without code left out."""
    found = {}
    for path in sorted((ROOT / "mdlite").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem != "__init__":
            found[name] = path
        elif len(ast.parse(path.read_text()).body) > 1:
            found[name.removesuffix(".__init__")] = path
    return {name: path for name, path in found.items() if not name.startswith("mdlite.kernels")}


MODULES = modules()
TOP = {"mdlite", "mdlite.__main__"}
"""They stand above everything."""


def stated():
    """The order that the tables of ARCHITECTURE.md state, from the bottom up."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## The kernels")[0]
    names = []
    for package, rows in re.findall(r"^### `(mdlite[.\w]*)`:[^\n]*\n((?:(?!^#).*\n)*)", text, re.MULTILINE):
        own = package.rpartition(".")[2]
        names += [
            package if name == own != "mdlite" else f"{package}.{name}"
            for name in re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)
        ]
    return names


def imported(path):
    """Modules of mdlite imported at run time anywhere in a file (imports for type checkers left out)."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(n)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for n in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = {f"{node.module}.{a.name}" for a in node.names}
            names |= {name if name in MODULES or node.module == "mdlite" else node.module for name in whole}
    return {name for name in names if name.split(".")[0] == "mdlite" and not name.startswith(("mdlite.kernels", "mdlite.__"))}


def packages(name):
    """The package that a module is in."""
    return name if MODULES.get(name, Path()).stem == "__init__" else name.rpartition(".")[0]


def test_the_tables_name_every_module_once():
    assert sorted(stated()) == sorted(set(MODULES) - TOP)


@pytest.mark.parametrize("name", sorted(set(MODULES) - TOP))
def test_imports_point_downwards(name):
    level = {module: n for n, module in enumerate(stated())}
    for other in imported(MODULES[name]) - {"mdlite"}:
        assert level[other] < level[name], f"{name} imports {other}, which stands above it"


def test_what_is_registered_from_above_is_there():
    from mdlite import extensions

    for name in extensions.names():
        extensions.find(name)
    with pytest.raises(LookupError, match="there are: notebook"):
        extensions.find("nonsense")


def test_former_names_are_the_same_modules():
    code = (
        "import importlib, sys, mdlite, mdlite.former\n"
        "for old, new in mdlite.former.MODULES.items():\n"
        "    before = importlib.import_module(f'mdlite.{old}')\n"
        "    assert before is importlib.import_module(f'mdlite.{new}') is getattr(mdlite, old), old\n"
        "    assert before.__spec__.name == before.__name__ == f'mdlite.{new}', old\n"
        "from mdlite.response import loss_matrix\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
        "blocks": {"llvmlite"},
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


def test_only_io_uses_h5py():
    users = {name for name, path in MODULES.items() if re.search(r"^\s*(import|from) h5py\b", path.read_text(), re.MULTILINE)}
    assert users and {packages(name) for name in users} == {"mdlite.io"}


def test_engines_files_and_analysis_do_not_know_each_other():
    apart = ("mdlite.io", "mdlite.analysis", "mdlite.report", "mdlite.engines", "mdlite.physics")
    shared = {"mdlite.analysis": {"mdlite.analysis"}, "mdlite.engines": {"mdlite.physics", "mdlite.engines", "mdlite.analysis"}}
    for name, path in MODULES.items():
        if packages(name) in shared:
            known = {packages(other) for other in imported(path)} & set(apart)
            assert known <= shared[packages(name)], f"{name} knows {known}"
        if packages(name) in ("mdlite.io", "mdlite.report"):
            assert "mdlite.engines" not in {packages(other) for other in imported(path)}, name


def test_nobody_reads_what_others_keep_to_themselves():
    """``x._name`` of anything but self or cls, unless the module itself defines the name; what NamedTuples have is public."""
    public = {"_replace", "_asdict", "_fields", "_make"}
    foreign = {("mdlite.sweeps.pool", "_processes"), ("mdlite.sweeps.pool", "_exit")}  # of the standard library
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not re.fullmatch(r"_[a-z]\w*", node.attr) or node.attr in public | own:
                continue
            by = node.value.id if isinstance(node.value, ast.Name) else ""
            by = "self" if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super" else by
            assert by in ("self", "cls") or (name, node.attr) in foreign, f"{name}:{node.lineno} reads {node.attr}"


def test_help_is_light():
    code = (
        "import sys; sys.argv = ['mdlite', '--help']\n"
        "from mdlite.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numba', 'numpy', 'scipy', 'h5py', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "validate" in done.stdout


def test_a_run_waits_for_no_statistics_or_figures():
    """SciPy's statistics alone would add half a second to every start."""
    code = (
        "import sys, mdlite\nmdlite.run, mdlite.Config, mdlite.load_case('trapped')\n"
        "heavy = {'scipy.stats', 'scipy.spatial', 'matplotlib', 'pandas', 'xarray'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
