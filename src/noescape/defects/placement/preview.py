"""A contact sheet of placed masks: for each type two real examples, then clean images with the new masks outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from noescape.datasets.binary_mask import read_binary_mask
from noescape.defects.placement.attempt import Row
from noescape.defects.placement.options import Plan
from noescape.defects.placement.place import Placed
from noescape.imaging import heat_overlay, png_bytes, read_picture, resize_mask, resize_rgb

RGB = npt.NDArray[np.uint8]
T = TypeVar("T")

EXAMPLES, NEW = 2, 6
CELL, GAP, LABEL = 160, 6, 26
WIDTH = (EXAMPLES + NEW) * (CELL + GAP) + 2 * GAP
PAPER, INK = (234, 237, 240), (20, 24, 28)


def sheet_png(plan: Plan, placed: Placed) -> bytes:
    """PNG bytes. Same plan and result, same bytes; about 20 ms per type."""
    bands: list[RGB] = []
    for kind in plan.types:
        rows = [row for row in placed.rows if row.plan is kind and row.mask is not None]
        bands.append(_title(f"{kind.kind.key}   {len(rows)} placed, {kind.spec.spatial_dependency}", rows))
        cells = [_cell(image, read_binary_mask(mask)) for image, mask in _spread(kind.kind.pairs, EXAMPLES)]
        cells += [_blank() for _ in range(EXAMPLES - len(cells))]
        for row in _spread(rows, NEW):
            if row.mask is not None:
                cells.append(_cell(row.clean, read_binary_mask(row.mask)))
        bands.append(_band(cells))
    return png_bytes(np.vstack(bands)) if bands else png_bytes(_blank())


def _spread(items: Sequence[T], count: int) -> list[T]:
    """Up to `count`, evenly over all."""
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]


def _cell(path: Path, mask: RGB) -> RGB:
    """The image fitted into a square, its mask outlined in cyan."""
    cell = _blank()
    rgb = read_picture(path).rgb
    height, width = rgb.shape[:2]
    scale = CELL / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = resize_rgb(rgb, *size)
    if mask.shape == (height, width):
        small = heat_overlay(small, np.zeros(size, np.float32), (1, 2), resize_mask(mask, *size))
    top, left = (CELL - size[0]) // 2, (CELL - size[1]) // 2
    cell[top : top + size[0], left : left + size[1]] = small
    return cell


def _band(cells: Sequence[RGB]) -> RGB:
    band = np.full((CELL + GAP, WIDTH, 3), PAPER, np.uint8)
    for k, cell in enumerate(cells[: EXAMPLES + NEW]):
        x = GAP + k * (CELL + GAP) + (GAP if k >= EXAMPLES else 0)
        band[:CELL, x : x + CELL] = cell
    return band


def _title(text: str, rows: Sequence[Row]) -> RGB:
    band = Image.new("RGB", (WIDTH, LABEL), PAPER)
    odd = sorted({row.status for row in rows} - {"OK"})
    full = f"{text}{', some ' + ' '.join(odd) if odd else ''}   (left: real examples)"
    shown = "".join(c if c.isprintable() else "?" for c in full)[:150]
    ImageDraw.Draw(band).text((GAP, 6), shown, fill=INK, font=ImageFont.load_default(13))
    return np.asarray(band, dtype=np.uint8)


def _blank() -> RGB:
    return np.full((CELL, CELL, 3), PAPER, np.uint8)
