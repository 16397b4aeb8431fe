"""Which parts are spoilt, and how: drawn from a cookbook, resting on the board, clear of their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from noescape.board.scene.config import RenderConfig
from noescape.board.scene.defects_config import Defects, Missing, Mode, Polarity, Shift, Tilt
from noescape.board.scene.ground import Ground, Neighbours
from noescape.board.scene.things import BOARD_CLASSES, Frame, Part, Scene
from noescape.board.scene.turning import UP, Vec, applied, moved, turned_about
from noescape.board.scene.walk import in_pool
from noescape.records import UsageError

TRIES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """What happened to a part, in the world's mm and degrees.

    `matrix` carries its points as designed to where they are now (row vectors). `dx`, `dy` are drawn (shift), `dz` is
    what it takes to rest; `rotation` is the turn round `axis` through `pivot`, counter-clockwise seen against the axis.
    """

    path: str
    refdes: str
    mode: Mode
    matrix: Frame
    dx: float = 0.0
    dy: float = 0.0
    dz: float = 0.0
    rotation: float = 0.0
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def record(self) -> dict[str, Any]:
        """For the metadata of a frame; without the matrix, which follows from the rest."""
        said: dict[str, Any] = {"path": self.path, "refdes": self.refdes, "mode": self.mode}
        for name in ("dx", "dy", "dz", "rotation"):
            said[name] = _round(getattr(self, name))
        return {**said, "axis": [_round(v) for v in self.axis], "pivot": [_round(v) for v in self.pivot]}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The poses of a draw and, in words, which parts kept their place because no free one was found."""

    poses: tuple[Pose, ...]
    skipped: tuple[str, ...] = ()


def draw_poses(
    scene: Scene, defects: Defects, types: tuple[str, ...], rng: np.random.Generator, root: str = ""
) -> Drawn:
    """Choose parts for each mode and draw their poses.

    The pool are the parts on the upper side of the board whose path under `root` fits `types` (`component_types` of
    the target). Each enabled mode, in the order of the file, gets max(1, int(pool * ratio)) parts of those still free
    and of its own `component_types`, without replacement. A pose that would run into a neighbour or leave the board is
    drawn again, at most 20 times, then left out and named in `skipped`. Cost: about 0.2 ms per part.

    UsageError where no part fits `types`.
    """
    pool = pool_of(scene, types, root)
    if not pool:
        families = ", ".join(sorted({part.family for part in scene.parts})) or "none"
        raise UsageError(
            f"component_types {list(types)} fits no part on the upper side; the stage's families: {families}"
        )
    ground, neighbours = Ground(scene), Neighbours(scene)
    free = list(pool)
    poses: list[Pose] = []
    skipped: list[str] = []
    for mode in defects.enabled_modes:
        settings = defects.settings(mode)
        own = settings.component_types
        fitting = free if own is None else [i for i in free if in_pool(scene.parts[i].path, root, own)]
        number = min(max(1, int(len(pool) * settings.ratio)), len(fitting))
        if not number:
            skipped.append(f"{mode}: no part is left that fits")
            continue
        chosen = [int(i) for i in rng.choice(np.array(fitting), size=number, replace=False)]
        free = [i for i in free if i not in set(chosen)]
        streams = rng.spawn(number)
        for place, stream in zip(chosen, streams):
            found = _pose(scene, place, mode, settings, stream, ground, neighbours)
            if isinstance(found, Pose):
                poses.append(found)
            else:
                skipped.append(found)
    return Drawn(poses=tuple(poses), skipped=tuple(skipped))


def pool_of(scene: Scene, types: tuple[str, ...], root: str = "") -> list[int]:
    """Places in `scene.parts` of the parts that may be spoilt."""
    tops = [float(m.points[:, 2].max()) for m in scene.meshes if m.labels.get("class") in BOARD_CLASSES]
    top = max(tops) if tops else -np.inf
    return [
        i
        for i, part in enumerate(scene.parts)
        if part.frame[2, 2] > -0.5 and part.bounds[1, 2] > top and in_pool(part.path, root, types)
    ]


def defects_of(config: RenderConfig) -> Defects:
    """The modes of a cookbook; a missing run is the one mode `missing`."""
    if config.pipeline_type == "missing" and config.missing is not None:
        return Defects.model_validate({"missing": config.missing.model_dump()})
    return config.defects


def _pose(
    scene: Scene,
    place: int,
    mode: Mode,
    settings: Any,
    rng: np.random.Generator,
    ground: Ground,
    neighbours: Neighbours,
) -> Pose | str:
    part = scene.parts[place]
    if mode == "missing":
        neighbours.put(place, None)
        return Pose(path=part.path, refdes=part.refdes, mode=mode, matrix=np.eye(4))
    points = neighbours.points(place)
    reason = ""
    for _ in range(TRIES):
        pose = _resting(_drawn(part, mode, settings, rng), part, points, ground)
        now = applied(points, pose.matrix)
        struck = neighbours.struck(place, now)
        if struck is not None:
            reason = f"it would run into {scene.parts[struck].path}"
        elif not _on_board(scene, now):
            reason = "it would leave the board"
        else:
            neighbours.put(place, now)
            return pose
    return f"{mode}: {part.path} stays: {reason} in each of {TRIES} draws"


def _drawn(part: Part, mode: Mode, settings: Any, rng: np.random.Generator) -> Pose:
    long, half, middle, low = _axes(part)
    base = np.array([middle[0], middle[1], low])
    if mode == "shift" and isinstance(settings, Shift):
        reach, spin = settings.translate_range, settings.rotate_z_range
        dx, dy = (_round(v) for v in rng.uniform(-reach, reach, 2))
        return _turned(part, mode, base, UP, _round(rng.uniform(-spin, spin)), (dx, dy))
    if mode == "reverse_polarity" and isinstance(settings, Polarity):
        return _turned(part, mode, base, UP, 180.0)
    if not isinstance(settings, Tilt) or isinstance(settings, Missing):
        raise TypeError(mode)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    angle = _round(rng.uniform(settings.angle_min, settings.angle_max))
    if mode == "tombstone":  # the end `long * sign` goes up, the bottom edge of the other one stays
        lifted = long * sign
        return _turned(part, mode, base - lifted * half, np.cross(lifted, UP), angle)
    return _turned(part, mode, base, long, sign * angle)


def _axes(part: Part) -> tuple[Vec, float, Vec, float]:
    """The level direction in which a part is longest, half its length, the middle of its box, its lowest height."""
    axes, size = part.frame[:3, :3], part.box[1] - part.box[0]
    level = [a for a in range(3) if a != int(np.abs(axes[:, 2]).argmax())]
    longest = max(level, key=lambda a: float(size[a]))
    direction = axes[longest].copy()
    direction[2] = 0.0
    direction /= np.linalg.norm(direction)
    middle = applied(part.box.mean(axis=0)[None], part.frame)[0]
    return direction, float(size[longest]) / 2, middle, float(part.bounds[0, 2])


def _turned(
    part: Part, mode: Mode, pivot: Vec, axis: Vec, degrees: float, by: tuple[float, float] = (0.0, 0.0)
) -> Pose:
    return Pose(
        path=part.path,
        refdes=part.refdes,
        mode=mode,
        matrix=turned_about(pivot, axis, degrees) @ moved(np.array([*by, 0.0])),
        dx=by[0],
        dy=by[1],
        rotation=degrees,
        axis=(float(axis[0]), float(axis[1]), float(axis[2])),
        pivot=(float(pivot[0]), float(pivot[1]), float(pivot[2])),
    )


def _resting(pose: Pose, part: Part, points: Vec, ground: Ground) -> Pose:
    """The same pose, raised or lowered so that the part's lowest point lies on what is under it."""
    now = applied(points, pose.matrix)
    dz = ground.height(part, now) - float(now[:, 2].min())
    return replace(pose, matrix=pose.matrix @ moved(np.array([0.0, 0.0, dz])), dz=dz)


def _round(value: float) -> float:
    return round(float(value), 6) + 0.0  # no -0.0


def _on_board(scene: Scene, points: Vec) -> bool:
    middle = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2
    return bool((middle >= scene.bounds[0, :2]).all() and (middle <= scene.bounds[1, :2]).all())
