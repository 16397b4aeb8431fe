"""What a board's parts stand on and what they stand beside: heights of pads and board, outlines that must not meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from noescape.board.scene.things import BOARD_CLASSES, PAD_CLASSES, Bounds, Part, Scene
from noescape.board.scene.turning import Vec

FOOT = 0.02  # mm above its lowest point up to which a part touches what is under it
HIDDEN_STEP = 0.3  # mm: a board's top more than this above a part's foot is something else, say a shield
TOUCH = 1e-4  # mm of overlap that still counts as touching


class Ground:
    """Heights under a place. `own` pads of a part carry it where they carried it before: on their solder."""

    def __init__(self, scene: Scene) -> None:
        pads, owners, tops = [], [], []
        for mesh in scene.meshes:
            kind = mesh.labels.get("class")
            if kind in PAD_CLASSES and len(mesh.points):
                pads.append(np.concatenate([mesh.points.min(axis=0), mesh.points.max(axis=0)]))
                owners.append(mesh.labels.get("refdes", ""))
            elif kind in BOARD_CLASSES:
                tops.append(float(mesh.points[:, 2].max()))
        self._pads = np.array(pads, np.float64).reshape(-1, 6)
        self._owners = np.array(owners, dtype=object)
        self._top = max(tops) if tops else None

    def height(self, part: Part, points: Vec) -> float:
        """Where the lowest of a part's moved points should lie."""
        before = float(part.bounds[0, 2])
        board = before if self._top is None or self._top > before + HIDDEN_STEP else self._top
        if not len(self._pads):
            return max(board, before) if self._top is None else board
        foot = points[points[:, 2] <= points[:, 2].min() + FOOT]
        low, high = foot[:, :2].min(axis=0), foot[:, :2].max(axis=0)
        under = (self._pads[:, :2] <= high).all(axis=1) & (self._pads[:, 3:5] >= low).all(axis=1)
        if not under.any():
            return board
        if part.refdes and (self._owners[under] == part.refdes).any():
            return max(before, board)
        return max(float(self._pads[under, 5].max()), board)


class Neighbours:
    """The parts of a scene as they stand at the moment: which of them a moved part would run into."""

    def __init__(self, scene: Scene) -> None:
        self._points: dict[int, Vec] = {}
        self._now: dict[int, Vec] = {}
        self._outlines: dict[int, Vec] = {}
        self._scene = scene
        self._boxes = np.array([part.bounds for part in scene.parts]).reshape(-1, 2, 3)
        self._there = np.ones(len(scene.parts), bool)
        self._before: dict[int, frozenset[int]] = {}

    def points(self, place: int) -> Vec:
        """All points of a part as designed, [N, 3]."""
        if place not in self._points:
            part = self._scene.parts[place]
            self._points[place] = np.concatenate([self._scene.meshes[i].points for i in part.meshes]).astype(np.float64)
        return self._points[place]

    def struck(self, place: int, points: Vec) -> int | None:
        """The first part that a part's moved points would overlap and did not before; None where there is room."""
        near = self._near(place, np.stack([points.min(axis=0), points.max(axis=0)]))
        if not near:
            return None
        own, before = outline(points[:, :2]), self._overlapping_before(place)
        return next((i for i in near if i not in before and overlap(own, self._outline(i))), None)

    def put(self, place: int, points: Vec | None) -> None:
        """A part now stands elsewhere, or (None) is gone."""
        if points is None:
            self._there[place] = False
            return
        self._boxes[place] = np.stack([points.min(axis=0), points.max(axis=0)])
        self._now[place] = points
        self._outlines.pop(place, None)

    def _near(self, place: int, box: Bounds) -> list[int]:
        apart = (self._boxes[:, 0] >= box[1] - TOUCH).any(axis=1) | (self._boxes[:, 1] <= box[0] + TOUCH).any(axis=1)
        near = self._there & ~apart
        near[place] = False
        return [int(i) for i in np.flatnonzero(near)]

    def _outline(self, place: int) -> Vec:
        if place not in self._outlines:
            self._outlines[place] = outline(self._now.get(place, self.points(place))[:, :2])
        return self._outlines[place]

    def _overlapping_before(self, place: int) -> frozenset[int]:
        """Parts that already meet as designed (a shield over a chip) never count."""
        if place not in self._before:
            designed = np.array([part.bounds for part in self._scene.parts])
            box = designed[place]
            apart = (designed[:, 0] >= box[1] - TOUCH).any(axis=1) | (designed[:, 1] <= box[0] + TOUCH).any(axis=1)
            own = outline(self.points(place)[:, :2])
            self._before[place] = frozenset(
                int(i)
                for i in np.flatnonzero(~apart)
                if i != place and overlap(own, outline(self.points(int(i))[:, :2]))
            )
        return self._before[place]


def outline(points: npt.NDArray[np.float64]) -> Vec:
    """The convex outline of points in the plane, counter-clockwise, [K, 2] (monotone chain)."""
    rows = np.unique(np.round(points, 6), axis=0)
    if len(rows) < 3:
        return rows
    lower, upper = _chain(rows), _chain(rows[::-1])
    return np.array(lower[:-1] + upper[:-1])


def overlap(one: Vec, other: Vec) -> bool:
    """Whether two convex outlines share more than their rims: no side of either separates them."""
    for side in (*_normals(one), *_normals(other)):
        a, b = one @ side, other @ side
        if a.max() <= b.min() + TOUCH or b.max() <= a.min() + TOUCH:
            return False
    return True


def _normals(ring: Vec) -> Sequence[Vec]:
    sides = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(sides, axis=1)
    keep = length > 1e-12
    out = np.stack([sides[keep, 1], -sides[keep, 0]], axis=1) / length[keep, None]
    return list(out)


def _chain(rows: Vec) -> list[Vec]:
    out: list[Vec] = []
    for row in rows:
        while len(out) >= 2:
            a, b = out[-1] - out[-2], row - out[-2]
            if a[0] * b[1] - a[1] * b[0] > 0:
                break
            out.pop()
        out.append(row)
    return out
