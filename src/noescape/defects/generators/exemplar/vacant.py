"""A missing component as examples show it: an empty place with its pads and paste, laid where one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from noescape.defects.generators.exemplar.exemplars import Exemplar
from noescape.defects.generators.exemplar.given import Layer, Stock, continued, like, soft
from noescape.defects.generators.exemplar.logdomain import Bool, Float, disc

ALIKE = 0.75  # least intersection over union of the two places
NEARLY = 0.1  # examples so little worse than the best are as good
STRETCH = 0.6  # natural log of the most that one side is drawn out more than the other
PRICE = 0.25  # of stretching: a place that only has to be turned comes before one that is drawn out
RING = 10  # pixels of 256 around a place that show how light it is there
DARKER = 1.0  # natural log of the most that light is changed


@dataclass(frozen=True, kw_only=True, eq=False)
class _Place:
    exemplar: Exemplar
    log: Float
    mask: Bool
    iou: float
    worth: float


def vacant(
    stock: Stock, clean: Float, onto: Bool, board: Bool | None, u: float, rng: np.random.Generator
) -> Layer | None:
    """An example's empty place, turned, mirrored and stretched onto `onto`; None where no example has that shape.

    Its light is brought to that of the surface around (of `board`, where that is known).
    """
    found = list(_fitting(stock, onto))
    if not found:
        return None
    best = max(place.worth for place in found)
    good = [place for place in found if place.worth >= best - NEARLY]
    chosen = good[int(rng.integers(len(good)))]
    ys, xs = np.nonzero(onto)
    y0, x0 = int(ys.min()), int(xs.min())
    h, w = chosen.mask.shape
    inner = onto[y0 : y0 + h, x0 : x0 + w]
    from_y, from_x = continued(chosen.mask, inner)
    log = clean.copy()
    picture = like(clean, chosen.log)
    ring = _around(onto, u) if board is None else _around(onto, u) & board
    ring = ring if ring.any() else ~onto
    light = np.median(clean[ring], axis=0) - np.median(like(clean, _rim(chosen.exemplar)[:, None])[:, 0], axis=0)
    log[y0 : y0 + h, x0 : x0 + w][inner] = picture[from_y, from_x] + np.clip(light, -DARKER, DARKER)
    weight = soft(onto, 0.6, u)
    return Layer(log=np.asarray(log, np.float32), weight=weight, exemplar=chosen.exemplar, fit=chosen.iou)


def _fitting(stock: Stock, onto: Bool) -> Iterator[_Place]:
    """Each example in each of its eight attitudes, stretched to the box of `onto`."""
    ys, xs = np.nonzero(onto)
    target = onto[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    h, w = target.shape
    for exemplar in stock.exemplars:
        if exemplar.touch.any:
            continue
        x0, y0, x1, y1 = exemplar.box
        for turn in range(8):
            mask = _turned(exemplar.mask[y0:y1, x0:x1], turn)
            stretch = abs(float(np.log(h / mask.shape[0]) - np.log(w / mask.shape[1])))
            if stretch > STRETCH:
                continue
            laid = cv2.resize(mask.astype(np.float32), (w, h), interpolation=_way(mask, h, w)) > 0.5
            iou = float((laid & target).sum() / max(1, (laid | target).sum()))
            if not laid.any() or iou < ALIKE:
                continue
            log = _turned(exemplar.log[y0:y1, x0:x1], turn)
            small = cv2.resize(log, (w, h), interpolation=_way(mask, h, w)).reshape(h, w, -1)
            yield _Place(exemplar=exemplar, log=small, mask=laid, iou=iou, worth=iou - PRICE * stretch)


def _turned(picture: Float | Bool, turn: int) -> Float:
    picture = np.rot90(picture, turn % 4)
    return np.ascontiguousarray(picture[:, ::-1] if turn >= 4 else picture)


def _way(mask: Float | Bool, h: int, w: int) -> int:
    return cv2.INTER_AREA if h * w < mask.size else cv2.INTER_LINEAR


def _around(mask: Bool, u: float) -> Bool:
    block = mask.astype(np.uint8)
    inner, outer = max(1, round(2 * u)), max(2, round(RING * u))
    return np.asarray((cv2.dilate(block, disc(inner + outer)) > 0) & (cv2.dilate(block, disc(inner)) == 0))


def _rim(exemplar: Exemplar) -> Float:
    """The pixels [N, C] around an example's place."""
    u = float(np.sqrt(exemplar.mask.size) / 256)
    ring = _around(exemplar.mask, u)
    return exemplar.log[ring if ring.any() else ~exemplar.mask]
