"""Which body stands on a footprint: a package of our library, a model that the user has, or a plain box."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from noescape.board.cad.model import Footprint, ModelRef, Pad
from noescape.board.cad.shapes import turned
from noescape.board.model import Material
from noescape.board.parts.model import PAD_TOP, Package, Piece, Terminal, pad_keys
from noescape.board.parts.model import Pad as PartPad
from noescape.board.parts.packages import package_for
from noescape.board.parts.solids import box
from noescape.records import DataError

Source = Literal["package", "model", "box"]
BODY = Material(name="BoxBody", base_color=(0.035, 0.035, 0.04), roughness=0.5)
LEAD = Material(name="BoxLead", base_color=(0.72, 0.71, 0.68), metallic=1.0, roughness=0.35)
_BARE = re.compile(
    r"^(?:.*:)?(?:mounting_?hole|fiducial|test_?point|net_?tie|solder_?jumper|logo|symbol)", re.IGNORECASE
)
_NO_PART = frozenset({"virtual", "board_only", "dnp"})
_PLUGS = re.compile(r"^(?:J|P|CN|CON|X|USB|SW|JP|TB)\d|conn|header|jack|usb|terminal|socket", re.IGNORECASE)
_COURTYARD = 0.25  # mm that a courtyard usually stays away from the body


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """A part on its place. `keys`: the unique key of each of the footprint's pads, in order; `missing`: models that
    the board names and nobody has."""

    part: Footprint
    source: Source
    family: str
    package: str
    klass: str
    pieces: tuple[Piece, ...]
    keys: tuple[str, ...]
    terminals: Mapping[str, Terminal] = field(default_factory=dict)
    height: float = 0.0


def why_bare(part: Footprint) -> str:
    """Why nothing stands on a footprint; empty when something does."""
    if kinds := part.kinds & _NO_PART:
        return {"dnp": "not to be placed (dnp)"}.get(min(kinds), f"marked {min(kinds)}")
    if not any(pad.copper for pad in part.pads):
        return "no pads"
    if _BARE.search(part.name) and not part.models:
        return "a mark, a hole or a test point by its name"
    if all(pad.drill is not None and not pad.drill.plated for pad in part.pads):
        return "holes only"
    if (
        not any(pad.drill is not None or pad.on("F.Paste") or pad.on("B.Paste") for pad in part.pads)
        and not part.models
    ):
        return "nothing is soldered to its pads: no paste, no pins"
    return ""


def place(
    part: Footprint, load: Callable[[ModelRef], tuple[Piece, ...] | None], *, prefer_models: bool
) -> Placed | None:
    """The body for one footprint on the side that the board is seen from; None when nothing stands there."""
    if why_bare(part):
        return None
    pads = own_pads(part)
    package = package_for(part.name, pads, part.value, part.refdes)
    guess = package is None or package.name == "connector"  # what the library makes of pads alone
    keys = tuple(pad_keys([pad.name for pad in pads]))
    if prefer_models or guess:
        pieces = tuple(piece for ref in part.models for piece in _standing(load(ref), ref))
        if pieces:
            return _from_model(part, pieces, package, keys)
    if package is not None and (not guess or (part.body is None and part.courtyard is None)):
        return Placed(
            part=part,
            source="box" if guess else "package",
            family=package.family,
            package=package.name,
            klass=package.klass,
            pieces=package.pieces,
            keys=keys,
            terminals=package.terminals,
            height=package.height,
        )
    return _from_box(part, pads, keys)


def own_pads(part: Footprint) -> list[PartPad]:
    """The footprint's pads in its own frame; the board must be seen from the side where the part stands."""
    found = []
    for pad in part.pads:
        x, y = (float(v) for v in turned(np.array([(pad.x - part.x, pad.y - part.y)]), -part.angle)[0])
        hole = pad.drill.diameter if pad.drill is not None else 0.0
        w, h, shift = soldered_box(pad)
        dx, dy = (float(v) for v in turned(np.array([shift]), pad.angle - part.angle)[0])
        angle = _tidy(pad.angle - part.angle)
        found.append(PartPad(name=pad.name, x=_tidy_mm(x + dx), y=_tidy_mm(y + dy), w=w, h=h, angle=angle,
                             corner=pad.corner, hole=hole))  # fmt: skip
    return found


def soldered_box(pad: Pad) -> tuple[float, float, tuple[float, float]]:
    """Width, height and shift of the box that holds a pad's copper, in the pad's own frame."""
    if pad.shape != "custom":
        return pad.width, pad.height, (0.0, 0.0)
    points = np.concatenate([shape.points for shape in pad.copper]) - (pad.x, pad.y)
    pens = np.concatenate([np.full(len(shape.points), shape.width / 2) for shape in pad.copper])[:, None]
    own = turned(points, -pad.angle)
    low, high = (own - pens).min(axis=0), (own + pens).max(axis=0)
    middle = (low + high) / 2
    return float(high[0] - low[0]), float(high[1] - low[1]), (float(middle[0]), float(middle[1]))


def _tidy(degrees: float) -> float:
    return round(degrees, 6) % 360.0


def _tidy_mm(value: float) -> float:
    return round(value, 6) + 0.0


def _from_model(part: Footprint, pieces: tuple[Piece, ...], package: Package | None, keys: tuple[str, ...]) -> Placed:
    """A model has no terminals of its own: those of the package that would stand there hold its solder."""
    guess = package is None or package.name == "connector"
    klass = package.klass if package is not None and not guess else _klass(part)
    return Placed(
        part=part,
        source="model",
        family=package.family if package is not None and not guess else _short_name(part),
        package=package.name if package is not None and not guess else _short_name(part),
        klass=klass,
        pieces=pieces,
        keys=keys,
        terminals=package.terminals if package is not None else {},
        height=max(float(piece.points[:, 2].max()) for piece in pieces),
    )


def _from_box(part: Footprint, pads: Sequence[PartPad], keys: tuple[str, ...]) -> Placed:
    """A box of what Fab or the courtyard draws, or of the pads; as high as half its shorter side, 0.5 to 10 mm."""
    x0, y0, x1, y1 = _outline(part, pads)
    klass = _klass(part)
    height = float(np.clip((0.6 if klass == "connector" else 0.5) * min(x1 - x0, y1 - y0), 0.5, 10.0))
    body = box((x0, y0, 0.1), (x1, y1, 0.1 + height))
    pieces = [Piece(name="Body", points=body.points, faces=body.faces, normals=None, material=BODY)]
    terminals = {}
    for pad, key in zip(pads, keys, strict=True):
        if pad.hole > 0 or pad.w <= 0 or pad.h <= 0 or pad.angle % 90:
            continue
        w, h = (pad.w, pad.h) if pad.angle % 180 == 0 else (pad.h, pad.w)
        low, high = (pad.x - 0.32 * w, pad.y - 0.32 * h, PAD_TOP), (pad.x + 0.32 * w, pad.y + 0.32 * h, PAD_TOP + 0.2)
        lead = box(low, high)
        pieces.append(Piece(name=f"Terminal_{key}", points=lead.points, faces=lead.faces, normals=None, material=LEAD,
                            terminal=key))  # fmt: skip
        terminals[key] = Terminal(x0=low[0], y0=low[1], z0=low[2], x1=high[0], y1=high[1], z1=high[2])
    name = _short_name(part)
    return Placed(part=part, source="box", family=name, package=name, klass=klass, pieces=tuple(pieces), keys=keys,
                  terminals=terminals, height=height + 0.1)  # fmt: skip


def _outline(part: Footprint, pads: Sequence[PartPad]) -> tuple[float, float, float, float]:
    if part.body is not None:
        return part.body
    if part.courtyard is not None:
        x0, y0, x1, y1 = part.courtyard
        slim = min(_COURTYARD, 0.2 * (x1 - x0), 0.2 * (y1 - y0))
        return x0 + slim, y0 + slim, x1 - slim, y1 - slim
    reach = [max(pad.w, pad.h) / 2 for pad in pads]
    x0, x1 = min(p.x - r for p, r in zip(pads, reach)), max(p.x + r for p, r in zip(pads, reach))
    y0, y1 = min(p.y - r for p, r in zip(pads, reach)), max(p.y + r for p, r in zip(pads, reach))
    return x0, y0, max(x1, x0 + 0.2), max(y1, y0 + 0.2)


def _klass(part: Footprint) -> str:
    short = part.name.rpartition(":")[2]
    return "connector" if _PLUGS.search(part.refdes) or _PLUGS.search(short) or "Connector" in part.name else "other"


def _short_name(part: Footprint) -> str:
    return part.name.rpartition(":")[2][:48] or "Part"


def _standing(pieces: tuple[Piece, ...] | None, ref: ModelRef) -> list[Piece]:
    """A model moved as the board says: scaled, turned about x, y, z (KiCad counts clockwise), shifted."""
    if not pieces:
        return []
    turn = np.eye(3)
    for axis, degrees in zip("xyz", ref.rotation, strict=True):
        turn = _turn(axis, -degrees) @ turn
    scale = np.array(ref.scale)
    if not np.abs(scale).min() > 1e-9:
        raise DataError(f"model {ref.path}: a scale of {ref.scale}")
    matrix = turn * scale
    found = []
    for piece in pieces:
        normals = None
        if piece.normals is not None:
            slanted = piece.normals.astype(np.float64) @ np.linalg.inv(matrix)
            length = np.maximum(np.linalg.norm(slanted, axis=1, keepdims=True), 1e-12)
            normals = (slanted / length).astype(np.float32)
        points = (piece.points.astype(np.float64) @ matrix.T + ref.offset).astype(np.float32)
        faces = piece.faces if np.linalg.det(matrix) > 0 else piece.faces[:, ::-1].copy()
        found.append(Piece(name=piece.name, points=points, faces=faces, normals=normals, material=piece.material))
    return found


def _turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    if axis == "y":
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
