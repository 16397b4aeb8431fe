"""What `metadata.json` of a rendered tree says about each frame: camera, light, what was moved and how far."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from noescape.board.model import Camera, Yaw
from noescape.files import read_json_object

FILE = "metadata.json"
SOLDER, WHITE = "SolderLight", "WhiteLight"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One part that was moved on purpose: `mode` and every value that was drawn (mm, degrees), as written."""

    path: str
    refdes: str
    mode: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of one frame. `light` is the suffix of its pictures in a pair set; `camera` None where nothing is written."""

    light: str = SOLDER
    camera: Camera | None = None
    poses: tuple[Drawn, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Of a whole tree; `board` is the name of the scene, "" where unknown; `problems` are rows that say nothing."""

    frames: Mapping[tuple[int, str], Facts] = field(default_factory=dict)
    rest: Facts = Facts()
    board: str = ""
    problems: tuple[str, ...] = ()

    def of(self, trigger: int, cell: str) -> Facts:
        """The facts of a frame, or those of the tree."""
        return self.frames.get((trigger, cell), self.rest)


def read_metadata(root: Path, triggers: Sequence[Path]) -> Metadata:
    """Read `root/metadata.json`, else that of the first trigger that has one; empty where there is none.

    DataError for a file that is none; a row that cannot be understood costs itself.
    """
    for path in (root / FILE, *(folder / FILE for folder in triggers)):
        if path.is_file():
            return _metadata(read_json_object(path, "what was rendered"))
    return Metadata()


def _metadata(value: Mapping[str, Any]) -> Metadata:
    problems: list[str] = []
    try:
        rest = Facts(light=_light(value) or SOLDER)
    except (TypeError, ValueError) as error:
        rest = Facts()
        problems.append(f"its lighting cannot be understood ({error!r})")
    frames = {}
    for number, (place, entry) in enumerate(_entries(value.get("frames"))):
        try:
            trigger, _, cell = place.rpartition("/")
            key = _number(entry.get("trigger", trigger)), str(entry.get("cell", cell))
            frames[key] = _facts(entry, rest)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            problems.append(f"frame {number} of it cannot be understood ({error!r})"[:300])
    return Metadata(frames=frames, rest=rest, board=_board(value), problems=tuple(problems))


def _entries(frames: Any) -> Iterator[tuple[str, Any]]:
    """Frames as a list of {"cell": …} or a map by cell or by `trigger_0000/x0_y0`."""
    if isinstance(frames, Mapping):
        yield from ((str(key), entry) for key, entry in frames.items())
    elif isinstance(frames, list):
        yield from (("", entry) for entry in frames)


def _number(trigger: Any) -> int:
    found = re.search(r"\d+", str(trigger))
    return int(found.group()) if found else 0


def _facts(entry: Mapping[str, Any], rest: Facts) -> Facts:
    camera = entry.get("camera")
    poses = [row for row in entry.get("poses") or [] if isinstance(row, Mapping)]
    return Facts(
        light=_light(entry) or rest.light,
        camera=read_camera(camera) if isinstance(camera, Mapping) else None,
        poses=tuple(
            Drawn(
                path=str(row.get("path", "")),
                refdes=str(row.get("refdes", "")),
                mode=str(row.get("mode", "")).lower(),
                values={k: v for k, v in row.items() if k not in ("path", "refdes", "mode") and _plain(v)},
            )
            for row in poses
        ),
    )


def read_camera(value: Mapping[str, Any]) -> Camera:
    """A camera from the names and values of its fields. ValueError for one that sees nothing."""
    (wide, high), (columns, rows) = value["field"], value["resolution"]
    numbers = [float(value[name]) for name in ("x", "y")] + [float(value.get(name, 0)) for name in ("z", "focus_z")]
    if not all(map(math.isfinite, [*numbers, wide, high])) or min(wide, high, columns, rows) <= 0:
        raise ValueError(f"a camera with the field {value['field']} and the resolution {value['resolution']}")
    return Camera(
        x=float(value["x"]),
        y=float(value["y"]),
        z=float(value.get("z", 0)),
        field=(float(wide), float(high)),
        resolution=(int(columns), int(rows)),
        projection="perspective" if value.get("projection") == "perspective" else "orthographic",
        yaw=cast("Yaw", int(value.get("yaw", 0)) % 360),
        focus_z=float(value.get("focus_z", 0)),
    )


def _plain(value: Any) -> bool:
    """Words and finite numbers, or a few of them: nothing that could not be written again."""
    if isinstance(value, list):
        return len(value) <= 16 and all(_plain(one) for one in value)
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _light(value: Mapping[str, Any]) -> str | None:
    """From `lighting.ring_light`; else coloured layers are solder light, grey ones white."""
    for holder in (value, value.get("config") or {}):
        lighting = holder.get("lighting") if isinstance(holder, Mapping) else None
        if isinstance(lighting, Mapping):
            if isinstance(lighting.get("ring_light"), bool):
                return SOLDER if lighting["ring_light"] else WHITE
            layers = lighting.get("layers")
            if isinstance(layers, Mapping):
                return SOLDER if sum(map(_coloured, layers.values())) >= 2 else WHITE
    return None


def _coloured(layer: Any) -> bool:
    values = []
    for channel in ("color_r", "color_g", "color_b"):
        value = layer.get(channel, 0) if isinstance(layer, Mapping) else 0
        values.append(float(value[0] if isinstance(value, list) and value else value or 0))
    return max(values) - min(values) > 0.5


def _board(value: Mapping[str, Any]) -> str:
    for key in ("board", "scene"):
        entry = value.get(key)
        name = entry.get("name") or entry.get("path") or "" if isinstance(entry, Mapping) else entry
        if isinstance(name, str) and name:
            return Path(name).stem
    return ""
