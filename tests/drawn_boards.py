"""Boards drawn twice: flat, as CAD shows them, and as a camera might, with other tones, parts and a known warp."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.imaging.warp import Pose

Rgb = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Size = tuple[int, int]
Box = tuple[float, float, float, float]

FLAT = {
    "board": (20, 95, 60),
    "track": (35, 130, 80),
    "pad": (205, 190, 120),
    "silk": (240, 240, 240),
    "hole": (8, 8, 8),
}
PARTS = {"resistor": (45, 45, 50), "capacitor": (165, 125, 85), "ic": (70, 70, 75)}
LOOKS = (
    # board, track, pad, silk, hole, resistor, capacitor, ic: what a camera might make of them
    (
        (60, 40, 30),
        (95, 60, 40),
        (150, 160, 235),
        (225, 215, 200),
        (15, 15, 15),
        (30, 25, 25),
        (130, 100, 80),
        (50, 45, 45),
    ),
    (
        (35, 60, 120),
        (60, 90, 150),
        (235, 225, 215),
        (230, 240, 250),
        (120, 120, 130),
        (25, 25, 30),
        (215, 195, 160),
        (90, 90, 95),
    ),
    (
        (150, 165, 150),
        (120, 140, 125),
        (70, 75, 90),
        (235, 240, 235),
        (200, 200, 200),
        (30, 30, 40),
        (110, 90, 70),
        (45, 50, 45),
    ),
)
NAMES = (*FLAT, *PARTS)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Geometry in units of the shorter side, 0..1 down and `wide` across; kinds as in NAMES."""

    wide: float
    tracks: tuple[tuple[tuple[float, float], ...], ...]
    pads: tuple[Box, ...]
    parts: tuple[tuple[str, Box], ...]
    holes: tuple[tuple[float, float, float], ...]
    silk: tuple[Box, ...]


def draw(seed: int, *, wide: float = 1.0, parts: int = 60, filled: float = 1.0, tracks: int | None = None) -> Drawn:
    """A random board: chips with two pads, a few many-legged parts, tracks in eighth turns, holes, silk frames.

    `filled`: the share of its width that has anything on it.
    """
    rng = np.random.default_rng([seed, 77])
    pads: list[Box] = []
    found: list[tuple[str, Box]] = []
    silk: list[Box] = []
    for i in range(parts):
        x, y = rng.uniform(0.05, wide * filled - 0.05), rng.uniform(0.05, 0.95)
        if i < max(1, parts // 15):
            half = rng.uniform(0.035, 0.07)
            box = (x - half, y - half, x + half, y + half)
            if _free(box, found):
                found.append(("ic", box))
                pads += _legs(box)
            continue
        long, short = rng.uniform(0.012, 0.026), rng.uniform(0.007, 0.012)
        dx, dy = (long, short) if rng.random() < 0.5 else (short, long)
        box = (x - dx, y - dy, x + dx, y + dy)
        if not _free(box, found):
            continue
        found.append((("resistor", "capacitor")[int(rng.integers(2))], box))
        for sign in (-1, 1):
            cx, cy = (x + sign * dx, y) if dx > dy else (x, y + sign * dy)
            pads.append((cx - short * 0.8, cy - short * 0.8, cx + short * 0.8, cy + short * 0.8))
        if rng.random() < 0.5:
            silk.append((box[0] - 0.008, box[1] - 0.008, box[2] + 0.008, box[3] + 0.008))
    ways = tuple(_track(rng, wide * filled) for _ in range(parts if tracks is None else tracks))
    far = wide * filled - 0.03
    holes = tuple((rng.uniform(0.03, far), rng.uniform(0.03, 0.97), rng.uniform(0.003, 0.008)) for _ in range(parts))
    return Drawn(wide=wide, tracks=ways, pads=tuple(pads), parts=tuple(found), holes=holes, silk=tuple(silk))


def _free(box: Box, others: list[tuple[str, Box]]) -> bool:
    return all(
        box[2] + 0.02 < b[0] or b[2] + 0.02 < box[0] or box[3] + 0.02 < b[1] or b[3] + 0.02 < box[1] for _, b in others
    )


def _legs(box: Box) -> list[Box]:
    count, out = 8, []
    for i in range(count):
        t = (i + 0.5) / count
        x, y = box[0] + t * (box[2] - box[0]), box[1] + t * (box[3] - box[1])
        out += [
            (x - 0.002, box[1] - 0.012, x + 0.002, box[1] + 0.004),
            (x - 0.002, box[3] - 0.004, x + 0.002, box[3] + 0.012),
        ]
        out += [
            (box[0] - 0.012, y - 0.002, box[0] + 0.004, y + 0.002),
            (box[2] - 0.004, y - 0.002, box[2] + 0.012, y + 0.002),
        ]
    return out


def _track(rng: np.random.Generator, wide: float) -> tuple[tuple[float, float], ...]:
    at = [(rng.uniform(0, wide), rng.uniform(0, 1))]
    for _ in range(int(rng.integers(2, 5))):
        turn, far = math.pi / 4 * int(rng.integers(8)), rng.uniform(0.03, 0.18)
        at.append((at[-1][0] + far * math.cos(turn), at[-1][1] + far * math.sin(turn)))
    return tuple(at)


def flat(board: Drawn, height: int) -> Rgb:
    """As CAD shows it, `height` pixels high."""
    colors = FLAT | PARTS
    return _painted(board, height, colors, margin=0, parts=board.parts)


def _painted(
    board: Drawn,
    height: int,
    colors: dict[str, tuple[int, int, int]],
    *,
    margin: int,
    parts: tuple[tuple[str, Box], ...],
) -> Rgb:
    """Everything in order of its height, `margin` pixels of board around; small ones twice as fine, then averaged."""
    fine = 2 if height <= 1100 else 1
    unit = height * fine
    off = margin * fine
    out = np.full((unit + 2 * off, round(board.wide * unit) + 2 * off, 3), colors["board"], np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round((x * unit + off) * 16), round((y * unit + off) * 16)

    def box(b: Box, color: tuple[int, int, int], thick: int = -1) -> None:
        corners = np.array([at(b[0], b[1]), at(b[2], b[1]), at(b[2], b[3]), at(b[0], b[3])], np.int32)
        if thick < 0:
            cv2.fillConvexPoly(out, corners, color, cv2.LINE_AA, 4)
        else:
            cv2.polylines(out, [corners], True, color, thick, cv2.LINE_AA, 4)

    for track in board.tracks:
        cv2.polylines(
            out,
            [np.array([at(*p) for p in track], np.int32)],
            False,
            colors["track"],
            max(1, unit // 170),
            cv2.LINE_AA,
            4,
        )
    for pad in board.pads:
        box(pad, colors["pad"])
    for x, y, r in board.holes:
        cv2.circle(out, at(x, y), round(r * 1.6 * unit * 16), colors["pad"], -1, cv2.LINE_AA, 4)
        cv2.circle(out, at(x, y), round(r * unit * 16), colors["hole"], -1, cv2.LINE_AA, 4)
    for frame in board.silk:
        box(frame, colors["silk"], max(1, unit // 500))
    for kind, b in parts:
        box(b, colors[kind])
    if fine > 1:
        out = cv2.resize(out, (out.shape[1] // fine, out.shape[0] // fine), interpolation=cv2.INTER_AREA)
    return np.asarray(out, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """How hard a photo is: share of parts gone or of other kinds, blur in px at 2,048, noise, blobs of gloss."""

    gone: float = 0.1
    blur: float = 2.0
    noise: float = 8.0
    blobs: int = 12
    light: float = 0.5
    lens: float = 0.0


def photograph(board: Drawn, height: int, pose: Pose, size: Size, *, seed: int, shot: Shot | None = None) -> Rgb:
    """A photo [size] of the board whose render is `height` high, such that `pose` reads it back onto the render."""
    shot = shot or Shot()
    rng = np.random.default_rng([seed, 5])
    look = LOOKS[int(rng.integers(len(LOOKS)))]
    colors = {
        name: tuple(int(v) for v in np.clip(np.array(c) + rng.integers(-12, 13, 3), 0, 255))
        for name, c in zip(NAMES, look, strict=True)
    }
    kept = []
    for kind, b in board.parts:
        fate = rng.random()
        if fate < shot.gone / 2:
            continue
        kept.append(("ic" if fate < shot.gone else kind, b))
    margin = height // 3
    canvas = _painted(board, height, colors, margin=margin, parts=tuple(kept)).astype(np.float32)  # type: ignore[arg-type]
    canvas = _tall(canvas, kept, height, margin, rng)
    outside = np.ones(canvas.shape[:2], bool)
    outside[margin:-margin, margin:-margin] = False
    canvas[outside] = rng.integers(20, 220, 3)
    frame = (height, round(board.wide * height))
    shift = np.array([[1, 0, margin], [0, 1, margin], [0, 0, 1]], np.float64)
    to_photo = np.vstack([pose.matrix(frame, size), [0, 0, 1]]) @ np.linalg.inv(shift)
    how = cv2.INTER_LINEAR if max(pose.sx, pose.sy) >= 0.7 else cv2.INTER_AREA
    if how == cv2.INTER_AREA:
        canvas = cv2.GaussianBlur(canvas, (0, 0), 0.4 / max(pose.sx, pose.sy))
    photo = cv2.warpAffine(canvas, to_photo[:2], size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _exposed(photo, shot, rng, height / 2048 * math.sqrt(pose.sx * pose.sy))


def _tall(canvas: Float, parts: list[tuple[str, Box]], height: int, margin: int, rng: np.random.Generator) -> Float:
    """Shadows beside the parts, all one way."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    turn = rng.uniform(0, 2 * math.pi)
    dx, dy = 0.006 * math.cos(turn), 0.006 * math.sin(turn)
    for _, b in parts:
        x0, y0, x1, y1 = (round(v * height) + margin for v in (b[0] + dx, b[1] + dy, b[2] + dx, b[3] + dy))
        cv2.rectangle(mask, (x0, y0), (x1, y1), 255, -1)
    for _, b in parts:
        x0, y0, x1, y1 = (round(v * height) + margin for v in b)
        cv2.rectangle(mask, (x0, y0), (x1, y1), 0, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, height * 0.0015)).astype(np.float32) / 255
    return np.asarray(canvas * (1 - 0.55 * soft[..., None]), dtype=np.float32)


def _exposed(photo: Float, shot: Shot, rng: np.random.Generator, unit: float) -> Rgb:
    """Uneven light, gloss, blur, noise."""
    h, w = photo.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    turn = rng.uniform(0, 2 * math.pi)
    slope = (math.cos(turn) * (x / w - 0.5) + math.sin(turn) * (y / h - 0.5)).astype(np.float32)
    photo = photo * (1 + shot.light * slope)[..., None]
    glow = np.zeros((h, w), np.float32)
    for _ in range(shot.blobs):
        radius = rng.uniform(0.005, 0.03) * h
        cv2.circle(
            glow, (int(rng.uniform(0, w)), int(rng.uniform(0, h))), max(1, int(radius)), float(rng.uniform(80, 220)), -1
        )
    photo = photo + cv2.GaussianBlur(glow, (0, 0), max(0.5, 0.006 * h))[..., None]
    photo = cv2.GaussianBlur(photo, (0, 0), max(0.3, shot.blur * unit))
    photo = photo + rng.normal(0, shot.noise, photo.shape).astype(np.float32)
    return np.clip(photo, 0, 255).astype(np.uint8)


def any_pose(
    rng: np.random.Generator,
    height: int,
    *,
    turn: float = 5,
    scale: float = 0.05,
    apart: float = 0.02,
    shift: float = 60,
) -> Pose:
    """A pose within the ranges that are promised; `shift` in pixels at 2,048."""
    s = 1 + rng.uniform(-scale, scale)
    d = 1 + rng.uniform(-apart, apart) / 2
    far = shift * height / 2048
    return Pose(
        sx=s * d,
        sy=s / d,
        rotation=math.radians(rng.uniform(-turn, turn)),
        tx=rng.uniform(-far, far),
        ty=rng.uniform(-far, far),
    )


def error_px(found: Pose, true: Pose, frame: Size, other: Size) -> tuple[float, float]:
    """Mean and largest distance, in pixels of the photo, over 9 x 9 places of the frame."""
    a, b = found.matrix(frame, other), true.matrix(frame, other)
    y, x = np.mgrid[0 : frame[0] - 1 : 9j, 0 : frame[1] - 1 : 9j]
    off = np.hypot(*((a - b) @ np.stack([x.ravel(), y.ravel(), np.ones(81)])))
    return float(off.mean()), float(off.max())
