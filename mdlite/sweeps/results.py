"""The results of a sweep in one place: an xarray Dataset, a NetCDF (HDF5) file, a table of comma-separated values."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import arguments, config
from mdlite.analysis.statistics import FEW, student
from mdlite.config import Config
from mdlite.config.explain import shortened
from mdlite.errors import InputError
from mdlite.io import outputs
from mdlite.simulation import result
from mdlite.sweeps import measures, medium
from mdlite.sweeps.manifest import point_folder, read_manifest
from mdlite.sweeps.point import damage_of, error_of, result_of

if TYPE_CHECKING:
    import pandas
    import xarray


RUN_ERRORS = ("_error", "_samples", "_limit")
"""Endings of what a run says of its own errors, in which the scatter of replicas is not."""


def collect(folder: str | Path, average: bool = False) -> xarray.Dataset:
    """All results of a sweep's folder as a Dataset: a dimension for every axis, and ``replica`` where there are several.

    A grid's dimension has the name of its key, with its values and their ``units``; ``zip``, ``list`` and ``random`` have
    numbers, and a coordinate for each of their keys. Variables are the numbers that any point has
    (`mdlite.sweeps.measures.UNITS`; NaN for a point without it) and ``status``: done, failed or missing. A point that a job array
    has run (``run.h5`` alone) counts as done. average: the replicas of every point in one, see `averaged`. Raises InputError if
    it is not the folder of a sweep, or has no replicas to average.
    """
    arguments.path("folder", folder, "the folder of a sweep")
    found = _dataset(*_gathered(Path(folder)))
    return averaged(found) if average else found


def averaged(data: xarray.Dataset) -> xarray.Dataset:
    """The replicas of every point in one, from what `collect` returns: for a measure ``x``

    - ``x``: the mean over the replicas that have it, each an independent sample;
    - ``x_error``: its standard error, from the scatter of the replicas (what runs say of their own errors plays no part);
    - ``x_low``, ``x_high``: the interval that holds the truth with 95 %, by Student's t: wide for few replicas;
    - ``x_replicas``: how many they are.

    An error of fewer than four replicas is itself uncertain by half and more. Raises InputError for a sweep without replicas.
    """
    if "replica" not in data.dims:
        raise InputError(
            "replicas = 1: there is nothing to average; give the sweep `replicas = 4` or more, then their scatter is the error"
        )
    axis = data["status"].get_axis_num("replica")
    out: dict[str, Any] = {}
    for key, values in data.data_vars.items():
        name = str(key)
        if values.dtype.kind != "f" or name.endswith(RUN_ERRORS):
            continue
        mean, error, count = _over_replicas(np.moveaxis(values.values, axis, 0))
        half = np.vectorize(student, otypes=[float])(count - 1) * error
        dims = tuple(d for d in values.dims if d != "replica")
        told = {"": mean, "_error": error, "_low": mean - half, "_high": mean + half}
        out |= {name + end: (dims, numbers, values.attrs) for end, numbers in told.items()}
        out[f"{name}_replicas"] = (dims, count)
    found = data.drop_vars(list(data.data_vars)).drop_dims("replica").assign(out)
    return found.assign_attrs(
        data.attrs | {"averaged over": "replicas; *_error: standard error, *_low, *_high: 95 % by Student's t"}
    )


def _over_replicas(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard error and number of the finite values along the first axis; NaN where there are too few."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, values, 0.0).sum(axis=0) / count
        square = np.where(there, values - mean, 0.0) ** 2
        error = np.where(count > 1, np.sqrt(square.sum(axis=0) / (count - 1.0) / count), np.nan)
    return mean, error, count


def _gathered(folder: Path) -> tuple[dict[str, Any], list[tuple[dict[str, Any], str, str | None]], Config]:
    """The manifest of a sweep, what `_row` says of every point, and the configuration of the first."""
    told = read_manifest(folder)
    places = [point_folder(folder, point["name"]) for point in told["points"]]
    if damaged := [fault for place in places if (fault := damage_of(place)) is not None]:
        raise InputError("\n".join(shortened(damaged)))
    rows = [_row(place, told["task"]) for place in places]
    return told, rows, config.load(point_folder(folder, told["points"][0]["name"]) / "point.toml", start=False, foreign=True)


def _dataset(told: dict[str, Any], rows: list[tuple[dict[str, Any], str, str | None]], example: Config) -> xarray.Dataset:
    import xarray

    names = list(dict.fromkeys(name for numbers, *_ in rows for name, value in numbers.items() if value is not None))
    dims = [axis["name"] for axis in told["axes"]] + ["replica"]
    shape = (*[len(axis["rows"]) for axis in told["axes"]], told["replicas"])
    data: dict[str, Any] = {"status": (dims, np.full(shape, "missing", dtype=object), {"long_name": "of the point"})}
    for name in names:
        unit = _units(told["task"]).get(name, "")
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


def _units(task: str) -> dict[str, str]:
    """The units of a task's numbers by their names; of tasks that have them in the names, none."""
    return {"run": measures.UNITS, "medium": medium.UNITS}.get(task, {})


def _row(place: Path, task: str) -> tuple[dict[str, Any], str, str | None]:
    """Numbers, status and error of one point."""
    found = result_of(place)
    if found is not None:
        return found, "done", None
    if (error := error_of(place)) is not None:
        return {}, "failed", str(error.get("error"))
    if task == "run" and (place / "run.h5").exists():
        try:
            run = result.Run.load(place / "run.h5")
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

    lines: list[dict[str, Any]] = []
    units: dict[str, str] = {}
    for point, (numbers, status, error) in zip(told["points"], rows):
        replica = {"replica": point["index"][-1]} if told["replicas"] > 1 else {}
        values = {
            key: value if isinstance(value, int | float | str) else json.dumps(value) for key, value in point["values"].items()
        }
        lines.append({"point": point["name"]} | values | replica | {"status": status} | numbers | {"error": error})
        units |= {key: unit for key in values if (unit := config.unit_of(example, key))}
    found = pandas.DataFrame(lines).dropna(axis=1, how="all")
    found.attrs["units"] = units | {k: u for k, u in _units(told["task"]).items() if u and k in found}
    return found


def summary(folder: str | Path) -> str:
    """How many points are done, failed and missing, for a terminal, and what to say of replicas."""
    told = read_manifest(Path(folder))
    rows = table(folder)
    states = rows["status"].value_counts()
    lines = [", ".join(f"{count} {status}" for status, count in states.items())]
    if told["task"] == "medium" and "failed" in states:  # a crystal that is none is a result
        failed = rows[rows["status"] == "failed"]
        lines += shortened([f"{point}: {error}" for point, error in zip(failed["point"], failed["error"])])
    if 1 < told["replicas"] < FEW:
        lines.append(
            f"warning: {told['replicas']} replicas: the scatter of so few says little of the error; go by the 95 % intervals, or take {FEW} at least"
        )
    return "\n".join(lines)


def save(folder: str | Path) -> tuple[Path, ...]:
    """Write ``results.nc`` (NetCDF 4) and ``results.csv`` (its first line, a comment, has the units) into the sweep's folder; returns their paths.

    Of a sweep with replicas also ``averages.nc`` and ``averages.csv``, what `averaged` says of every point. All are made anew
    each time, and take their names when they are whole. Raises InputError if they cannot be written there, RunError if the disk
    is full.
    """
    folder = Path(folder)
    gathered = _gathered(folder)
    found = _dataset(*gathered)
    kinds = [("results", found, _frame(*gathered))]
    if "replica" in found.dims:
        means = averaged(found)
        flat = means.to_dataframe().reset_index()
        flat.attrs["units"] = {name: means[name].attrs["units"] for name in flat if "units" in means[name].attrs}
        kinds.append(("averages", means, flat))
    else:
        for stale in ("averages.nc", "averages.csv"):
            (folder / stale).unlink(missing_ok=True)
    paths = tuple(folder / f"{name}.{suffix}" for name, _, _ in kinds for suffix in ("nc", "csv"))
    for path in paths:
        outputs.check_output(path, force=True)
    for name, data, rows in kinds:
        units = ", ".join(f"{key}: {unit}" for key, unit in rows.attrs["units"].items())
        outputs.write(folder / f"{name}.nc", functools.partial(data.to_netcdf, engine="h5netcdf"))
        outputs.write(folder / f"{name}.csv", f"# units: {units}\n{rows.to_csv(index=False)}")
    return paths
