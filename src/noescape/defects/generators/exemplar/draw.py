"""One picture: an arm for it, a layer for each part of the mask, the label cut to what really changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.given import Layer, Stock, cutpaste, noise, transplant, widening
from noescape.defects.generators.exemplar.logdomain import Bool, Float, disc, to_log, to_rgb, unit
from noescape.defects.generators.exemplar.missing import missing
from noescape.defects.generators.exemplar.vacant import vacant
from noescape.records import Box, DataError

TRIES = 5
SEEN = 3  # grey levels of change that count as changed
FAINT, FAINT_LOG = (
    3.0,
    0.06,
)  # mean change inside the mask (grey levels, share) under which a draw is done again, stronger
KNEE, WHITE = 190.0, 254.0  # grey levels between which highlights are rolled off
SMALLEST = 4  # pixels of a part of a label
GAP = 16  # side (pixels of 256) of the largest gap in a label that is closed
DRAWERS = {"transplant": transplant, "cutpaste": cutpaste, "perlin": noise}
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """What to draw with: the type's stock, weights of arms, a range of strength, and where bare board is (for
    `missing`)."""

    stock: Stock
    arms: Mapping[str, float]
    strength: tuple[float, float]
    board: Bool | None = None


def draw_into(
    drawing: Drawing, clean: U8, parts: Sequence[Bool], rng: np.random.Generator
) -> tuple[U8, U8, dict[str, Any]]:
    """The picture, its label (0/255), and what was done. Outside of the widened parts it is `clean` to the bit.

    DataError where no draw of TRIES changes anything that can be seen.
    """
    names = list(drawing.arms)
    arm = names[int(rng.choice(len(names), p=np.array([drawing.arms[n] for n in names]) / sum(drawing.arms.values())))]
    u = unit(clean.shape)
    image, label = clean.copy(), np.zeros(clean.shape[:2], np.uint8)
    told: list[dict[str, Any]] = []
    for i in sorted(range(len(parts)), key=lambda i: -int(parts[i].sum())):
        told.append(_draw_part(drawing, arm, image, label, parts[i], u, rng))
    if not label.any():
        raise DataError(
            f"nothing that can be seen changed in {TRIES} draws by {arm}: the mask is too small (a few pixels), or the "
            "surface there is as dark or bright as the defect"
        )
    return image, label, {"generator": "exemplar", "arm": arm, "parts": told, "widening_px": widening(u)}


def _draw_part(
    drawing: Drawing, arm: str, image: U8, label: U8, part: Bool, u: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw one part into `image` and `label`; what was done."""
    box = _box(part)
    at = _window(box, part.shape, u, wide=not drawing.stock.traits.small or arm == "missing")
    before, onto = image[at].copy(), np.ascontiguousarray(part[at])
    log = to_log(before)
    board = None if drawing.board is None else drawing.board[at]
    for attempt in range(TRIES):
        strength = float(rng.uniform(*drawing.strength)) * 1.35**attempt
        if arm == "missing":
            layer = vacant(drawing.stock, log, onto, board, u, rng) or missing(log, onto, board, u)
        else:
            layer = DRAWERS[arm](drawing.stock, log, onto, u, strength, rng)
        after = _blended(before, log, _unsaturated(layer))
        change = _peak(cv2.absdiff(after, before))
        if change[onto].mean() >= max(FAINT, FAINT_LOG * float(before[onto].mean())):
            break
    kept = _really_changed(onto, change, u)
    if kept.sum() < onto.sum():  # what the label does not hold was too faint to be seen: it goes altogether
        wide = widening(u)
        near = cv2.dilate(kept.astype(np.uint8), disc(wide))
        after[near == 0] = before[near == 0]
    image[at] = after
    label[at][kept] = 255
    row: dict[str, Any] = {"strength": round(strength, 4), "fit": round(layer.fit, 4)}
    return row | ({"exemplar": layer.exemplar.name} if layer.exemplar else {})


def _unsaturated(layer: Layer) -> Layer:
    """With a shoulder on the highlights, as a camera has one: a bright defect on a bright part keeps its detail."""
    if float(layer.log.max()) <= np.log1p(WHITE):
        return layer
    grey = np.expm1(layer.log)
    over = np.maximum(grey - KNEE, 0) / (WHITE - KNEE)
    rolled = np.where(over > 0, KNEE + (WHITE - KNEE) * (1 - np.exp(-over)), grey)
    return replace(layer, log=np.log1p(rolled).astype(np.float32))


def _blended(before: U8, log: Float, layer: Layer) -> U8:
    out = before.copy()
    there = layer.weight[..., 0] > 0
    new = to_rgb(log * (1 - layer.weight) + layer.log * layer.weight)
    out[there] = new[there]
    return out


def _peak(change: U8) -> U8:
    """The largest of the three channels."""
    red, green, blue = cv2.split(change)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _really_changed(onto: Bool, change: U8, u: float) -> Bool:
    """The mask without regions where nothing can be seen, and without crumbs.

    What lies within a few pixels of a visible change stays, and so do small gaps: the inside of a large defect is not
    shredded where it happens to be as bright as the surface was.
    """
    near = cv2.dilate((change >= SEEN).astype(np.uint8), disc(max(1, round(3 * u)))) > 0
    kept = onto & (near | _small(onto & ~near, round((GAP * u) ** 2)))
    return np.asarray(kept & ~_small(kept, SMALLEST), np.bool_)


def _small(mask: Bool, area: int) -> Bool:
    """The connected parts of a mask with fewer pixels than `area`."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    few = stats[:, cv2.CC_STAT_AREA] < area
    few[0] = False
    return np.asarray(few[labels], np.bool_)


def _box(mask: Bool) -> Box:
    ys, xs = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _window(box: Box, size: tuple[int, ...], u: float, *, wide: bool) -> tuple[slice, slice]:
    margin = round((24 if wide else 12) * u) + 2
    x0, y0, x1, y1 = box
    return slice(max(0, y0 - margin), min(size[0], y1 + margin)), slice(max(0, x0 - margin), min(size[1], x1 + margin))
