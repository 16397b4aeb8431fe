"""One picture of rows of images with words beside and below them: made for eyes, the same bytes each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from noescape.imaging import heat_overlay, png_bytes, resize_mask, resize_rgb

U8 = npt.NDArray[np.uint8]

SIDE, GAP, MARGIN = 232, 12, 20
TITLES, CAPTION, NAMES, LEAST = 46, 26, 168, 100
PAPER, INK, MUTED, ALARM = (246, 247, 248), (20, 24, 28), (96, 102, 110), (176, 28, 28)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An image with a line below it; `mask` is outlined; `alarm` prints the line in red."""

    rgb: U8
    caption: str = ""
    mask: U8 | None = None
    alarm: bool = False


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """One image in several cells, with what it is and its name on the left."""

    title: str
    key: str
    cells: tuple[Cell, ...]


def sheet_png(titles: Sequence[str], rows: Sequence[SheetRow]) -> bytes:
    """PNG bytes of a table with one column for each of `titles`."""
    fitted = [[_fitted(cell) for cell in row.cells] for row in rows]
    heights = [max(LEAST, *(image.shape[0] for image in images)) for images in fitted]
    width = MARGIN + NAMES + len(titles) * (SIDE + GAP) + MARGIN
    sheet = Image.new("RGB", (width, TITLES + sum(heights) + len(rows) * (CAPTION + GAP) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        _text(draw, (_left(column), 16), title, 17, INK, SIDE)
    top = TITLES
    for row, images, height in zip(rows, fitted, heights, strict=True):
        below = _paragraph(draw, (MARGIN, top), row.title, 15, INK)
        _paragraph(draw, (MARGIN, below + 6), row.key, 12, MUTED)
        for column, (cell, image) in enumerate(zip(row.cells, images, strict=True)):
            sheet.paste(Image.fromarray(image), (_left(column) + (SIDE - image.shape[1]) // 2, top))
            colour = ALARM if cell.alarm else MUTED
            _text(draw, (_left(column), top + height + 5), cell.caption, 13, colour, SIDE)
        top += height + CAPTION + GAP
    return png_bytes(np.asarray(sheet, dtype=np.uint8))


def _left(column: int) -> int:
    return MARGIN + NAMES + column * (SIDE + GAP)


def _fitted(cell: Cell) -> U8:
    """The image with its longer side at `SIDE` pixels, its mask outlined at that size."""
    h, w = cell.rgb.shape[:2]
    scale = SIDE / max(h, w)
    height, width = max(1, round(h * scale)), max(1, round(w * scale))
    small = resize_rgb(cell.rgb, height, width)
    if cell.mask is not None:
        cold = np.zeros((height, width), np.float32)
        small = heat_overlay(small, cold, (1, 2), resize_mask(cell.mask, height, width))
    return small


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(
    draw: ImageDraw.ImageDraw, xy: tuple[int, int], text: str, size: int, colour: tuple[int, int, int], width: int
) -> None:
    """One line, shortened to `width` pixels."""
    shown = _shown(text)
    if draw.textlength(shown, font=_font(size)) > width:
        while shown and draw.textlength(shown + "…", font=_font(size)) > width:
            shown = shown[:-1]
        shown += "…"
    draw.text(xy, shown, fill=colour, font=_font(size))


def _paragraph(
    draw: ImageDraw.ImageDraw, xy: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]
) -> int:
    """Up to four lines of `NAMES` pixels, broken after spaces, slashes and underscores, or anywhere if need be;
    returns the height at which they end."""
    lines: list[str] = []
    rest = _shown(text)
    while rest and len(lines) < 4:
        fits = len(rest)
        while fits > 1 and draw.textlength(rest[:fits], font=_font(size)) > NAMES - GAP:
            fits -= 1
        if fits < len(rest):
            broken = max(rest.rfind(mark, 0, fits) for mark in " /_") + 1
            fits = broken if broken > fits // 2 else fits
        lines.append(rest[:fits].strip())
        rest = rest[fits:]
    for number, line in enumerate(lines):
        draw.text((xy[0], xy[1] + number * (size + 4)), line, fill=colour, font=_font(size))
    return xy[1] + len(lines) * (size + 4)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
