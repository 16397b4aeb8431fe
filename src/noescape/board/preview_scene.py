"""One specimen of the contact sheet as meshes: a patch of board, pads, joints, the part in its pose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from noescape.board.model import Material, Mesh, Ring
from noescape.board.parts.fillets import bridge, fillet
from noescape.board.parts.footprints import land
from noescape.board.parts.glyphs import stroke
from noescape.board.parts.kit import spots
from noescape.board.parts.materials import MARK_WHITE, SOLDER
from noescape.board.parts.model import PAD_TOP, Matrix, Package, Pad, Solid, Terminal
from noescape.board.parts.packages import package_for
from noescape.board.parts.solids import box, loft, merged, moved, rounded_outline
from noescape.board.preview_poses import LOW, pose

MASK = Material(name="SolderMask", base_color=(0.008, 0.11, 0.035), roughness=0.16)
PAD_METAL = Material(name="PadFinish", base_color=(0.8, 0.74, 0.6), metallic=1.0, roughness=0.3)
VOLUMES = {"excess": 2.4, "less": 0.35}


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A row of the sheet: a land pattern of ours, what stands on it, and how it is called under the picture."""

    land: str
    value: str
    refdes: str
    caption: str

    def package(self) -> Package:
        """The part, from the library."""
        package = package_for(self.land, land(self.land), self.value, self.refdes)
        assert package is not None  # noqa: S101  every land pattern of ours carries a part
        return package

    def reach(self) -> float:
        """Half the side of the square in mm that holds pads and part in every pose, with a rim."""
        package, pads = self.package(), land(self.land)
        points = np.concatenate([p.points[:, :2] for p in package.pieces])
        far = max(float(np.abs(points).max()), max(max(abs(p.x) + p.w / 2, abs(p.y) + p.h / 2) for p in pads))
        stands = max(t.x1 for t in package.terminals.values()) + package.height if len(package.terminals) == 2 else 0.0
        return max(1.18 * far + 0.1, (stands + 0.1) if package.height < LOW else 0.0)


def specimen(row: Specimen, mode: str, x: float, y: float, half: float) -> Iterator[Mesh]:
    """Meshes of a row's part in one mode, its patch of board centred on (x, y); nothing for a mode it cannot show."""
    package, pads = row.package(), land(row.land)
    matrix = pose(package, mode)
    name = f"/Sheet/{mode}"
    if matrix is None:
        return
    matrix = _shifted(x, y) @ matrix
    yield _mesh(f"{name}/Board", moved(box((-half, -half, -1.0), (half, half, 0.0)), x=x, y=y), MASK, "pcb")
    yield _mesh(f"{name}/Silk", moved(_silk(package, pads), x=x, y=y), MARK_WHITE, "pcb")
    yield _mesh(f"{name}/Pads", moved(merged(_copper(p) for p in pads), x=x, y=y), PAD_METAL, "pad")
    for k, joint in enumerate(_joints(package, pads, mode, matrix, x, y)):
        yield _mesh(f"{name}/Solder/{k}", joint, SOLDER, "solder")
    if mode == "missing":
        return
    for piece in package.pieces:
        solid = placed(Solid(piece.points, piece.faces, piece.normals), matrix)
        yield Mesh(path=f"{name}/Part/{piece.name}", instance=f"{name}/Part", points=solid.points, faces=solid.faces,
                   normals=solid.normals, material=piece.material, labels={"class": package.klass})  # fmt: skip


def placed(item: Solid, matrix: Matrix) -> Solid:
    """A solid carried by a rigid matrix."""
    points = item.points @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)
    normals = None if item.normals is None else item.normals @ matrix[:3, :3].T.astype(np.float32)
    return Solid(points, item.faces, normals)


def ring_light(x: float, y: float, size: float) -> tuple[Ring, ...]:
    """The three-colour light of an AOI, so far away that all of a sheet `size` mm wide sees it from the same angles:
    red from near the camera's axis, green from the middle, blue from near the board."""
    far = 60.0 * size
    out = []
    for name, color, angle, strength in (("red", 0, 20.0, 6.5), ("green", 1, 44.0, 3.6), ("blue", 2, 70.0, 7.5)):
        radiance = tuple(strength if k == color else 0.035 * strength for k in range(3))
        turn = np.radians(angle)
        out.append(
            Ring(name=name, x=x, y=y, z=float(far * np.cos(turn)), radius=float(far * np.sin(turn)), width=0.3 * far,
                 radiance=(radiance[0], radiance[1], radiance[2]))
        )  # fmt: skip
    return tuple(out)


def _joints(package: Package, pads: Sequence[Pad], mode: str, matrix: Matrix, x: float, y: float) -> Iterator[Solid]:
    """Joints of all pads; the defect of a solder mode sits on the first pads only, so that the others compare."""
    keys = [s.key for s in spots(pads)]
    world = [_moved_pad(p, x, y) for p in pads]
    wrong = set(keys) if len(keys) == 2 else set(keys[: max(1, len(keys) // 4)])
    for key, pad in zip(keys, world, strict=True):
        terminal = None if mode == "missing" else package.terminals.get(key)
        if mode == "reverse_polarity" and terminal is not None:
            terminal = _over(package, matrix, pad)
        yield fillet(pad, matrix, terminal, VOLUMES.get(mode, 1.0) if key in wrong else 1.0)
    if mode == "bridge":
        ordered = sorted(world[1:], key=lambda p: (p.x - world[0].x) ** 2 + (p.y - world[0].y) ** 2)
        yield bridge(world[0], ordered[0], width=0.4, slide=0.5, away=(x, y))


def _over(package: Package, matrix: Matrix, pad: Pad) -> Terminal:
    """The terminal that now lies nearest to a pad."""

    def far(box: Terminal) -> float:
        middle = (matrix @ np.append(box.corners().mean(0), 1.0))[:2]
        return float(np.hypot(middle[0] - pad.x, middle[1] - pad.y))

    return min(package.terminals.values(), key=far)


def _copper(pad: Pad) -> Solid:
    half = min(pad.w, pad.h) / 2
    outline = rounded_outline(-pad.w / 2, -pad.h / 2, pad.w / 2, pad.h / 2, max(2 * half * pad.corner, 0.01), steps=4)
    return moved(loft(outline, [(0.0, 0.0), (0.0, PAD_TOP)]), x=pad.x, y=pad.y, angle=pad.angle)


def _silk(package: Package, pads: Sequence[Pad]) -> Solid:
    """A thin frame round the pads, open beside pin 1."""
    x1 = max(abs(p.x) + p.w / 2 for p in pads) + 0.16
    y1 = max(abs(p.y) + p.h / 2 for p in pads) + 0.16
    for box_ in package.terminals.values():
        x1, y1 = max(x1, box_.x1 + 0.1), max(y1, box_.y1 + 0.1)
    corners = [(-x1 + 0.35 * x1, y1), (x1, y1), (x1, -y1), (-x1, -y1), (-x1, y1 - 0.35 * y1)]
    return merged(stroke(a, b, 0.09, 0.0) for a, b in pairwise(corners))


def _moved_pad(pad: Pad, x: float, y: float) -> Pad:
    return Pad(
        name=pad.name, x=pad.x + x, y=pad.y + y, w=pad.w, h=pad.h, angle=pad.angle, corner=pad.corner, hole=pad.hole
    )


def _shifted(x: float, y: float) -> Matrix:
    out = np.eye(4)
    out[:2, 3] = x, y
    return out


def _mesh(path: str, item: Solid, material: Material, klass: str) -> Mesh:
    return Mesh(path=path, instance=path, points=item.points, faces=item.faces, normals=item.normals, material=material,
                labels={"class": klass})  # fmt: skip
