"""A contact sheet: generated defects beside real ones, type by type, for people's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from noescape.datasets.anomalygen import AnomalyGenDataset
from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.labelled import LabelledImage
from noescape.imaging import heat_overlay, png_bytes, read_picture, resize_mask, resize_rgb
from noescape.records import ImageError

REAL, MADE = 4, 8  # columns
CELL, GAP, BAND = 168, 6, 26
PAPER, INK, BROKEN = (234, 237, 240), (20, 24, 28), (245, 228, 228)
MAX_TYPES = 24
Rgb = npt.NDArray[np.uint8]
Item = tuple[Path, Path]


def sheet_png(dataset: AnomalyGenDataset, made: Sequence[LabelledImage], *, outlines: bool = True) -> bytes:
    """PNG bytes: per type a row of whole pictures and a row of the surroundings of the defect, real ones on the left.

    Up to four real and eight generated ones of each type, spread over what there is; with `outlines` the whole
    pictures show the label's outline. Same data, same bytes. About .5 CPU-s a type.
    """
    real = {kind.key: list(kind.pairs) for kind in dataset.types}
    ours: dict[str, list[Item]] = {}
    for item in made:
        ours.setdefault(item.anomaly_type, []).append((item.image, item.mask))
    bands = []
    for key in sorted({*real, *ours})[:MAX_TYPES]:
        left, right = _spread(real.get(key, []), REAL), _spread(ours.get(key, []), MADE)
        bands.append(_title(f"{key}   {len(real.get(key, []))} real | {len(ours.get(key, []))} generated"))
        bands.append(_row(left, right, close=False, outlines=outlines))
        bands.append(_row(left, right, close=True, outlines=False))
    return png_bytes(np.vstack(bands or [_title("no types")]))


def _width() -> int:
    return (REAL + MADE) * (CELL + GAP) + 3 * GAP


def _row(left: Sequence[Item], right: Sequence[Item], *, close: bool, outlines: bool) -> Rgb:
    band = np.full((CELL + GAP, _width(), 3), PAPER, np.uint8)
    for items, first, shift in ((left, 0, GAP), (right, REAL, 2 * GAP)):
        for k, item in enumerate(items):
            x = shift + (first + k) * (CELL + GAP)
            band[:CELL, x : x + CELL] = _cell(*item, close=close, outlines=outlines)
    x = REAL * (CELL + GAP) + GAP
    band[:, x : x + 2] = INK
    return band


def _cell(image: Path, mask: Path, *, close: bool, outlines: bool) -> Rgb:
    cell = np.full((CELL, CELL, 3), PAPER, np.uint8)
    try:
        rgb, label = read_picture(image).rgb, read_binary_mask(mask)
    except ImageError:
        cell[:] = BROKEN
        return cell
    if label.shape == rgb.shape[:2] and close and label.any():
        rgb, label = (_near(p, label) for p in (rgb, label))
    height, width = rgb.shape[:2]
    scale = CELL / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    small = resize_rgb(np.ascontiguousarray(rgb), h, w)
    if outlines and label.shape == rgb.shape[:2]:
        small = heat_overlay(small, np.zeros((h, w), np.float32), (1, 2), resize_mask(label, h, w))
    top, left = (CELL - h) // 2, (CELL - w) // 2
    cell[top : top + h, left : left + w] = small
    return cell


def _near(picture: Rgb, label: Rgb) -> Rgb:
    """The square around the label, 1.8 times its longer side, as far as the picture goes."""
    ys, xs = np.nonzero(label)
    half = max(12, int(max(np.ptp(ys), np.ptp(xs)) * 0.9))
    cy, cx = (int(ys.min()) + int(ys.max())) // 2, (int(xs.min()) + int(xs.max())) // 2
    return picture[max(0, cy - half) : cy + half, max(0, cx - half) : cx + half]


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]


def _title(text: str) -> Rgb:
    picture = Image.fromarray(np.full((BAND, _width(), 3), PAPER, np.uint8))
    shown = "".join(c if c.isprintable() else "?" for c in text)[:160]
    ImageDraw.Draw(picture).text((GAP, 6), shown, fill=INK, font=ImageFont.load_default(13))
    return np.asarray(picture, np.uint8)
