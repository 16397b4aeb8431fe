"""A board as a USD stage: laminate and pictures, pads, solder, parts, lights and a camera, every prim with its labels.

    /World/PCBA/Board/{Top,Bottom,Sides,Holes}       class pcb
    /World/PCBA/Pads/<refdes>_<pad>                  class pad, refdes
    /World/PCBA/Solder/<refdes>_<pad>                class solder, refdes, package; customData noescape:joint
    /World/PCBA/Parts/<family>_<refdes>/<piece>      class, refdes, package; customData noescape:part
    /World/{Looks,RingLight,WhiteLight,Camera}

Origin: the lower left corner of the outline's box, seen from the side that is imported; z = 0 is the top copper's foot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from noescape.board.cad import laminate, plane
from noescape.board.cad.frames import at_origin, seen_from
from noescape.board.cad.joints import joints
from noescape.board.cad.model import Board, Footprint, Side
from noescape.board.cad.models import Models
from noescape.board.cad.placing import Placed, place, why_bare
from noescape.board.cad.rig import write_rig
from noescape.board.cad.usd import StageWriter, identifier
from noescape.board.model import Material
from noescape.board.parts.materials import SOLDER
from noescape.board.parts.model import pad_keys
from noescape.files import write_bytes
from noescape.imaging import png_bytes
from noescape.records import DataError

ROOT = "/World/PCBA"
# Linear colours.
_FINISHES = {"gold": (0.81, 0.54, 0.17), "tin": (0.62, 0.62, 0.6), "copper": (0.62, 0.23, 0.1)}
_EDGE = Material(name="BoardEdge", base_color=(0.37, 0.3, 0.13), roughness=0.8)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written. `placed`: how many parts came from each source; `boxes`: footprints that only boxes stand on,
    and whose; `bare`: footprints where nothing stands, with the reason; `missing_models`: files that nobody has."""

    size_mm: tuple[float, float]
    px_per_mm: float
    placed: dict[str, int]
    classes: dict[str, int]
    boxes: dict[str, list[str]] = field(default_factory=dict)
    bare: dict[str, str] = field(default_factory=dict)
    missing_models: list[str] = field(default_factory=list)
    broken_models: dict[str, str] = field(default_factory=dict)
    pads: int = 0
    joints: int = 0
    triangles: int = 0
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the bare board looks where not as its file says; names of `plane.MASKS` and `plane.FINISHES`."""

    px_per_mm: float | None = None
    mask: str | None = None
    finish: str | None = None


def write_stage(
    board: Board,
    out: Path,
    *,
    side: Side = "top",
    models: Models,
    look: Look | None = None,
    prefer_models: bool = False,
    progress: Callable[[str, int], Callable[[int], None]] | None = None,
) -> Report:
    """Write `out` (a .usd) and `<stem>_textures/` beside it, the stage last. Same board and models, same bytes.

    DataError where the side's copper or mask layer is missing. `progress(stage, total)` opens a stage and returns what
    to call with the number of steps done. A board of 100 parts takes 2 to 5 s.
    """
    look = look or Look()
    progress = progress or (lambda stage, total: lambda done: None)
    board = at_origin(seen_from(board, side))
    _demand_layers(board)
    px_per_mm = plane.pixels_per_mm(board, look.px_per_mm)
    writer = StageWriter(f"{board.name}, {side}, by noescape")
    parts = _place_all(board, models, prefer_models, progress)
    done = progress("stage", 3)
    _board(writer, board, _top_material(board, out, side), _finish(look.finish or plane.finish_of(board)))
    pads = _pads(writer, board, _finish(look.finish or plane.finish_of(board)))
    solder = _solder(writer, board, parts)
    _parts(writer, parts)
    done(1)
    write_rig(writer, board.bounds())
    writer.data(ROOT, {"board": json.dumps(_facts(board, px_per_mm))})
    baked = plane.bake(board, px_per_mm=px_per_mm, mask=look.mask, finish=look.finish)
    textures = _textures(out, side)
    for name, picture in (("albedo", baked.albedo), ("metallic", baked.metallic), ("roughness", baked.roughness)):
        write_bytes(textures[name], png_bytes(np.ascontiguousarray(picture)))
    done(2)
    write_bytes(out, writer.to_bytes({path: f"./{path.parent.name}/{path.name}" for path in textures.values()}))
    done(3)
    return _report(board, px_per_mm, parts, models, pads, solder, writer.triangles)


def _demand_layers(board: Board) -> None:
    real = {"top": "F", "bottom": "B"}[board.seen_from]
    missing = [f"{real}.{kind}" for kind in ("Cu", "Mask") if f"F.{kind}" not in board.layers]
    if missing:
        names = ", ".join(missing)
        raise DataError(
            f"{board.name}: the {board.seen_from} side needs {names}, which its table of layers does not have"
        )


def _place_all(
    board: Board, models: Models, prefer_models: bool, progress: Callable[[str, int], Callable[[int], None]]
) -> list[tuple[Placed, str]]:
    here = [part for part in board.footprints if part.side == board.seen_from]
    done = progress("parts", len(here))
    found: list[tuple[Placed, str]] = []
    taken: set[str] = set()
    for number, part in enumerate(here, 1):
        item = place(part, models, prefer_models=prefer_models)
        if item is not None:
            name = _unique(f"{item.family}_{part.refdes or 'part'}", taken)
            found.append((item, f"{ROOT}/Parts/{name}"))
        done(number)
    return found


def _unique(name: str, taken: set[str]) -> str:
    base = name = identifier(name)
    number = 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return name


def _textures(out: Path, side: Side) -> dict[str, Path]:
    folder = out.parent / f"{out.stem}_textures"
    return {name: folder / f"{side}_{name}.png" for name in ("albedo", "metallic", "roughness")}


def _top_material(board: Board, out: Path, side: Side) -> Material:
    files = _textures(out, side)
    return Material(name="BoardTop", base_color_file=files["albedo"], metallic_file=files["metallic"],
                    roughness_file=files["roughness"])  # fmt: skip


def _finish(name: str) -> Material:
    return Material(name="Plating", base_color=_FINISHES[name], metallic=1.0, roughness=0.3)


def _board(writer: StageWriter, board: Board, top: Material, plating: Material) -> None:
    labels = {"class": "pcb"}
    writer.xform(f"{ROOT}/Board", labels=labels)
    drills = laminate.cut_drills(board)
    low = -board.thickness
    x0, y0, x1, y1 = board.bounds()
    faces = [laminate.face(outline, drills, 0.0, up=True) for outline in board.outlines]
    upper = laminate.joined(faces)
    uvs = ((upper.points[:, :2] - (x0, y0)) / (x1 - x0, y1 - y0)).astype(np.float32)
    writer.mesh(f"{ROOT}/Board/Top", *upper, top, uvs=uvs, labels=labels)
    under = laminate.joined([laminate.face(outline, drills, low, up=False) for outline in board.outlines])
    dark = Material(name="BoardBottom", base_color=(0.006, 0.07, 0.026), roughness=0.4)
    writer.mesh(f"{ROOT}/Board/Bottom", *under, dark, labels=labels)
    walls = [laminate.wall(outline.rim, low, 0.0, outwards=True) for outline in board.outlines]
    walls += [laminate.wall(hole, low, 0.0, outwards=False) for outline in board.outlines for hole in outline.holes]
    writer.mesh(f"{ROOT}/Board/Sides", *laminate.joined(walls), _EDGE, labels=labels)
    for name, plated, material in (("Barrels", True, plating), ("Holes", False, _EDGE)):
        walled = laminate.barrels(drills, low, 0.0, plated=plated)
        if walled is not None:
            writer.mesh(f"{ROOT}/Board/{name}", *walled, material, labels=labels)


def _pads(writer: StageWriter, board: Board, plating: Material) -> int:
    taken: set[str] = set()
    writer.xform(f"{ROOT}/Pads", labels={"class": "pad"})
    for part in board.footprints:
        for pad, key in zip(part.pads, pad_keys([pad.name for pad in part.pads]), strict=True):
            if not (pad.on("F.Cu") and pad.on("F.Mask")):
                continue
            copper = laminate.pad_copper(pad)
            if copper is not None:
                path = f"{ROOT}/Pads/{_unique(f'{part.refdes}_{key}', taken)}"
                writer.mesh(path, *copper, plating, labels={"class": "pad", "refdes": part.refdes})
    return len(taken)


def _solder(writer: StageWriter, board: Board, parts: Sequence[tuple[Placed, str]]) -> int:
    packages = {id(item.part): item.package for item, _ in parts}
    taken: set[str] = set()
    writer.xform(f"{ROOT}/Solder", labels={"class": "solder"})
    for joint in joints(board, parts):
        path = f"{ROOT}/Solder/{_unique(f'{joint.part.refdes}_{joint.key}', taken)}"
        package = packages.get(id(joint.part), "")
        labels = {"class": "solder", "refdes": joint.part.refdes, "package": package}
        points, faces, normals = joint.solid
        writer.mesh(path, points, faces, SOLDER, normals=normals, labels=labels, data=joint.data)
    return len(taken)


def _parts(writer: StageWriter, parts: Sequence[tuple[Placed, str]]) -> None:
    writer.xform(f"{ROOT}/Parts")
    for item, path in parts:
        part = item.part
        labels = {"class": item.klass, "refdes": part.refdes, "package": item.package}
        facts = {"footprint": part.name, "value": part.value, "source": item.source, "x": part.x, "y": part.y,
                 "angle": part.angle % 360.0, "box": _box(item)}  # fmt: skip
        writer.xform(path, translate=(part.x, part.y, 0.0), rotate_z=part.angle % 360.0, labels=labels,
                     data={"part": json.dumps({**facts, "refdes": part.refdes}, ensure_ascii=True)})  # fmt: skip
        taken: set[str] = set()
        for piece in item.pieces:
            name = _unique(piece.name, taken)
            writer.mesh(
                f"{path}/{name}", piece.points, piece.faces, piece.material, normals=piece.normals, labels=labels
            )


def _box(item: Placed) -> list[float]:
    points = np.concatenate([piece.points[:, :2] for piece in item.pieces])
    return [round(float(v), 4) for v in (*points.min(axis=0), *points.max(axis=0))]


def _facts(board: Board, px_per_mm: float) -> dict[str, object]:
    x0, y0, x1, y1 = board.bounds()
    origins = {name: [round(x, 6), round(y, 6)] for name, (x, y) in sorted(board.origins.items())}
    return {"name": board.name, "side": board.seen_from, "size": [round(x1 - x0, 6), round(y1 - y0, 6)],
            "thickness": board.thickness, "px_per_mm": px_per_mm, "origins": origins}  # fmt: skip


def _report(
    board: Board,
    px_per_mm: float,
    parts: Sequence[tuple[Placed, str]],
    models: Models,
    pads: int,
    solder: int,
    triangles: int,
) -> Report:
    x0, y0, x1, y1 = board.bounds()
    here = [part for part in board.footprints if part.side == board.seen_from]
    return Report(
        size_mm=(round(x1 - x0, 3), round(y1 - y0, 3)),
        px_per_mm=px_per_mm,
        placed={source: sum(item.source == source for item, _ in parts) for source in ("package", "model", "box")},
        classes=_counted([item.klass for item, _ in parts]),
        boxes=_boxes(parts),
        bare={_called(part): reason for part in here if (reason := why_bare(part))},
        missing_models=sorted(models.missing),
        broken_models=dict(sorted(models.broken.items())),
        pads=pads,
        joints=solder,
        triangles=triangles,
        notices=list(board.notices),
    )


def _boxes(parts: Sequence[tuple[Placed, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item, _ in parts:
        if item.source == "box":
            found.setdefault(item.part.name, []).append(_called(item.part))
    return dict(sorted(found.items()))


def _called(part: Footprint) -> str:
    return part.refdes or part.name or "unnamed"


def _counted(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}
