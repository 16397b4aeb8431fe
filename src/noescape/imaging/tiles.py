"""Cut a large image into overlapping tiles and put the maps of the tiles together again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noescape.records import Box


def tile_boxes(height: int, width: int, tile: int, overlap: int) -> list[Box]:
    """Boxes of `tile` x `tile` source pixels that cover the image, row by row, at least `overlap` shared.

    The last row and column are moved inwards so that every tile has full size; an image smaller than a tile in
    one direction gives one tile of the image's extent there.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must be in 0..tile-1, got overlap {overlap} with tile {tile}")
    return [
        (x, y, min(x + tile, width), min(y + tile, height))
        for y in _starts(height, tile, overlap)
        for x in _starts(width, tile, overlap)
    ]


def stitch_max(
    maps: list[npt.NDArray[np.float32]], boxes: list[Box], height: int, width: int
) -> npt.NDArray[np.float32]:
    """One map `[height, width]` from tile maps of their boxes' sizes; where tiles overlap the larger value counts."""
    out = np.full((height, width), -np.inf, np.float32)
    for values, (x0, y0, x1, y1) in zip(maps, boxes, strict=True):
        part = out[y0:y1, x0:x1]
        np.maximum(part, values, out=part)
    return out


def _starts(extent: int, tile: int, overlap: int) -> list[int]:
    if extent <= tile:
        return [0]
    step = tile - overlap
    count = -(-(extent - tile) // step) + 1
    return [min(i * step, extent - tile) for i in range(count)]
