"""What a sweep's folder says of itself: ``manifest.json``, every point with its values, written once, and where each point is."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import mdlite
from mdlite.errors import InputError
from mdlite.sweeps.plan import Plan
from mdlite.sweeps.point import TASKS, read_json

FORMAT = 1
MANIFEST_KEYS = {"title", "task", "fingerprint", "version", "replicas", "axes", "points"}


def manifest(plan: Plan) -> dict[str, Any]:
    """What ``manifest.json`` holds: axes, points, and a fingerprint of both."""
    points = [{"name": p.name, "index": list(p.index), "values": p.values} for p in plan.points]
    digest = hashlib.sha256(plan.task.encode())
    for point in plan.points:
        digest.update(point.config.to_toml().encode())
    return {
        "format": FORMAT,
        "title": plan.title,
        "task": plan.task,
        "fingerprint": digest.hexdigest(),
        "version": mdlite.__version__,
        "replicas": plan.replicas,
        "axes": [{"name": axis.name, "rows": axis.rows} for axis in plan.axes],
        "points": points,
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a sweep's folder. Raises InputError if it is none."""
    content = read_json(folder / "manifest.json")
    if content is None or content.get("format") != FORMAT or not content.keys() >= MANIFEST_KEYS or not _is_sound(content):
        raise InputError(
            f"folder = {str(folder)!r}: is not the folder of a sweep (it has no manifest.json that this version can read)"
        )
    return content


def _is_sound(told: dict[str, Any]) -> bool:
    """Whether a manifest has axes, and points on them, of the right shape."""
    try:
        shape = [len(axis["rows"]) for axis in told["axes"]] + [told["replicas"]]
        rows = all(isinstance(axis["name"], str) and isinstance(row, dict) for axis in told["axes"] for row in axis["rows"])
        points = all(
            re.fullmatch(r"\d{5,6}", point["name"])
            and isinstance(point["values"], dict)
            and len(point["index"]) == len(shape)
            and all(0 <= n < size for n, size in zip(point["index"], shape))
            for point in told["points"]
        )
        texts = all(isinstance(told[key], str) for key in ("title", "fingerprint", "version"))
        return rows and points and texts and told["task"] in TASKS and len(told["points"]) == math.prod(shape) > 0
    except (TypeError, KeyError):
        return False


def point_folder(folder: Path, name: str) -> Path:
    """Where a point is."""
    return folder / "points" / name
