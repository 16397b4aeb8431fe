"""Between the pixels of a render and those of the photo that was laid on it; and parts cut out of the photo."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.files import read_json_object
from noescape.imaging.warp import Pose, Size, inside, warped
from noescape.records import DataError

Points = npt.NDArray[np.float64]
_TOO_FINE = 1.5  # photo pixels per render pixel from which the photo is shrunk before it is read, against aliasing


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A pose and the two sizes (height, width) that it holds for."""

    pose: Pose
    render: Size
    photo: Size

    def to_photo(self, xy: npt.ArrayLike) -> Points:
        """Places (x, y) [..., 2] of the render in pixels of the photo. Pixel centres are whole numbers."""
        m = self.pose.matrix(self.render, self.photo)
        return np.asarray(np.asarray(xy, dtype=np.float64) @ m[:, :2].T + m[:, 2])

    def to_render(self, xy: npt.ArrayLike) -> Points:
        """Places (x, y) [..., 2] of the photo in pixels of the render."""
        m = self.pose.matrix(self.render, self.photo)
        return np.asarray((np.asarray(xy, dtype=np.float64) - m[:, 2]) @ np.linalg.inv(m[:, :2]).T)

    def valid(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the render the photo shows, [height, width]."""
        return inside(self.pose, self.photo, self.render)


def on_render(photo: npt.NDArray[Any], placed: Placed, *, how: int = cv2.INTER_LINEAR) -> npt.NDArray[Any]:
    """The photo on the pixels of the render. A photo of finer pixels is shrunk by area first; outside, its border."""
    h, w = photo.shape[:2]
    rate = math.sqrt(placed.pose.sx * placed.pose.sy)
    if rate <= _TOO_FINE:
        return warped(photo, placed.pose, placed.render, how)
    size = (max(1, round(w / rate)), max(1, round(h / rate)))
    kx, ky = size[0] / w, size[1] / h
    p = placed.pose
    smaller = replace(p, sx=p.sx * kx, sy=p.sy * ky, tx=p.tx * kx, ty=p.ty * ky)
    return warped(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), smaller, placed.render, how)


def crop_photo(
    photo: npt.NDArray[np.uint8],
    placed: Placed,
    boxes: Iterable[tuple[float, float, float, float]],
    *,
    scale: float = 1.0,
) -> list[npt.NDArray[np.uint8] | None]:
    """Cut boxes of the render (xyxy in its pixels, half-open) out of the photo, upright as the render has them.

    `scale`: pixels of a crop per render pixel (1: masks of the render fit as they are; the pose's own scale keeps the
    photo's detail). None for a box of which the photo does not show everything. DataError for a photo of another size.
    """
    if photo.shape[:2] != placed.photo:
        raise DataError(f"the photo is {photo.shape[:2]} (height, width); the pose was found for {placed.photo}")
    return [_cut(photo, placed, box, scale) for box in boxes]


def _cut(
    photo: npt.NDArray[np.uint8], placed: Placed, box: tuple[float, float, float, float], scale: float
) -> npt.NDArray[np.uint8] | None:
    x0, y0, x1, y1 = box
    size = (round((y1 - y0) * scale), round((x1 - x0) * scale))
    if min(size) < 1:
        return None
    corners = placed.to_photo([(x0, y0), (x1 - 1, y0), (x0, y1 - 1), (x1 - 1, y1 - 1)])
    if (corners < -0.5).any() or (corners > np.array(placed.photo[::-1]) - 0.5).any():
        return None
    # Pixel i of the crop lies at x0 - 1/2 + (i + 1/2) / scale of the render.
    m = placed.pose.matrix(placed.render, placed.photo)
    first = np.array([x0, y0]) - 0.5 + 0.5 / scale
    matrix = np.column_stack([m[:, :2] / scale, m[:, :2] @ first + m[:, 2]])
    low = np.floor(corners.min(axis=0) - 4).astype(int).clip(0)
    high = np.ceil(corners.max(axis=0) + 5).astype(int)
    part = photo[low[1] : high[1], low[0] : high[0]]
    matrix[:, 2] -= low
    coarser = math.sqrt(placed.pose.sx * placed.pose.sy) / scale
    if coarser > _TOO_FINE:
        part = cv2.GaussianBlur(part, (0, 0), 0.4 * coarser).astype(np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(part, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.uint8)


def read_placed(path: Path) -> Placed:
    """What `noescape board align` wrote beside `params.json` (`alignment.json`). DataError on anything else."""
    said = read_json_object(path, "an alignment that `noescape board align` wrote")
    try:
        (w, h), (photo_w, photo_h) = ((int(v) for v in said[key]) for key in ("render_size", "photo_size"))
        pose = Pose.from_json(said)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected an alignment of a photo; {error!r} is missing or wrong in it") from None
    if min(w, h, photo_w, photo_h) < 1:
        raise DataError(f"{path}: sizes of pictures must be over 0")
    return Placed(pose=pose, render=(h, w), photo=(photo_h, photo_w))
