"""The scripts: what each has to offer, that they keep to the public API, and that the cheapest figures are sound and their numbers right."""

import ast
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import mdlite

FOLDER = Path(__file__).resolve().parent.parent / "scripts"
SHARED = "common.py"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.name != SHARED)
K1, K2, MASS, SPACING = 520.0, 170.0, 3.5, 3.0  # the paper's crystal: meV/Å², meV ps²/Å², Å
ENVIRONMENT = {"MPLBACKEND": "agg", "NUMBA_NUM_THREADS": "1"}  # small lattices: threads would only wait for each other
RECOIL, LOSS = 9.48247e-4, 3.29077e-5  # W_000(0) in Å²/meV, L in Å² ps/meV


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """Run a script with --quick into a folder, which comes back with the finished process."""

    def run(name, *options, folder=None):
        folder = folder or tmp_path_factory.mktemp("out")
        command = [sys.executable, str(FOLDER / name), "--quick", "-o", str(folder), *options]
        return folder, subprocess.run(command, capture_output=True, text=True, env=os.environ | ENVIRONMENT)

    return run


def numbers(folder, name):
    """What ``name``.json holds; the figure beside it must be one."""
    picture = matplotlib.image.imread(folder / f"{name}.png")
    assert min(picture.shape[:2]) > 500 and picture.shape[2] in (3, 4)
    ink = np.mean(picture[..., :3].min(axis=2) < 0.9)
    assert 0.01 < ink < 0.6
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_help_and_quick(path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert end.value.code == 0 and "--quick" in said and "usage:" in said


@pytest.mark.parametrize("path", [*SCRIPTS, FOLDER / SHARED], ids=lambda p: p.name)
def test_only_public_names(path):
    """Nothing with a leading underscore is imported from mdlite, or taken from what is imported from there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    imported = {"mdlite"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] == "mdlite"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mdlite":
            names = [f"{node.module}.{a.name}" for a in node.names]
            imported |= {a.asname or a.name for a in node.names}
        else:
            continue
        assert not [name for name in names if any(part.startswith("_") for part in name.split("."))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            assert not (isinstance(base, ast.Name) and base.id in imported), f"{path.name}: {ast.unparse(node)}"


def test_every_script_has_a_row():
    rows = [line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    listed = [row.split("`")[1].split()[0] for row in rows]  # arguments may follow the name
    assert {path.name for path in SCRIPTS} <= set(listed) and len(set(listed)) == len(listed)


@pytest.mark.thorough
def test_framework(launch):
    folder, done = launch("figure_framework.py")
    assert done.returncode == 0, done.stderr
    found = numbers(folder, "figure-framework")
    transverse, longitudinal = 4.0 * K2 / MASS, (4.0 * K1 + 8.0 * K2) / MASS
    assert found["omega_at_X_rad_per_ps"] == pytest.approx(np.sqrt([transverse, transverse, longitudinal]), rel=1e-12)
    assert np.max(found["dispersion"]["omega"]) == pytest.approx(np.sqrt(longitudinal), rel=1e-12)
    assert found["kernel"]["xx_A2_per_meV"][0] == pytest.approx(RECOIL, rel=1e-5)
    assert found["loss_A2_ps_per_meV"] == pytest.approx(LOSS, rel=1e-5)
    assert [entry["thermal_energy_meV"] for entry in found["states"]] == [1e-3, 5.0, 25.0, 50.0]
    for entry in found["states"]:
        for name, unit in (("displacement", "A"), ("velocity", "A_per_ps")):
            edges, density = np.array(entry[name][f"edges_{unit}"]), np.array(entry[name]["density"])
            middle, part = 0.5 * (edges[1:] + edges[:-1]), density * np.diff(edges)
            assert part.sum() == pytest.approx(1.0, abs=1e-3)
            assert np.sqrt(part @ middle**2 / 3.0) == pytest.approx(entry[name][f"exact_rms_{unit}"], rel=0.05)
    classical = found["states"][-1]["velocity"]["exact_rms_A_per_ps"]  # k_BT is well above ħΩ at 50 meV
    assert classical == pytest.approx(np.sqrt(50.0 / MASS), rel=0.02)
    written = (folder / "framework" / "summary.json").stat().st_mtime_ns
    _, again = launch("figure_framework.py", folder=folder)
    assert (
        again.returncode == 0 and (folder / "framework" / "summary.json").stat().st_mtime_ns == written
    )  # drawn from what is there


@pytest.mark.thorough
def test_reflection(launch):
    folder, done = launch("figure_reflection.py")
    assert done.returncode == 0, done.stderr
    points = {(p["range_A"], p["speed_A_per_ps"]): p["rungs"] for p in numbers(folder, "figure-reflection")["points"]}
    assert set(points) == {(0.2, 2.0), (0.2, 10.0), (0.5, 2.0), (0.5, 10.0)}
    distance = np.linspace(1.0, 6.0, 100_001)  # a slow ion turns where the potential, lowered by the static recoil, is its energy
    phi = 14000.0 * np.exp(-distance / 0.5) / distance
    force = phi * (1.0 / distance + 1.0 / 0.5)
    turn = np.argmin(np.abs(phi - 0.5 * RECOIL * force**2 - 0.5 * 0.7 * 2.0**2))
    slow = points[0.5, 2.0]["full"]
    assert abs(slow["peak_force"]) == pytest.approx(force[turn], rel=0.01)
    assert slow["peak_deflection"] == pytest.approx(RECOIL * force[turn], rel=0.03)
    assert points[0.2, 10.0]["undisturbed"]["largest_deflection_error_percent"] > 100.0  # far outside of its validity


def recoil_of_box(n):
    """W_N(0)_xx of an atom on itself from the bonds, by a sum over the zone of an n³ box without q = 0, Å²/meV."""
    theta = np.stack(np.meshgrid(*[2.0 * np.pi * np.arange(n) / n] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[1:]
    total = np.zeros((len(theta), 3, 3))
    for bond in np.argwhere(np.ones((3, 3, 3))) - 1:
        length = int(bond @ bond)
        if length in (1, 2):
            stiffness = {1: K1, 2: K2}[length] / MASS * np.outer(bond, bond) / length
            total += (1.0 - np.cos(theta @ bond))[:, None, None] * stiffness
    return np.linalg.inv(total)[:, 0, 0].sum() / (MASS * n**3)


@pytest.mark.thorough
def test_finite_size(launch):
    folder, done = launch("finite_size.py")
    assert done.returncode == 0, done.stderr
    found = numbers(folder, "finite-size")
    recoil, sizes = found["static_recoil"], [row["size"] for row in found["sizes"]]
    assert sizes == [10, 14, 20, 28, 40]
    for n in (10, 20):
        assert recoil["difference_A2_per_meV"][sizes.index(n)] == pytest.approx(recoil_of_box(n) - RECOIL, abs=1e-9)
    assert recoil["slope"] == pytest.approx(-1.0, abs=0.01)
    assert recoil["A_A2_per_meV"] == pytest.approx(20.0 * (recoil_of_box(20) - RECOIL), rel=0.002)
    sound = SPACING * np.sqrt((K1 + 2.0 * K2) / MASS)
    for row in found["sizes"][2:]:
        assert row["leaves_at_ps"] == pytest.approx((row["size"] - 7) * SPACING / sound, rel=0.1)
    distance = [row["largest_distance_A"] for row in found["sizes"]]
    assert distance == sorted(distance, reverse=True)


@pytest.mark.thorough
def test_paths(launch):
    folder, done = launch("figure_paths.py")
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("*.h5"))) == 6
    for path in numbers(folder, "figure-paths")["paths"]:
        run = mdlite.Run.load(folder / f"{path['method']}-U4000-{path['energy_meV']:g}meV.h5")
        start, end = (run.position[np.argmin(np.abs(run.time - t))] for t in (0.0, path["shown_ps"]))
        assert np.allclose(start % SPACING, 0.5 * SPACING)
        assert path["end_distance_A"] == pytest.approx(np.linalg.norm(end - start, axis=1))


@pytest.mark.thorough
def test_a_folder_that_can_not_be_written(launch, tmp_path):
    (tmp_path / "file").write_text("mine")
    for name in ("figure_framework.py", "work_precision.py"):
        _, done = launch(name, folder=tmp_path / "file")
        assert done.returncode == 2
        assert done.stderr.startswith("error: output = ") and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"
