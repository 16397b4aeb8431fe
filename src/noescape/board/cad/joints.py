"""Solder on a new board: a fillet for every surface pad that gets paste, a cone round every pin that comes through."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from noescape.board.cad.model import Board, Footprint, Pad
from noescape.board.cad.placing import Placed, soldered_box, why_bare
from noescape.board.cad.shapes import turned
from noescape.board.parts.fillets import fillet
from noescape.board.parts.model import PAD_TOP, PadRect, Solid, Terminal, pad_keys
from noescape.board.parts.solids import solid

PIN = 0.5  # mm: a smaller plated hole is a via
_ROUND = 20  # corners of a pin's joint
_SLOPE = np.array([1.0, 0.82, 0.62, 0.42, 0.24, 0.1, 0.0])  # share of the pad's rim at steps of the joint's height


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """Solder on the pad `key` of `part`; `data` says how it can be made anew, empty where it cannot."""

    part: Footprint
    key: str
    solid: Solid
    data: dict[str, str]


def joints(board: Board, placed: Iterable[tuple[Placed, str]]) -> Iterator[Joint]:
    """All solder on the side that the board is seen from. `placed`: parts there, each with the path of its prim."""
    for item, path in placed:
        open_paste = [pad for pad in item.part.pads if pad.on("F.Paste") and not pad.on("F.Cu")]
        for pad, key in zip(item.part.pads, item.keys, strict=True):
            if not pad.on("F.Cu") or not pad.on("F.Mask"):
                continue
            if pad.drill is not None:
                if _is_pin(pad):
                    yield Joint(part=item.part, key=key, solid=pin_joint(pad, 0.25, 0.0), data={})
            elif pad.on("F.Paste") or any(_covers(pad, opening) for opening in open_paste):
                yield _fillet(item, path, pad, key)
    for part in board.footprints:
        if part.side == board.seen_from or why_bare(part):
            continue
        for pad, key in zip(part.pads, pad_keys([pad.name for pad in part.pads]), strict=True):
            if pad.on("F.Cu") and pad.on("F.Mask") and _is_pin(pad):
                yield Joint(part=part, key=key, solid=pin_joint(pad, 0.9, 0.7), data={})


def pad_rect(pad: Pad) -> PadRect:
    """A pad as the parts library sees it, in the frame of the board."""
    w, h, shift = soldered_box(pad)
    dx, dy = (float(v) for v in turned(np.array([shift]), pad.angle)[0])
    return PadRect(x=pad.x + dx, y=pad.y + dy, w=w, h=h, angle=pad.angle, corner=pad.corner)


def part_matrix(part: Footprint) -> np.ndarray:
    """[4, 4] from the part's own frame into the board's, for columns."""
    c, s = turned(np.array([(1.0, 0.0)]), part.angle)[0]
    return np.array([[c, -s, 0, part.x], [s, c, 0, part.y], [0, 0, 1, 0], [0, 0, 0, 1]])


def pin_joint(pad: Pad, height: float, lead: float) -> Solid:
    """A hollow cone from the pad's rim up its pin, and `lead` mm of the pin's end above it; 20 corners, open below."""
    drill = pad.drill
    thin = 0.38 * (drill.diameter if drill is not None else min(pad.width, pad.height) / 2)
    height = min(height, 0.45 * max(pad.width, pad.height))
    levels = [(share, PAD_TOP + height * k / (len(_SLOPE) - 1)) for k, share in enumerate(_SLOPE)]
    levels += [(0.0, PAD_TOP + height + lead)] if lead > 0 else []
    angles = np.linspace(0, 2 * math.pi, _ROUND, endpoint=False)
    rings = []
    for share, z in levels:
        a, b = (thin + (0.48 * side - thin) * share for side in (pad.width, pad.height))
        ring = np.stack([a * np.cos(angles), b * np.sin(angles)], axis=1)
        rings.append(np.c_[turned(ring, pad.angle) + np.array([pad.x, pad.y]), np.full(_ROUND, z)])
    points = np.concatenate([*rings, [[pad.x, pad.y, levels[-1][1]]]])
    n, last = _ROUND, len(points) - 1
    a, b = np.arange(n), (np.arange(n) + 1) % n
    faces = [np.stack(t, axis=1) + k * n for k in range(len(levels) - 1) for t in ((a, b, b + n), (a, b + n, a + n))]
    top = (len(levels) - 1) * n
    faces.append(np.stack([a + top, b + top, np.full(n, last)], axis=1))
    whole = np.concatenate(faces)
    return solid(points, whole, smooth_normals(points, whole))


def smooth_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[N, 3]: at each point the mean of its triangles' normals, weighted by their size."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    total = np.zeros_like(points, dtype=float)
    for k in range(3):
        np.add.at(total, faces[:, k], flat)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    normals: np.ndarray = total / np.maximum(length, 1e-12)
    return normals


def _fillet(item: Placed, path: str, pad: Pad, key: str) -> Joint:
    rect = pad_rect(pad)
    terminal: Terminal | None = item.terminals.get(key)
    joint = fillet(rect, part_matrix(item.part) if terminal is not None else None, terminal)
    said = {"x": rect.x, "y": rect.y, "w": rect.w, "h": rect.h, "angle": rect.angle, "corner": rect.corner}
    data: dict[str, object] = {
        "part": path,
        "pad": {k: round(v, 6) for k, v in said.items()},
        "terminal": key if terminal else "",
    }
    if terminal is not None:  # what solder wets is less than the terminal's mesh: a lead's foot
        box = (terminal.x0, terminal.y0, terminal.z0, terminal.x1, terminal.y1, terminal.z1)
        data["box"] = [round(v, 6) for v in box]
    return Joint(part=item.part, key=key, solid=joint, data={"joint": json.dumps(data)})


def _is_pin(pad: Pad) -> bool:
    return pad.drill is not None and pad.drill.plated and pad.drill.diameter >= PIN


def _covers(pad: Pad, other: Pad) -> bool:
    own = turned(np.array([(other.x - pad.x, other.y - pad.y)]), -pad.angle)[0]
    return bool(abs(own[0]) <= pad.width / 2 and abs(own[1]) <= pad.height / 2)
