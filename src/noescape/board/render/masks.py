"""A picture's ids as the files of a frame: masks in colours and numbers, boxes of what is seen, depth."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from noescape.board.model import Mesh, Picture
from noescape.board.render.colours import BACKGROUND, UNLABELLED, Colour, Labels, key_of, shown_labels
from noescape.files import dump_json
from noescape.imaging import png_bytes
from noescape.records import DataError

UNITS_MM = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # of depth: the first in which the scene fits into 16 bits
MOST = 65535
JOINT = ("solder", "pad")  # classes that leads of a part may bear; the part as a whole is what its body is


@dataclass(frozen=True, kw_only=True)
class Names:
    """Of a whole run, so that numbers and colours mean the same in each frame and in its golden twin.

    `numbers`: instance -> 1, 2 …; `colours` of each set of labels; `types` of labels that the semantic mask tells.
    """

    numbers: Mapping[str, int]
    colours: Mapping[Labels, Colour]
    types: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Depth:
    """A pixel of value v > 0 lies at z = `near_z` - v * `unit` mm; 0 = nothing."""

    near_z: float
    unit: float


def number_instances(meshes: Sequence[Mesh]) -> dict[str, int]:
    """1, 2 … for every instance, in the order of the meshes. DataError beyond what 16 bits can tell apart."""
    out: dict[str, int] = {}
    for mesh in meshes:
        out.setdefault(mesh.instance, len(out) + 1)
    if len(out) > MOST:
        raise DataError(f"the scene has {len(out)} instances; a 16-bit mask tells {MOST} apart")
    return out


def semantic_files(picture: Picture, meshes: Sequence[Mesh], names: Names) -> tuple[bytes, bytes]:
    """The mask in colours as PNG, and what its colours mean as JSON: those that occur."""
    shown = [shown_labels(mesh.labels, names.types) for mesh in meshes]
    table = np.zeros((len(meshes) + 1, 3), np.uint8)
    for at, labels in enumerate(shown, 1):
        if labels:
            table[at] = names.colours[labels]
    seen = {shown[at - 1] for at in np.unique(picture.mesh) if at}
    said: dict[str, Any] = {BACKGROUND: {"class": "BACKGROUND"}, UNLABELLED: {"class": "UNLABELLED"}}
    said |= {key_of(names.colours[labels]): dict(labels) for labels in sorted(seen) if labels}
    return png_bytes(table[picture.mesh]), dump_json(said).encode("utf-8", "backslashreplace")


def instance_files(picture: Picture, meshes: Sequence[Mesh], names: Names) -> tuple[bytes, bytes, bytes]:
    """The mask of numbers as 16-bit PNG, the table of those that occur, and their boxes."""
    number_of = np.zeros(len(meshes) + 1, np.uint16)
    labels: dict[int, tuple[str, Mapping[str, str]]] = {}
    for at, mesh in enumerate(meshes, 1):
        number_of[at] = names.numbers[mesh.instance]
        named = labels.get(int(number_of[at]))
        if named is None or (named[1].get("class") in JOINT and mesh.labels.get("class") not in JOINT):
            labels[int(number_of[at])] = (mesh.instance, mesh.labels)
    ids = number_of[picture.mesh]
    boxes = [_box(number, box, area, labels[number], picture.own) for number, (box, area) in _extents(ids).items()]
    table = {str(row["id"]): {"path": row["path"], **row["labels"]} for row in boxes}
    return png16(ids), _json(table), _json(boxes)


def depth_file(picture: Picture, camera_z: float, depth: Depth) -> bytes:
    """Depth as 16-bit PNG."""
    z = camera_z - picture.depth.astype(np.float64)
    steps = np.clip(np.rint((depth.near_z - z) / depth.unit), 1, MOST)
    return png16(np.where(np.isnan(z), 0, np.nan_to_num(steps)).astype(np.uint16))


def depth_scale(meshes: Sequence[Mesh]) -> Depth:
    """The scale for a scene: micrometres, or coarser where it is too high for that."""
    heights = np.array([(mesh.points[:, 2].min(), mesh.points[:, 2].max()) for mesh in meshes if len(mesh.points)])
    low, high = float(heights[:, 0].min()), float(heights[:, 1].max())
    unit = next((unit for unit in UNITS_MM if (high - low) / unit + 4 < MOST), UNITS_MM[-1])
    return Depth(near_z=round(float(np.ceil(high / unit) + 1) * unit, 6), unit=unit)


def png16(values: npt.NDArray[np.uint16]) -> bytes:
    """A grey PNG of 16 bits."""
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _extents(ids: npt.NDArray[np.uint16]) -> dict[int, tuple[tuple[int, int, int, int], int]]:
    """Box (half-open) and number of pixels of each number but 0."""
    rows, columns = np.nonzero(ids)
    found = ids[rows, columns]
    out = {}
    order = np.argsort(found, kind="stable")
    numbers, starts = np.unique(found[order], return_index=True)
    for number, mine in zip(numbers, np.split(order, starts[1:]), strict=len(numbers) > 0):
        y, x = rows[mine], columns[mine]
        out[int(number)] = ((int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1), len(mine))
    return out


def _box(
    number: int,
    box: tuple[int, int, int, int],
    area: int,
    named: tuple[str, Mapping[str, str]],
    own: Mapping[str, int],
) -> dict[str, Any]:
    path, labels = named
    whole = max(own.get(path, area), area)
    return {
        "id": number,
        "path": path,
        "labels": dict(sorted(labels.items())),
        "box": list(box),
        "pixels": area,
        "hidden": round(1 - area / whole, 6),
    }


def _json(value: Any) -> bytes:
    return dump_json(value).encode("utf-8", "backslashreplace")
