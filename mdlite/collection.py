"""The results of a sweep in one place: an xarray Dataset, a NetCDF (HDF5) file, a table of comma-separated values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import config, measures, outputs, runs
from mdlite.config import Config
from mdlite.errors import InputError
from mdlite.explain import shortened
from mdlite.point import damage_of, error_of, result_of
from mdlite.sweeps import point_folder, read_manifest

if TYPE_CHECKING:
    import pandas
    import xarray


def collect(folder: str | Path) -> xarray.Dataset:
    """All results of a sweep's folder as a Dataset: a dimension for every axis, and ``replica`` where there are several.

    A grid's dimension has the name of its key, with its values and their ``units``; ``zip``, ``list`` and ``random`` have numbers, and a
    coordinate for each of their keys. Variables are the numbers that any point has (`mdlite.measures.UNITS`; NaN where one has it not) and ``status``: done, failed
    or missing. A point that a job array has run (``run.h5`` alone) counts as done. Raises InputError if it is not the folder of a sweep.
    """
    return _dataset(*_gathered(Path(folder)))


def _gathered(folder: Path) -> tuple[dict[str, Any], list[tuple[dict[str, Any], str, str | None]], Config]:
    """The manifest of a sweep, what `_row` says of every point, and the configuration of the first."""
    told = read_manifest(folder)
    places = [point_folder(folder, point["name"]) for point in told["points"]]
    if damaged := [fault for place in places if (fault := damage_of(place)) is not None]:
        raise InputError("\n".join(shortened(damaged)))
    rows = [_row(place, told["task"]) for place in places]
    return told, rows, config.load(point_folder(folder, told["points"][0]["name"]) / "point.toml")


def _dataset(told: dict[str, Any], rows: list[tuple[dict[str, Any], str, str | None]], example: Config) -> xarray.Dataset:
    import xarray

    names = list(dict.fromkeys(name for numbers, *_ in rows for name, value in numbers.items() if value is not None))
    dims = [axis["name"] for axis in told["axes"]] + ["replica"]
    shape = (*[len(axis["rows"]) for axis in told["axes"]], told["replicas"])
    data: dict[str, Any] = {"status": (dims, np.full(shape, "missing", dtype=object), {"long_name": "of the point"})}
    for name in names:
        unit = measures.UNITS.get(name, "") if told["task"] == "run" else ""
        data[name] = (dims, np.full(shape, np.nan), {"units": unit} if unit else {})
    for point, (numbers, status, _) in zip(told["points"], rows):
        place = tuple(point["index"])
        data["status"][1][place] = status
        for name, value in numbers.items():
            if value is not None:
                data[name][1][place] = value
    found = xarray.Dataset(
        data, _coordinates(told, example), {"title": told["title"], "task": told["task"], "mdlite": told["version"]}
    )
    if told["replicas"] == 1:
        found = found.squeeze("replica", drop=True)
    return found


def _row(place: Path, task: str) -> tuple[dict[str, Any], str, str | None]:
    """Numbers, status and error of one point."""
    found = result_of(place)
    if found is not None:
        return found, "done", None
    if (error := error_of(place)) is not None:
        return {}, "failed", str(error.get("error"))
    if task == "run" and (place / "run.h5").exists():
        try:
            run = runs.Run.load(place / "run.h5")
        except InputError:
            return {}, "missing", None
        if run.facts.get("status") == "complete":
            return measures.measure(run), "done", None
    return {}, "missing", None


def _coordinates(told: dict[str, Any], example: Config) -> dict[str, Any]:
    """The values along every axis, by the name of their key."""
    found: dict[str, Any] = {}
    for axis in told["axes"]:
        keys = list(dict.fromkeys(key for row in axis["rows"] for key in row))
        if keys != [axis["name"]]:
            found[axis["name"]] = np.arange(len(axis["rows"]))
        for key in keys:
            values = [row.get(key) for row in axis["rows"]]
            unit = config.unit_of(example, key)
            found[key] = (axis["name"], _array(values), {"units": unit} if unit else {})
    if told["replicas"] > 1:
        found["replica"] = np.arange(told["replicas"])
    return found


def _array(values: list[Any]) -> np.ndarray:
    """Numbers as numbers, with NaN for what a row leaves at the base's value; all else as text."""
    if all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values):
        whole = all(isinstance(v, int) for v in values)
        return np.array(values if whole else [np.nan if v is None else v for v in values], int if whole else float)
    return np.array([v if isinstance(v, str) else "" if v is None else json.dumps(v) for v in values], dtype=object)


def table(folder: str | Path) -> pandas.DataFrame:
    """The same as a pandas DataFrame, a row for every point, with the name of its folder; ``attrs["units"]`` has the units of columns."""
    return _frame(*_gathered(Path(folder)))


def _frame(told: dict[str, Any], rows: list[tuple[dict[str, Any], str, str | None]], example: Config) -> pandas.DataFrame:
    import pandas

    lines, units = [], {}
    for point, (numbers, status, error) in zip(told["points"], rows):
        replica = {"replica": point["index"][-1]} if told["replicas"] > 1 else {}
        values = {
            key: value if isinstance(value, int | float | str) else json.dumps(value) for key, value in point["values"].items()
        }
        lines.append({"point": point["name"]} | values | replica | {"status": status} | numbers | {"error": error})
        units |= {key: unit for key in values if (unit := config.unit_of(example, key))}
    found = pandas.DataFrame(lines).dropna(axis=1, how="all")
    found.attrs["units"] = units | (
        {k: u for k, u in measures.UNITS.items() if u and k in found} if told["task"] == "run" else {}
    )
    return found


def summary(folder: str | Path) -> str:
    """How many points are done, failed and missing, for a terminal."""
    states = table(folder)["status"].value_counts()
    return ", ".join(f"{count} {status}" for status, count in states.items())


def save(folder: str | Path) -> tuple[Path, Path]:
    """Write ``results.nc`` (NetCDF 4) and ``results.csv`` (its first line, a comment, has the units) into the sweep's folder; returns their paths.

    Both are made anew each time, and take their names when they are whole. Raises InputError if they can not be written there, RunError if the disk is full.
    """
    folder = Path(folder)
    gathered = _gathered(folder)
    paths = folder / "results.nc", folder / "results.csv"
    for path in paths:
        outputs.check_output(path, force=True)
    found, rows = _dataset(*gathered), _frame(*gathered)
    units = ", ".join(f"{key}: {unit}" for key, unit in rows.attrs["units"].items())
    outputs.write(paths[0], lambda place: found.to_netcdf(place, engine="h5netcdf"))
    outputs.write(paths[1], f"# units: {units}\n{rows.to_csv(index=False)}")
    return paths
