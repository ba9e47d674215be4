"""What other programs and observers see of runs in a [crystal]: ASE, MDAnalysis, xarray, h5py, views."""

import h5py
import numpy as np
import pytest

import mdlite
from hostile import call
from made_up import PLACES, TRICLINIC
from mdlite import elements
from mdlite.config import parse
from mdlite.units import DALTON

SPECIES = ("Li", "O1", "Xi")
SIZE = (4, 3, 3)


def config(**changes):
    """An ion thrown in a triclinic crystal of three atoms a cell, one of them of no element."""
    pairs = [(a, b) for n, a in enumerate(SPECIES) for b in SPECIES[n:]]
    base = {
        "crystal": {
            "size": SIZE,
            "cell": TRICLINIC,
            "atoms": [
                {"species": name, "position": place} | ({"mass": "20 Da"} if name == "Xi" else {})
                for name, place in zip(SPECIES, PLACES)
            ],
            "springs": [
                {"species": list(pair), "shell": shell, "longitudinal": 600.0 / shell} for pair in pairs for shell in (1, 2, 3, 4)
            ],
        },
        "ion": {"mass": "Na", "position": [1.2, 1.5, 2.9], "velocity": [5.0, -3.0, 4.0]},
        "interaction": {
            "potentials": {"default": {"kind": "born-mayer", "strength": 3e4, "range": 0.3}},
            "atoms": {"kind": "cutoff", "radius": 4.0, "switch_width": 1.0},
        },
        "run": {"dt": 0.002, "duration": 0.2, "sample_every": 5},
        "snapshots": {"every": 4},
    }
    base["interaction"]["potential"] = base["interaction"].pop("potentials")["default"]
    return parse(base).replace(**changes)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "run.h5"
    mdlite.run(config(**{"run.record_atoms": True}), path)
    return path


EDGES = np.array(SIZE)[:, None] * np.array(TRICLINIC)


def dimensions(edges):
    """Lengths of the edges and the angles between them, degrees, as MDAnalysis keeps a box."""
    lengths = np.linalg.norm(edges, axis=1)
    angles = [np.degrees(np.arccos(edges[i] @ edges[j] / (lengths[i] * lengths[j]))) for i, j in ((1, 2), (0, 2), (0, 1))]
    return np.array([*lengths, *angles])


@pytest.mark.parametrize("lattice", [True, False])
def test_ase_has_symbols_masses_and_the_cell(file, tmp_path, lattice):
    io = pytest.importorskip("ase.io")
    from ase import units

    run, target = mdlite.Run.load(file), tmp_path / "run.xyz"
    assert call("export", str(file), "-o", str(target), *([] if lattice else ["--no-lattice"]))[0] == 0
    frames = io.read(target, index=":", format="extxyz")
    assert len(frames) == (len(run.lattice_time) if lattice else len(run.time))
    cells = np.prod(SIZE) if lattice else 0
    model = run.config.to_model()
    for n, atoms in enumerate(frames):
        assert atoms.get_chemical_symbols() == ["Na", *["Li", "O", "X"] * cells]
        assert np.allclose(atoms.cell.array, EDGES, rtol=1e-9) and atoms.pbc.all()
        row = int(np.flatnonzero(run.step == run.lattice_step[n])[0]) if lattice else n
        own = run.lattice_position[n] if lattice else np.empty((0, 3))
        assert np.allclose(atoms.positions, np.concatenate([run.position[row], own]), atol=1e-12)
        masses = np.array([elements.mass("Na"), *[*model.box.crystal.masses] * cells])
        assert np.allclose(atoms.get_masses() * DALTON, masses, rtol=1e-9)
        velocity = np.concatenate([run.velocity[row], run.lattice_velocity[n] if lattice else own])
        assert np.allclose(atoms.get_velocities() * 1000.0 * units.fs, velocity, rtol=1e-7, atol=1e-10)
    assert call("export", str(file), "-o", str(target), "--force", "--species", "K,Ar")[0] == 0
    assert io.read(target, index=0, format="extxyz").get_chemical_symbols()[:4] == ["K", "Li", "O", "X"]


def test_the_neighbours_that_ase_finds_are_the_crystals(tmp_path):
    """A crystal at rest: its nearest distances across the box's faces."""
    neighbours = pytest.importorskip("ase.neighborlist")
    import ase.io

    path = tmp_path / "still.h5"
    mdlite.run(config(**{"ion.velocity": [0.0, 0.0, 0.0], "run.duration": 0.01}), path)
    assert call("export", str(path), "-o", str(tmp_path / "x.xyz"))[0] == 0
    atoms = ase.io.read(tmp_path / "x.xyz", index=0, format="extxyz")[1:]
    crystal = config().to_crystal()
    found = np.sort(neighbours.neighbor_list("d", atoms, 4.0))
    steps = np.stack(np.meshgrid(*[range(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 1, 3)
    apart = np.linalg.norm((steps + crystal.positions[:, None] - crystal.positions) @ crystal.cell, axis=-1)
    one = apart[(apart < 4.0) & (apart > 1e-9)]
    assert np.allclose(found, np.sort(np.tile(one, np.prod(SIZE))), atol=1e-9)


def test_mdanalysis_has_the_triclinic_box_of_ion_and_atoms(file, tmp_path):
    MDAnalysis = pytest.importorskip("MDAnalysis")

    run = mdlite.Run.load(file)
    assert call("export", str(file), "--format", "h5md-lattice", "-o", str(tmp_path / "l.h5"))[0] == 0
    count = 3 * int(np.prod(SIZE))
    for path, atoms, position in ((file, 1, run.position), (tmp_path / "l.h5", count, run.lattice_position)):
        universe = MDAnalysis.Universe.empty(atoms, trajectory=False)
        universe.load_new(str(path), format="H5MD")
        assert len(universe.trajectory) == len(position) > 1
        for n, frame in enumerate(universe.trajectory):
            assert np.allclose(frame.dimensions, dimensions(EDGES), atol=1e-4)
            assert np.allclose(frame.positions, position[n], atol=1e-5)


def test_the_file_has_the_box_the_species_and_their_masses(file, tmp_path):
    crystal = config().to_crystal()
    part = tmp_path / "part.h5"
    mdlite.run(config(**{"snapshots.extent": 1}), part)
    for path, cells in ((file, np.prod(SIZE)), (part, 8)):
        with h5py.File(path) as f:
            group = f["particles/lattice"]
            assert np.allclose(group["box/edges/value"][0], EDGES) and np.allclose(f["particles/ion/box/edges/value"][-1], EDGES)
            names = {number: name for name, number in h5py.check_enum_dtype(group["species"].dtype).items()}
            assert [names[n] for n in group["species"][()]] == list(SPECIES) * cells
            assert np.allclose(group["mass"][()] * DALTON, np.tile(crystal.masses, cells)) and group["mass"].attrs["unit"] == "u"
            assert group["position/value"].shape[1] == len(group["species"])
    run = mdlite.Run.load(part)
    cell, kind = np.divmod(run.lattice_id[0], 3)
    assert kind.tolist() == [0, 1, 2] * 8
    sites = np.column_stack([*np.unravel_index(cell, SIZE), kind])
    apart = (run.lattice_position[0] - crystal.sites(sites)) @ np.linalg.inv(EDGES)
    assert np.allclose(apart, np.round(apart), atol=1e-9)  # of a crystal at rest


def test_a_lattice_has_no_species(small_case, tmp_path):
    mdlite.run(small_case(**{"run.duration": 0.02, "snapshots.every": 1}), tmp_path / "l.h5")
    with h5py.File(tmp_path / "l.h5") as f:
        assert set(f["particles/lattice"]) == {"box", "position", "velocity"}


def test_xarray_names_the_four_numbers_of_an_atom(file):
    pytest.importorskip("xarray")
    run = mdlite.Run.load(file)
    data = run.to_xarray()
    assert data.atom_site.dims == ("time", "atom", "site") and data.site.values.tolist() == ["n1", "n2", "n3", "atom"]
    assert data.atom_position.dims == ("time", "atom", "axis") and data.axis.values.tolist() == ["x", "y", "z"]
    assert data.lattice_position.dims == ("snapshot_time", "lattice_atom", "axis")
    assert np.array_equal(data.atom_site.sel(site="atom").values, run.atom_site[..., 3])


def test_observers_see_the_crystal():
    seen, told = [], []

    def look(step, view):
        seen.append(view.crystal)
        with pytest.raises(AttributeError, match="view\\.crystal has the atoms"):
            view.lattice  # noqa: B018
        told.append(step)

    run = mdlite.run(config(), observers=[mdlite.Observer(20, look)])
    assert told == run.lattice_step.tolist()
    for n, crystal in enumerate(seen):
        assert crystal.displacement.shape == crystal.velocity.shape == (3, 3, *SIZE) and crystal.species == SPECIES
        assert np.allclose(crystal.box, EDGES) and not crystal.position.flags.writeable
        for own, stored in ((crystal.position, run.lattice_position[n]), (crystal.velocity, run.lattice_velocity[n])):
            assert np.allclose(np.moveaxis(own, (0, 1), (3, 4)).reshape(-1, 3), stored, rtol=0.0, atol=1e-12)
    assert np.abs(seen[-1].displacement).max() > 1e-4


def test_observers_see_the_crystals_of_replicas_and_no_crystal_in_a_lattice(small_case):
    seen, told = [], []
    several = config(**{"thermal": {"temperature": 300.0, "lattices": 2}, "snapshots": None, "run.energy_every": 50})
    run = mdlite.run(several, observers=[mdlite.Observer(50, lambda step, view: seen.append(view.crystal))])
    masses = several.to_crystal().masses
    for n, crystal in enumerate(seen):
        assert crystal.displacement.shape == crystal.position.shape == (2, 3, 3, *SIZE)
        kinetic = 0.5 * (masses[:, None, None, None, None] * crystal.velocity**2).sum(axis=(1, 2, 3, 4, 5))
        assert kinetic == pytest.approx(run.energy_framework_kinetic[n], rel=1e-12)

    def look(step, view):
        with pytest.raises(AttributeError, match=r"is for a \[crystal\]; view.lattice"):
            view.crystal  # noqa: B018
        told.append(step)

    mdlite.run(small_case(**{"run.duration": 0.004}), observers=[mdlite.Observer(1, look)])
    assert told


def test_elements_of_names_and_masses():
    assert [elements.symbol(name) for name in ("O1", "Fe_up", "D", "6Li", "Xi", "oxygen", "Si")] == [
        *("O", "Fe", "H", "Li", None, None, "Si")
    ]
    for text, name in (("H", "H"), ("D", "H"), ("6Li", "Li"), ("Na", "Na"), ("U", "U")):
        assert elements.of_mass(elements.mass(text)) == name
    assert elements.of_mass(0.7) is None
