"""A stand-in for the first photo: a render under another light, through a lens, at another place, and said to be one.

It shows how day 1 goes where there is no photo yet. It is no measure of how well real photos are lined up: it has the
parts of the render, its shadows and its outlines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.imaging.warp import Pose, Size

Rgb = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
_TABLE = 40  # grey of what lies around the board
_LENS = 0.0015  # at the corners the lens moves a pixel by up to this share of the half diagonal


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """How it was made. `lens`: a pixel at r (1 at the corners) from the photo's centre shows r (1 + lens r²)."""

    pose: Pose
    lens: float
    render: Size
    photo: Size
    seed: int

    def to_photo(self, xy: npt.ArrayLike) -> Points:
        """Places (x, y) [..., 2] of the render in the photo, the lens included."""
        m = self.pose.matrix(self.render, self.photo)
        ideal = np.asarray(xy, dtype=np.float64) @ m[:, :2].T + m[:, 2]
        center, half = self._unit()
        wanted = (ideal - center) / half
        at = wanted
        for _ in range(20):  # the lens moves little, so that this settles at once
            at = wanted / (1 + self.lens * (at**2).sum(axis=-1, keepdims=True))
        return np.asarray(at * half + center)

    def _unit(self) -> tuple[Points, float]:
        h, w = self.photo
        return np.array([(w - 1) / 2, (h - 1) / 2]), math.hypot(w - 1, h - 1) / 2

    def to_json(self) -> dict[str, Any]:
        """The truth, as a file says it."""
        return {
            "origin": "stand-in: a render changed by noescape, not a photo",
            **self.pose.to_json(),
            "lens": self.lens,
            "render_size": [self.render[1], self.render[0]],
            "photo_size": [self.photo[1], self.photo[0]],
            "seed": self.seed,
        }


def make_standin(render: Rgb, *, seed: int, scale: float = 1.0, shift: float = 0.02) -> tuple[Rgb, StandIn]:
    """A stand-in of `render` (RGB uint8) and its truth. Same seed, same picture.

    The photo has `scale` times the pixels of the render; it is scaled by 1 % more or less across and down, turned by up
    to 1.5 degrees, moved by up to `shift` of its longer side; then lens, tones, colour of the light, uneven light, a
    few spots of gloss, blur and noise. About .5 s for 1,024 x 1,024.
    """
    rng = np.random.default_rng([seed, 4211])
    h, w = render.shape[:2]
    size = (max(8, round(h * scale)), max(8, round(w * scale)))
    far = shift * max(size)
    pose = Pose(
        sx=size[1] / w * rng.uniform(0.99, 1.01),
        sy=size[0] / h * rng.uniform(0.99, 1.01),
        rotation=math.radians(rng.uniform(-1.5, 1.5)),
        tx=rng.uniform(-far, far),
        ty=rng.uniform(-far, far),
    )
    truth = StandIn(pose=pose, lens=rng.uniform(-_LENS, _LENS), render=(h, w), photo=size, seed=seed)
    truth = replace(truth, pose=Pose.from_json({k: round(v, 9) for k, v in pose.to_json().items()}))
    return _exposed(_taken(render, truth), rng), truth


def _taken(render: Rgb, truth: StandIn) -> npt.NDArray[np.float32]:
    """The render as the lens puts it onto the photo's pixels, 0..1."""
    h, w = truth.photo
    center, half = truth._unit()
    y, x = np.mgrid[0:h, 0:w]
    at = (np.stack([x, y], axis=-1) - center) / half
    ideal = at * (1 + truth.lens * (at**2).sum(axis=-1, keepdims=True)) * half + center
    m = truth.pose.matrix(truth.render, truth.photo)
    source = ((ideal - m[:, 2]) @ np.linalg.inv(m[:, :2]).T).astype(np.float32)
    out = cv2.remap(
        render, source[..., 0], source[..., 1], cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(_TABLE, _TABLE, _TABLE),
    )  # fmt: skip
    return np.asarray(out, dtype=np.float32) / np.float32(255)


def _exposed(photo: npt.NDArray[np.float32], rng: np.random.Generator) -> Rgb:
    """Other tones and colours, uneven light, gloss, blur, noise."""
    h, w = photo.shape[:2]
    mix = np.eye(3) + rng.uniform(-0.15, 0.15, (3, 3))
    tint = rng.uniform(0.8, 1.15, 3)
    photo = np.clip(photo @ (mix * tint).astype(np.float32), 0, 1) ** np.float32(rng.uniform(0.7, 1.3))
    y, x = np.mgrid[-0.5 : 0.5 : h * 1j, -0.5 : 0.5 : w * 1j].astype(np.float32)
    turn = rng.uniform(0, 2 * math.pi)
    photo = photo * (1 + 0.35 * (math.cos(turn) * x + math.sin(turn) * y))[..., None]
    gloss = np.zeros((h, w), np.float32)
    for _ in range(6):
        at, radius = (int(rng.uniform(0, w)), int(rng.uniform(0, h))), rng.uniform(0.004, 0.02) * max(h, w)
        cv2.circle(gloss, at, max(1, int(radius)), float(rng.uniform(0.2, 0.7)), -1)
    photo = photo + cv2.GaussianBlur(gloss, (0, 0), max(0.5, 0.004 * max(h, w)))[..., None]
    photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.5, 1.0))
    photo = photo + rng.normal(0, rng.uniform(0.008, 0.02), photo.shape).astype(np.float32)
    return np.asarray(np.clip(photo * 255 + 0.5, 0, 255), dtype=np.uint8)
