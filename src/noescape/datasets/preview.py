"""A contact sheet of a data set: rows of good images, then a row per defect type with the mask outlined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from noescape.datasets.mvtec import Layout
from noescape.imaging import MAX_PIXELS, heat_overlay, png_bytes, read_picture, resize_mask, resize_rgb
from noescape.records import ImageError, Sample

RGB = npt.NDArray[np.uint8]

COLUMNS = 8
CELL = 148
GAP = 6
LABEL = 26
TITLE = 40
MAX_TYPES = 30
PAPER, INK, MUTED = (234, 237, 240), (20, 24, 28), (84, 90, 98)
BROKEN = (245, 228, 228)


def preview_png(layouts: Sequence[Layout], *, max_pixels: int = MAX_PIXELS) -> bytes:
    """PNG bytes of one sheet for all `layouts`: per category the training images, then each folder of `test/`.

    Up to eight images per row, spread over the folder and its groups; masks outlined in cyan. An image that cannot be
    read leaves a pink cell with the reason's code. Same data, same bytes.
    """
    bands: list[RGB] = []
    for layout in layouts:
        bands.append(_text_band(f"{layout.category}", TITLE, 20, INK))
        for title, samples in _rows(layout):
            bands.append(_text_band(title, LABEL, 13, MUTED))
            bands.append(_row(_spread(samples, COLUMNS), max_pixels))
    return png_bytes(np.vstack(bands)) if bands else png_bytes(_text_band("no images", TITLE, 20, INK))


def _rows(layout: Layout) -> list[tuple[str, list[Sample]]]:
    by_type: dict[str, list[Sample]] = defaultdict(list)
    for sample in (*layout.test, *layout.uncertain):
        by_type[sample.defect_type].append(sample)
    rows = [(f"train / good   {len(layout.train)} images", list(layout.train))] if layout.train else []
    names = sorted(by_type, key=lambda n: (n != "good", n == "uncertain", n))
    for name in names[:MAX_TYPES]:
        masks = sum(s.mask is not None for s in by_type[name])
        marked = f", {masks} with mask (outlined)" if masks else ""
        rows.append((f"test / {name}   {len(by_type[name])} images{marked}", by_type[name]))
    if len(names) > MAX_TYPES:
        rows.append((f"… and {len(names) - MAX_TYPES} more types", []))
    return rows


def _spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Up to `count` samples, evenly over the folder; one per group before a second one of any group."""
    firsts = list({s.group or s.key: s for s in reversed(samples)}.values())[::-1]
    pool = firsts if len(firsts) >= count else samples
    if len(pool) <= count:
        return list(pool)
    picked = [pool[round(k * (len(pool) - 1) / (count - 1))] for k in range(count)]
    missing = [s for s in firsts if s not in picked]
    return sorted([*missing, *picked][:count], key=lambda s: s.key) if pool is samples else picked


def _row(samples: Sequence[Sample], max_pixels: int) -> RGB:
    band = np.full((CELL + GAP if samples else 0, COLUMNS * (CELL + GAP) + GAP, 3), PAPER, np.uint8)
    for k, sample in enumerate(samples):
        x = GAP + k * (CELL + GAP)
        band[:CELL, x : x + CELL] = _cell(sample, max_pixels)
    return band


def _cell(sample: Sample, max_pixels: int) -> RGB:
    """The image fitted into a square cell, centred on paper, with its mask outlined at the cell's resolution."""
    cell = np.full((CELL, CELL, 3), PAPER, np.uint8)
    try:
        rgb = read_picture(sample.image, max_pixels=max_pixels).rgb
        mask = read_picture(sample.mask, max_pixels=max_pixels).rgb.max(axis=2) if sample.mask else None
    except ImageError as error:
        cell[:] = BROKEN
        return _write(cell, (8, CELL // 2 - 8), error.code, 13, INK)
    h, w = rgb.shape[:2]
    scale = CELL / max(h, w)
    height, width = max(1, round(h * scale)), max(1, round(w * scale))
    small = resize_rgb(rgb, height, width)
    if mask is not None and mask.shape == (h, w):
        small = heat_overlay(small, np.zeros((height, width), np.float32), (1, 2), resize_mask(mask, height, width))
    top, left = (CELL - height) // 2, (CELL - width) // 2
    cell[top : top + height, left : left + width] = small
    return cell


def _text_band(text: str, height: int, size: int, colour: tuple[int, int, int]) -> RGB:
    band = np.full((height, COLUMNS * (CELL + GAP) + GAP, 3), PAPER, np.uint8)
    return _write(band, (GAP, (height - size) // 2), text, size, colour)


def _write(rgb: RGB, xy: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> RGB:
    image = Image.fromarray(rgb)
    shown = "".join(c if c.isprintable() else "?" for c in text)[:140]
    ImageDraw.Draw(image).text(xy, shown, fill=colour, font=ImageFont.load_default(size))
    return np.asarray(image, dtype=np.uint8)
