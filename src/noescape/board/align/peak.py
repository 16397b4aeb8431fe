"""Is the pose that was found a true one? Mutual information there, against displaced poses.

Mutual information has no scale of its own: it falls with noise and rises with plain areas, so that a bound for one
board says nothing about the next. But the true pose stands out from its surroundings, as a whole and in every part of
the picture, and the best of many wrong poses does not. Two figures, both measured in `benchmarks/align.py`:

  sharpness   1 - (best elsewhere / here): over all shifts up to an eighth of the longer side, those within a few pixels
              left out. 0 and less: another place fits as well.
  agreement   the share of small windows that fit best where they lie, each alone, among all shifts of the window. Of a
              false pose one in seventy does by chance, and a few more because the pose was chosen.

Drawn boards, 40 true pairs and 60 photos of other boards: sharpness .43 and more against .14 and less, agreement .88
and more against .08 and less. Renders of real-looking boards, 40 and 30: .69 against .23, .92 against .18.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noescape.board.align.coarse import Coarse
from noescape.board.align.tones import Float, Grey8, channels, cuts, information, joint, one_hot, spectrum
from noescape.imaging.warp import Bool, Pose

LEAST_SHARPNESS = 0.2
LEAST_AGREEMENT = 0.4
LEAST_WINDOWS = 4
_SIDE = 128
_FAR = 1 / 8
_NEAR_PX = 5.0  # of _SIDE: still the same peak
_FINE, _WINDOW, _ROOM, _GRID = 256, 64, 12, 4
_LEAST_BITS = 0.02  # a window whose own best says less is plain


@dataclass(frozen=True, kw_only=True)
class Peak:
    """See above; `windows`: how many had anything to say. NaN where none had."""

    sharpness: float
    agreement: float
    windows: int

    @property
    def stands_out(self) -> bool:
        """Whether both figures are what true pairs have."""
        enough = self.windows >= LEAST_WINDOWS and self.agreement >= LEAST_AGREEMENT
        return enough and self.sharpness >= LEAST_SHARPNESS


def peak_at(render: Grey8, photo: Grey8, aligned: Grey8, valid: Bool, pose: Pose) -> Peak:
    """Both figures. `aligned` is the photo on the pixels of the render, `valid` where it has any. About 0.2 s."""
    agreement, windows = _agreement(render, aligned, valid)
    return Peak(sharpness=_sharpness(render, photo, pose), agreement=agreement, windows=windows)


def _sharpness(render: Grey8, photo: Grey8, pose: Pose) -> float:
    scale = float(np.sqrt(pose.sx * pose.sy))
    far = max(render.shape) * scale * _FAR
    coarse = Coarse(render, photo, side=_SIDE, scale=scale)
    mi, (tx, ty) = coarse.surface(pose, (far, far))
    away = np.hypot(tx - pose.tx, ty - pose.ty) / (max(render.shape) * scale) * _SIDE
    here, there = mi[away < 1.5].max(), mi[(away > _NEAR_PX) & np.isfinite(mi)]
    if not here > 0 or there.size == 0:
        return 0.0
    return float(1 - there.max() / here)


def _agreement(render: Grey8, aligned: Grey8, valid: Bool) -> tuple[float, int]:
    """Windows [64, 64] of the picture shrunk to 256, 4 x 4 of them, each tried at shifts up to 12 pixels."""
    factor = _FINE / max(render.shape)
    size = (max(8, round(render.shape[0] * factor)), max(8, round(render.shape[1] * factor)))
    seen = _shrunk_mask(valid, size)
    a = [one_hot(one, cuts(one)) for one in channels(render, size, _FINE)]
    b = [one_hot(one, cuts(one[seen]) if seen.any() else cuts(one)) * seen for one in channels(aligned, size, _FINE)]
    own = windows = 0
    for y, h in _starts(size[0]):
        for x, w in _starts(size[1]):
            found = _window(a, b, y, x, h, w)
            windows += found is not None
            own += found is not None and found <= 1
    return (own / windows if windows else float("nan")), windows


def _starts(length: int) -> list[tuple[int, int]]:
    """Starts and lengths of windows along a side, room for shifts left at both ends."""
    window = min(_WINDOW, length - 2 * _ROOM)
    if window < 2 * _ROOM:
        return []
    count = min(_GRID, max(1, round((length - 2 * _ROOM) / window * 1.2)))
    last = length - _ROOM - window
    return [(round(at), window) for at in np.linspace(_ROOM, last, count)]


def _window(a: list[Float], b: list[Float], y: int, x: int, h: int, w: int) -> int | None:
    """How far off (pixels, the larger of both axes) one window fits best; None where it has nothing to say."""
    size = (h + 2 * _ROOM, w + 2 * _ROOM)
    mi = np.zeros((2 * _ROOM + 1, 2 * _ROOM + 1), np.float32)
    for one, other in zip(a, b, strict=True):
        part = one[:, y : y + h, x : x + w]
        around = other[:, y - _ROOM : y + h + _ROOM, x - _ROOM : x + w + _ROOM]
        counts = joint(np.conj(spectrum(part, size)), spectrum(around, size), size)
        mi += information(counts[:, :, : 2 * _ROOM + 1, : 2 * _ROOM + 1], h * w, 0.5) / 2
    if not mi.max() > _LEAST_BITS:
        return None
    at = np.unravel_index(int(mi.argmax()), mi.shape)
    return int(max(abs(int(at[0]) - _ROOM), abs(int(at[1]) - _ROOM)))


def _shrunk_mask(valid: Bool, size: tuple[int, int]) -> Bool:
    rows = np.minimum((np.arange(size[0]) + 0.5) * valid.shape[0] / size[0], valid.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(size[1]) + 0.5) * valid.shape[1] / size[1], valid.shape[1] - 1).astype(int)
    return np.asarray(valid[np.ix_(rows, columns)])
