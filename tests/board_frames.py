"""Rendered trees made by hand: rectangles on a board, each pixel decided at its centre, masks exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from noescape.board.model import Camera, Material, Mesh
from noescape.imaging import png_bytes

COLOURS = {"capacitor": (0, 0, 255), "ic": (255, 0, 255), "solder": (0, 255, 0), "pad": (255, 0, 0), "pcb": (9, 60, 9)}
DEFECTS = {"shift": (0, 160, 255), "tombstone": (0, 80, 255), "sideflip": (0, 40, 160)}
LOOKS = {"capacitor": 90, "ic": 40, "solder": 200, "pad": 170, "pcb": 110}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A body of w x h mm, turned by `angle` about (x, y), over pads that stay where they are."""

    refdes: str
    x: float
    y: float
    w: float = 1.6
    h: float = 0.8
    angle: float = 0.0
    kind: str = "capacitor"
    package: str = "C0603"
    pins: int = 2
    mode: str = ""
    home: tuple[float, float] = (0.0, 0.0)  # how far the body is from its pads
    gone: bool = False

    @property
    def path(self) -> str:
        return f"/World/PCBA/Parts/{self.package}_{self.refdes}"

    def moved(self, dx: float, dy: float, angle: float = 0.0, mode: str = "shift") -> Part:
        return replace(self, x=self.x + dx, y=self.y + dy, angle=self.angle + angle, mode=mode, home=(dx, dy))

    def missing(self) -> Part:
        return replace(self, gone=True, mode="missing")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A rectangle that is seen: lower ones come first."""

    path: str
    labels: dict[str, str]
    corners: np.ndarray = field(repr=False)  # [4, 2] mm
    z: tuple[float, float]


def camera(x: float = 0.0, y: float = 0.0, *, size: tuple[int, int] = (160, 120), px_per_mm: float = 16) -> Camera:
    return Camera(x=x, y=y, z=100, field=(size[0] / px_per_mm, size[1] / px_per_mm), resolution=size)


def corners(x: float, y: float, w: float, h: float, angle: float) -> np.ndarray:
    t = np.deg2rad(angle)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    box = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
    return box @ turn.T + [x, y]


def things(parts: Sequence[Part]) -> list[Thing]:
    out = [Thing(path="/World/PCBA/Board/Top", labels={"class": "pcb"}, corners=corners(0, 0, 400, 400, 0), z=(-1, 0))]
    for part in parts:
        px, py = part.x - part.home[0], part.y - part.home[1]
        across = part.w / 2 if part.pins == 2 else part.w / 2 + 0.3
        places = [(-across, 0.0), (across, 0.0)]
        if part.pins > 2:
            rows = np.linspace(-part.h / 2, part.h / 2, part.pins // 2 + 2)[1:-1]
            places = [(side * across, float(row)) for side in (-1, 1) for row in rows]
        thick = part.h if part.pins == 2 else part.h / (part.pins // 2 + 1) / 2
        for n, (dx, dy) in enumerate(places, 1):
            at = (px + dx, py + dy)
            for kind, w, h, z in (("pad", 0.8, thick, 0.035), ("solder", 0.5, thick * 0.8, 0.1)):
                labels = {"class": kind, "refdes": part.refdes, "package": part.package}
                path = f"/World/PCBA/{'Pads' if kind == 'pad' else 'Solder'}/{part.refdes}_{n}"
                out.append(Thing(path=path, labels=labels, corners=corners(*at, w, h, 0), z=(z / 2, z)))
        if not part.gone:
            labels = {"class": part.kind, "refdes": part.refdes, "package": part.package}
            labels |= {"defect": part.mode} if part.mode else {}
            box = corners(part.x, part.y, part.w, part.h, part.angle)
            out.append(Thing(path=part.path, labels=labels, corners=box, z=(0.05, 0.5)))
    return sorted(out, key=lambda t: t.z[1])


def ids_of(seen: Sequence[Thing], cam: Camera) -> np.ndarray:
    """1 + the place of the topmost thing at the centre of each pixel; 0 for none."""
    width, height = cam.resolution
    u, v = np.meshgrid((np.arange(width) + 0.5) / width - 0.5, 0.5 - (np.arange(height) + 0.5) / height)
    x, y = cam.x + u * cam.field[0], cam.y + v * cam.field[1]
    ids = np.zeros((height, width), np.uint16)
    for n, thing in enumerate(seen, 1):
        (x0, y0), (x1, y1) = thing.corners.min(axis=0), thing.corners.max(axis=0)
        columns, rows = (x[0] >= x0) & (x[0] <= x1), (y[:, 0] >= y0) & (y[:, 0] <= y1)
        near = np.ix_(rows, columns)
        inside = np.ones(x[near].shape, bool)
        for a, b in zip(thing.corners, np.roll(thing.corners, -1, axis=0), strict=True):
            inside &= (b[0] - a[0]) * (y[near] - a[1]) - (b[1] - a[1]) * (x[near] - a[0]) >= 0
        ids[near] = np.where(inside, n, ids[near])
    return ids


def meshes(parts: Sequence[Part]) -> list[Mesh]:
    """The same things as boxes of triangles."""
    out = []
    faces = [(0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6), *((k, (k + 1) % 4, k + 4) for k in range(4))]
    faces += [((k + 1) % 4, (k + 1) % 4 + 4, k + 4) for k in range(4)]
    for thing in things(parts):
        points = np.concatenate([np.c_[thing.corners, np.full(4, z)] for z in thing.z[::-1]]).astype(np.float32)
        out.append(
            Mesh(
                path=thing.path + "/Body", instance=thing.path, points=points, faces=np.array(faces, np.int32),
                material=Material(name="grey"), labels=thing.labels,
            )
        )  # fmt: skip
    return out


def write_frame(root: Path, cell: str, parts: Sequence[Part], cam: Camera, *, trigger: int = 0, seed: int = 0) -> Path:
    """One frame in `root/trigger_*/`; returns the folder."""
    folder = root / f"trigger_{trigger:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    seen = things(parts)
    ids = ids_of(seen, cam)
    rng = np.random.default_rng(seed)
    colours: dict[str, dict[str, str]] = {"(0, 0, 0, 0)": {"class": "BACKGROUND"}}
    look = np.zeros((len(seen) + 1, 4))
    for n, thing in enumerate(seen, 1):
        kind, defect = thing.labels["class"], thing.labels.get("defect", "")
        colour = DEFECTS.get(defect, COLOURS[kind])
        look[n] = (*colour, LOOKS[kind])
        colours[str((*colour, 255))] = {"class": kind} | ({"defect": defect} if defect else {})
    semantic, rgb = look[ids][..., :3].astype(np.uint8), np.repeat(look[ids][..., 3:], 3, axis=2)
    rgb += rng.normal(0, 3, rgb.shape)
    (folder / f"rgb_{cell}.png").write_bytes(png_bytes(np.clip(rgb, 0, 255).astype(np.uint8)))
    (folder / f"semantic_segmentation_{cell}.png").write_bytes(png_bytes(semantic))
    write(folder / f"semantic_segmentation_labels_{cell}.json", colours)
    done, data = cv2.imencode(".png", ids)
    assert done
    (folder / f"instance_segmentation_{cell}.png").write_bytes(bytes(data))
    table = {str(n): {"path": t.path, **t.labels} for n, t in enumerate(seen, 1)}
    write(folder / f"instance_segmentation_mapping_{cell}.json", table)
    rows = [
        {"id": n, "path": t.path, "labels": t.labels, "box": [0, 0, 1, 1], "hidden": 0.25}
        for n, t in enumerate(seen, 1)
    ]
    write(folder / f"bounding_box_2d_tight_{cell}.json", rows)
    return folder


def fact(cell: str, parts: Sequence[Part], cam: Camera, *, trigger: int = 0, ring: bool = True) -> dict[str, Any]:
    """The row of metadata.json for a frame."""
    poses = [
        {"path": p.path, "refdes": p.refdes, "mode": p.mode, "dx": p.home[0], "dy": p.home[1], "rotation": p.angle}
        for p in parts
        if p.mode
    ]
    seen = {
        "x": cam.x, "y": cam.y, "z": cam.z, "field": list(cam.field), "resolution": list(cam.resolution),
        "projection": cam.projection, "yaw": cam.yaw, "focus_z": cam.focus_z,
    }  # fmt: skip
    return {"cell": cell, "trigger": trigger, "camera": seen, "lighting": {"ring_light": ring}, "poses": poses}


def make_tree(
    root: Path, parts: Sequence[Part], cameras: dict[str, Camera], *, ring: bool = True, seed: int = 0, trigger: int = 0
) -> Path:
    """A tree of one trigger with its metadata."""
    for cell, cam in cameras.items():
        write_frame(root, cell, parts, cam, seed=seed, trigger=trigger)
    facts = [fact(cell, parts, cam, ring=ring, trigger=trigger) for cell, cam in cameras.items()]
    write(root / "metadata.json", {"scene": "demo.usd", "frames": facts})
    return root


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


PARTS = (
    Part(refdes="C1", x=-2.5, y=1.5),
    Part(refdes="C2", x=2.5, y=1.5),
    Part(refdes="C3", x=-2.5, y=-1.5, w=1.0, h=0.5, package="C0402"),
    Part(refdes="U1", x=1.8, y=-1.5, w=2.0, h=2.0, kind="ic", package="SOIC8", pins=8),
)
CAMERAS = {"x0_y0": camera(), "x1_y0": camera(0.3, 0.2)}
