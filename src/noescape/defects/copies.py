"""Near-copies: defects that are an example over again, moved, turned, mirrored, stretched or lit otherwise.

One rule for `generate` and `score`: the defect is laid on every example, and the highest normalised cross-correlation
(of the log of light) counts. It looks at the picture and its label alone, so who asks makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

NEAR_COPY = 0.9
SIDE, SLACK = 40, 4  # cells a side of what is compared, and by how many the one may be shifted against the other
FULL, COARSE = SIDE + 2 * SLACK, 2  # of a crop; the first look has cells of 2 x 2
MARGIN = 0.25  # of the box, on each side
TURNS = 9  # of an example by 0, 10 … 80 degrees; quarter turns and mirror images of the picture do the rest
PARTS = 3  # largest parts of a mask that are compared, besides the whole
KEPT = 8  # poses that the first look leaves to the second
FLAT = 1e-4  # spread of the log of light under which there is nothing to compare
FINEST = 8  # samples a side of one cell, at most

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Poses:
    """A defect as it is compared: its whole mask and its largest parts, N crops.

    `upright` [N, FULL, FULL]; `turned` [N * TURNS, SIDE * SIDE] and `coarse` (a quarter of the cells) are unit rows.
    About 80 KB a crop.
    """

    upright: Float
    turned: Float
    coarse: Float


@dataclass(frozen=True, kw_only=True, slots=True)
class Likest:
    """The highest aligned correlation (-1..1, four digits) with any example, and the number of that example."""

    ncc: float
    example: int

    @property
    def near_copy(self) -> bool:
        """Too alike to count as a new picture."""
        return self.ncc >= NEAR_COPY


class Gallery:
    """Examples to hold pictures against; safe to use from threads."""

    def __init__(self, examples: Sequence[Poses]) -> None:
        self._of = np.repeat(np.arange(len(examples)), [len(e.turned) for e in examples])
        self._turned = np.concatenate([np.zeros((0, SIDE**2), np.float32), *(e.turned for e in examples)])
        few = np.zeros((0, (SIDE // COARSE) ** 2), np.float32)
        self._coarse = np.concatenate([few, *(e.coarse for e in examples)])

    def likest(self, rgb: U8, mask: Bool) -> Likest | None:
        """Hold the defect, and each of its largest parts, against every example; None without an example.

        `rgb` uint8 [H, W, 3], `mask` bool [H, W] that marks something. About 3 CPU-ms and .02 for each crop of the
        gallery. Crops have one size, so a copy that was only scaled or stretched is found.
        """
        return self.likest_of(upright(rgb, mask))

    def likest_of(self, crops: Float) -> Likest | None:
        """The same for crops as `Poses.upright` keeps them."""
        found = [self._one(crop) for crop in crops] if len(self._of) else []
        return max(found, key=lambda f: f.ncc) if found else None

    def _one(self, crop: Float) -> Likest:
        poses = [np.rot90(flipped, k) for flipped in (crop, np.fliplr(crop)) for k in range(4)]
        first = np.stack([(_windows(_area(p, FULL // COARSE), SIDE // COARSE) @ self._coarse.T).max(0) for p in poses])
        likely = np.argsort(-first, axis=None, kind="stable")[:KEPT]
        windows: dict[int, Float] = {}
        best, number = -1.0, 0
        for pose, row in zip(*np.unravel_index(likely, first.shape), strict=True):
            if int(pose) not in windows:
                windows[int(pose)] = _windows(poses[pose], SIDE)
            value = round(min(float((windows[int(pose)] @ self._turned[row]).max()), 1.0), 4)
            if value > best:
                best, number = value, int(self._of[row])
        return Likest(ncc=best, example=number)


def poses_of(rgb: U8, mask: Bool) -> Poses:
    """An example in every turn; a crop around the defect with a quarter of its longer side on each side is enough.

    About 2 CPU-ms. ValueError where the mask marks nothing.
    """
    grey, parts = _local(rgb, mask)
    turned = np.stack([_crop(grey, part, 90 * k / TURNS) for part in parts for k in range(TURNS)])
    inner = turned[:, SLACK:-SLACK, SLACK:-SLACK]
    rows = inner.reshape(len(inner), -1)
    coarse = np.stack([_area(crop, SIDE // COARSE).ravel() for crop in inner])
    return Poses(upright=turned[::TURNS], turned=_unit(rows), coarse=_unit(coarse))


def upright(rgb: U8, mask: Bool) -> Float:
    """The crops of a picture, [N, FULL, FULL]. ValueError where the mask marks nothing."""
    grey, parts = _local(rgb, mask)
    return np.stack([_crop(grey, part, 0.0) for part in parts])


def real_likeness(examples: Sequence[Poses], groups: Sequence[str], *, most: int = 60) -> list[float]:
    """The same among real ones of a type, each against (up to `most` of) those of other groups: a black dot is like any
    other black dot, and how much so tells what the likeness of a generated one is worth."""
    out = []
    for mine, group in zip(examples, groups, strict=True):
        others = [e for e, g in zip(examples, groups, strict=True) if g != group]
        found = Gallery(others[:: max(1, -(-len(others) // most))]).likest_of(mine.upright)
        out += [found.ncc] if found else []
    return out


def _local(rgb: U8, mask: Bool) -> tuple[Float, list[Bool]]:
    """The log of light around the mask, and there the whole mask and, where it has several, its largest parts."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("the mask marks nothing")
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    wide = round(MARGIN * max(y1 - y0, x1 - x0))
    at = slice(max(0, y0 - wide), y1 + wide), slice(max(0, x0 - wide), x1 + wide)
    marked = np.ascontiguousarray(mask[at])
    grey = np.log1p(cv2.cvtColor(np.ascontiguousarray(rgb[at]), cv2.COLOR_RGB2GRAY).astype(np.float32))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    order = sorted(range(1, count), key=lambda i: (-int(stats[i, 4]), int(stats[i, 1]), int(stats[i, 0])))
    return grey, [marked, *(labels == i for i in order[:PARTS] if count > 2)]


def _crop(grey: Float, marked: Bool, degrees: float) -> Float:
    """The box of what is marked, turned, with its margins, on FULL x FULL cells; each is the mean of what it covers."""
    ys = np.flatnonzero(marked.any(axis=1))
    ends = np.concatenate([marked[ys].argmax(axis=1), marked.shape[1] - 1 - marked[ys, ::-1].argmax(axis=1)])
    points = np.stack([ends, np.concatenate([ys, ys])]).astype(np.float64)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[c, s], [-s, c]])  # from the picture (x, y) to the turned frame
    seen = turn @ points
    reach = (abs(c) + abs(s)) / 2  # of half a pixel
    low, high = seen.min(axis=1) - reach, seen.max(axis=1) + reach
    margin = MARGIN * (high - low) + 1
    cell = (high - low + 2 * margin) / FULL
    fine = min(FINEST, max(1, int(np.ceil(cell.max()))))
    linear = turn.T * (cell / fine)
    move = np.hstack([linear, (turn.T @ (low - margin) + linear.sum(axis=1) / 2)[:, None]])
    out = cv2.warpAffine(
        grey, move, (FULL * fine,) * 2, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return _area(np.asarray(out, np.float32), FULL)


def _area(crop: Float, side: int) -> Float:
    return np.asarray(cv2.resize(np.ascontiguousarray(crop), (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _windows(crop: Float, side: int) -> Float:
    """Every square of `side` cells in the crop, as unit rows."""
    return _unit(sliding_window_view(crop, (side, side)).reshape(-1, side * side))


def _unit(rows: Float) -> Float:
    """Rows of mean 0 and length 1; of zeros where there is nothing to see."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = length < FLAT * np.sqrt(rows.shape[1])
    return np.asarray(np.where(flat, 0, centred / np.where(flat, 1, length)), np.float32)
