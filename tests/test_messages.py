"""What a user is told who gives the wrong file, the wrong word or the wrong kind of value: one line that says what to do."""

import os
import tomllib

import pytest

import mdlite
from hostile import call
from mdlite.config import case_text, load, load_lattice, parse
from mdlite.errors import InputError
from mdlite.sweeps import plan

TRAPPED = case_text("trapped")
SWEEP = 'base = "trapped"\n[grid]\n"run.dt" = [0.005, 0.0025]\n'


def said(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (TRAPPED.encode("utf-16"), "cannot be read as text: it is in UTF-16; save it as UTF-8"),
        (b"title = \"a\"\nx = '\xe5'\n", "cannot be read as text: it is not UTF-8 (byte 0xe5 in line 2); save it as UTF-8"),
        (b"a = 1\nb = \0\n", "holds a zero byte (line 2)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(2000), "it is an HDF5 file, such as a run's; `mdlite info c.toml` shows"),
        (os.urandom(3000) + b"\xff", "cannot be read as text"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b"x = " + b"{a=" * 5000 + b"1" + b"}" * 5000, "nested too deep"),
        (b".".join([b"a"] * 5000) + b" = 1", "nested deeper than 60 levels"),
        (b"[" + b".".join([b"a"] * 900) + b"]\nb = 1", "nested deeper than 60 levels"),
        (b"lattice:\n  size: 40\n", "it looks like YAML; in TOML a table begins with [lattice] on a line of its own"),
        (b"---\nlattice: {size: 40}\n", "it looks like YAML"),
        (b"# mine\nmethod: rigid\n", "it looks like YAML"),
        (b'{"lattice": {"size": 40}}', "it is JSON; in TOML"),
        (b"[1, 2]", "it is JSON; in TOML"),
        (b"[run]\ndt = fast\n", 'dt = fast\'; a text needs quotes: dt = "fast"'),
        (b"[run]\nkeep_state = True\n", "write true"),
        (b"", "ion: is missing and must be given"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, content, message):
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    assert message in said(load, path)
    if content:
        assert len(said(load, path).splitlines()) == 1
        assert len(said(plan.load, path).splitlines()) == 1


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path, mark, ends):
    path = tmp_path / "c.toml"
    path.write_bytes(mark + TRAPPED.replace("\n", ends).encode())
    assert load(path) == mdlite.load_case("trapped")
    path.write_bytes(mark + SWEEP.replace("\n", ends).encode())
    assert len(plan.load(path).points) == 2


def test_places_that_are_no_files(tmp_path):
    assert "it is a folder" in said(load, tmp_path) and "it is a folder" in said(plan.load, tmp_path)
    (tmp_path / "myrun.toml").write_text(TRAPPED)
    assert "no such file" in said(load, tmp_path / "myrun.tml") and said(load, tmp_path / "myrun.tml").endswith(
        "did you mean myrun.toml?"
    )
    assert said(load, "traped").endswith("did you mean trapped?")
    assert "larger than 64 MB" in said(load, "/dev/zero")
    assert "cannot be read as text" in said(load, "a\0b") and "cannot be read as text" in said(load, "x" * 5000)


def test_the_wrong_command_for_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(TRAPPED)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    for command in ("run", "validate", "validity", "phonons"):
        more = ["-o", "x.h5"] if command == "run" else []
        code, told = call(command, "sweep.toml", *more)
        assert (
            code == 2
            and told
            == "error: config = 'sweep.toml': is a sweep (it has base and grid); `mdlite sweep sweep.toml -o DIR` runs it\n"
        )
    code, told = call("sweep", "run.toml", "-o", "s")
    assert code == 2 and told.startswith(
        "error: sweep = 'run.toml': is the configuration of one run, not a sweep; `mdlite run run.toml"
    )
    code, told = call("sweep", "trapped", "-o", "s")
    assert code == 2 and "is a built-in case; the file of a sweep names it: base = 'trapped'" in told
    for command in ("analyse", "info", "plot", "export"):
        code, told = call(command, "run.toml")
        assert (
            code == 2 and "is not an mdlite run but a configuration; `mdlite run run.toml -o FILE.h5` makes a run of one" in told
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.toml", "sweep.toml"]


@pytest.mark.parametrize(
    "override, message",
    [
        ('ion.mass="2.383"', "ion.mass = '2.383': must be a number, or a list of three; without quotes: 2.383"),
        ('run.dt="0.001"', "run.dt = '0.001': must be a number, without quotes: 0.001"),
        ('run.sample_every="3"', "must be a number, without quotes: 3"),
        ('ion.position="1"', "must be a list of three numbers, such as [0, 0, 1]"),
        ("ion.position=3", "must be a list of three"),
        ("lattice.size=true", "lattice.size = true: must be a number, or a list of three"),
        ("lattice.size=1e3", "must be a valid integer: 1000"),
        ("lattice.spacing=[3.0]", "lattice.spacing = [3.0]: must be a valid number"),
        ("title=3", 'must be a text in quotes: "3"'),
        ("run.keep_state=1", "must be true or false"),
        ("run=3", "run = 3: must be a table"),
        (
            "interaction.atoms.sites=[0, 0, 1]",
            "must be a list of three whole numbers for every atom, such as [[0, 0, 0], [0, 0, 1]]",
        ),
        ("lattice.size=4", "sites = [0, 0, 4]: lies outside the lattice, and so do 3 more of the 8; each index"),
        ("method=timelocal", "did you mean time-local?"),
        ("method=Reference", "did you mean reference?"),
        ('interaction.potential.kind="yukwa"', "did you mean yukawa?"),
        ('interaction.atoms.kind="cut-off"', "did you mean cutoff?"),
        ('validate.rungs=["ptach"]', "did you mean patch?"),
        ('validate.protocol="rung"', "did you mean rungs?"),
        ("methud=rigid", "unknown key; did you mean method?"),
        ("size=40", "unknown key; did you mean lattice.size or patch.size?"),
        ("run.velocity=[0,0,1]", "unknown key; did you mean ion.velocity?"),
        ("ion.positoin=[0,0,1]", "unknown key; did you mean position?"),
        ("latice.size=3", "unknown key; did you mean lattice?"),
        (
            "ion.position=[0.0, 0.0, 6.123456789]",
            "ion.position = [0.0, 0.0, 6.12346]: is 0.123 Angstrom from the atom at site [0, 0, 2]",
        ),
    ],
)
def test_one_line_for_one_fault(override, message):
    told = said(load, "trapped", [override])
    assert message in told and len(told.splitlines()) == 1, told


def test_an_ion_on_an_atom_is_to_be_moved():
    told = said(load, "trapped", ["ion.position=[0.0, 0.0, 6.1]"])
    assert told.endswith("move the ion away from the atom") and "run.dt = 0.0002" not in told
    load("trapped", ["ion.position=[0.0, 0.0, 6.1]", "run.dt=1e-4"])  # the same place is no fault for a step that resolves it


def test_thousands_of_faults_are_counted():
    data = mdlite.load_case("trapped").to_dict()
    data["interaction"]["atoms"]["sites"] = [[0, 0, n] for n in range(100, 20_100)]
    assert said(parse, data).count("\n") == 0 and "and so do 19999 more" in said(parse, data)
    data["interaction"]["atoms"]["sites"] = [[0, 0, 0.5]] * 20_000
    assert said(parse, data).count("\n") == 0 and "(and 19999 more there)" in said(parse, data)
    data |= {f"key{n}": n for n in range(1000)}
    assert len(said(parse, data).splitlines()) == 21 and said(parse, data).endswith("... and 981 more")


def test_defaults_are_called_defaults():
    data = {"ion": {"position": [7.5, 7.5, 7.5]}, "run": {"duration": 1.0}, "lattice": {"size": 8, "mass": 0.01}}
    data["interaction"] = {"potential": {"kind": "gaussian", "strength": 1.0, "range": 1.0}, "atoms": {"kind": "shell"}}
    assert said(parse, data).startswith("run.dt = 0.005 (the default): must be below 2/Omega_max")
    data["run"]["dt"] = 0.005
    assert said(parse, data).startswith("run.dt = 0.005: must be below 2/Omega_max")
    data["lattice"] = {"size": 8, "boundary": "absorbing"}
    assert said(parse, data).startswith("lattice.absorber_width = 16 (the default): the layer takes twice that")


@pytest.mark.parametrize(
    "arguments, quoted",
    [
        (["--set", "ion.velocity=[0,", "0,", "2.0]"], "--set 'ion.velocity=[0, 0, 2.0]'"),
        (["--set=ion.velocity=[0,", "0,", "2.0]"], "--set 'ion.velocity=[0, 0, 2.0]'"),
        (["--set", "interaction.atoms={kind=shell,", "extent=1}", "-q"], "--set 'interaction.atoms={kind=shell, extent=1}'"),
    ],
)
def test_a_value_that_the_shell_has_cut(tmp_path, monkeypatch, arguments, quoted):
    monkeypatch.chdir(tmp_path)
    code, told = call("run", "trapped", "-o", "x.h5", *arguments)
    assert code == 2 and told.count("\n") == 1 and told.startswith("error: --set ") and told.endswith(f"quote it: {quoted}\n")


def test_what_is_left_out_by_default_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("run", "trapped", "-o", "x.h5", "-q", "--set", "method=rigid", "--set", "run.duration=0.05")[0] == 0
    code, told = call("analyse", "x.h5")
    assert code == 2 and "skip =" not in told and "left out where no --skip is given" in told


def test_phonons_need_the_crystal_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_lattice("trapped", ["lattice.spacing=1.5"]) == mdlite.Lattice(spacing=1.5)
    (tmp_path / "crystal.toml").write_text("[lattice]\nspacing = 4.0\n")
    assert load_lattice("crystal.toml", ["run.dt=7.0"]) == mdlite.Lattice(spacing=4.0)
    assert said(load_lattice, "trapped", ["lattice.k1=-1", "ion.mass=-1"]).startswith("lattice.k1 = -1")
    assert "unknown key; did you mean lattice?" in said(load_lattice, "trapped", ["latice.spacing=1.5"])
    assert call("phonons", "crystal.toml")[0] == 0
    assert call("phonons", "trapped", "--set", "lattice.spacing=1.5")[0] == 0


def test_a_validation_whose_ion_starts_elsewhere_does_not_ask_where_it_is(tmp_path):
    overrides = ["lattice.spacing=1.5", "lattice.size=6", "thermal.lattices=2", "validate.energies=[25.0]"]
    arguments = [part for one in overrides for part in ("--set", one)]
    assert call("validate", "framework", "-o", tmp_path / "f", "-q", *arguments)[0] == 0
    code, told = call("validate", "trapped", "-o", tmp_path / "t", "--set", "ion.position=[0.0, 0.0, 6.0]")
    assert code == 2 and "is on top of the atom at site [0, 0, 2]" in told and not (tmp_path / "t").exists()


def test_a_run_can_be_read_whatever_its_ion_met(tmp_path):
    """What a later version refuses to start is still a run that was made."""
    run = mdlite.run(mdlite.load_case("trapped", **{"method": "rigid", "run.duration": 0.05}), tmp_path / "x.h5")
    text = run.config.to_toml()
    close = text.replace("position = [0.0, 0.0, 10.5]", "position = [0.0, 0.0, 6.0]")
    assert close != text and parse(tomllib.loads(close), start=False).ion.position[2] == 6.0
