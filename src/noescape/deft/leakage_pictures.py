"""The same picture under another name: identical bytes, or saved again, re-lit, turned by a quarter or mirrored.

Each picture is kept as its digest and a grey copy of 32 x 32. Two are the same when perceptual bits nearly agree and
the fine detail, less what all pictures have in common, correlates; then both are read again and must agree closely at a
larger size, since cells of one board look alike here. Pictures of an even surface or of stripes alone tell nothing
and are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from noescape.datasets.duplicates import DETAIL_SIGMA, GRID, MAX_BITS, MIN_CORRELATION
from noescape.deft.looks import FLAT
from noescape.files import sha256_file
from noescape.imaging import read_picture
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import ImageError

CLOSE_SIDE = 64  # px at which a suspected pair is compared closely
CLOSE = 0.75  # correlation of fine detail there; copies in JPEG of quality 60 or half size have .83 and more
CLOSE_SIGMA = 1.5
BLOCK = 2048
MOST_KEPT = 1 << 16  # prints of a process, 1 KB each
TURNS = tuple((mirror, quarter) for mirror in (False, True) for quarter in range(4))

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class Print:
    """One picture file: content digest, and 32 x 32 grey levels.

    `plain`: it shows nothing by which it could be told from others, being an even surface or stripes alone. A straight
    trace through a cell is the same on every board.
    """

    path: Path
    sha256: str
    small: Grey
    plain: bool


def take_prints(paths: Sequence[Path], workers: int = 1) -> dict[Path, Print]:
    """A print of each file that can be read; the others are left out. One read and one decode each, in this process
    only once for a file that does not change."""
    unique = list(dict.fromkeys(paths))
    found = ordered_map(_print, unique, worker_count(workers))
    return {path: one for path, one in zip(unique, found, strict=True) if one is not None}


def _print(path: Path) -> Print | None:
    try:
        at = path.stat()
        return _print_of(path, at.st_mtime_ns, at.st_size)
    except (ImageError, OSError):
        return None


@lru_cache(maxsize=MOST_KEPT)
def _print_of(path: Path, mtime_ns: int, size: int) -> Print:
    grey = cv2.cvtColor(read_picture(path).rgb, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA))
    levels = small.astype(np.float32)
    rest = min(float((levels - levels.mean(axis=axis, keepdims=True)).std()) for axis in (0, 1))
    return Print(path=path, sha256=sha256_file(path), small=small, plain=rest < FLAT)


def same_files(ours: Sequence[Print], theirs: Sequence[Print]) -> list[tuple[int, int]]:
    """Places of pictures with the same bytes, plain ones left out: (ours, the first of theirs)."""
    first = {one.sha256: i for i, one in reversed(list(enumerate(theirs)))}
    return [(i, first[one.sha256]) for i, one in enumerate(ours) if one.sha256 in first and not one.plain]


def same_pictures(ours: Sequence[Print], theirs: Sequence[Print]) -> list[tuple[int, int, str]]:
    """Places of one picture in different files (ours, theirs, how it is turned), at most one of theirs per one of ours.

    Cost: 8 n m / 1e9 CPU-s of products of 64 numbers, and two decodes per suspicion; memory a block.
    """
    left = [i for i, one in enumerate(ours) if not one.plain]
    right = [i for i, one in enumerate(theirs) if not one.plain]
    if not left or not right:
        return []
    details = [_detail(ours[i].small) for i in left], [_detail(theirs[i].small) for i in right]
    common = np.mean(np.stack([*details[0], *details[1]]), axis=0) if len(left) + len(right) >= 8 else np.float32(0)
    bits = _signs(_low([ours[i].small for i in left]))
    theirs_low = _low([theirs[i].small for i in right])
    vectors = _unit(np.stack(details[0]) - common)
    found: dict[int, tuple[int, str]] = {}
    for mirror, quarter in TURNS:
        turned = _signs(_turned_low(theirs_low, mirror, quarter))
        others = _unit(np.stack([_turn(d - common, mirror, quarter) for d in details[1]]))
        for begin in range(0, len(left), BLOCK):
            near = bits[begin : begin + BLOCK] @ turned.T >= 64 - 2 * MAX_BITS
            rows, columns = np.nonzero(near)
            alike = np.einsum("nd,nd->n", vectors[begin + rows], others[columns]) > MIN_CORRELATION
            for a, b in zip(rows[alike] + begin, columns[alike], strict=True):
                if int(a) not in found and _close(ours[left[a]], theirs[right[b]], mirror, quarter):
                    found[int(a)] = right[b], _words(mirror, quarter)
    return [(left[a], b, how) for a, (b, how) in sorted(found.items())]


def _close(ours: Print, theirs: Print, mirror: bool, quarter: int) -> bool:
    """Both again from their files, at a larger size: the fine detail must agree."""
    try:
        a, b = (cv2.cvtColor(read_picture(one.path).rgb, cv2.COLOR_RGB2GRAY) for one in (ours, theirs))
    except ImageError:
        return False
    b = _turn(np.asarray(b), mirror, quarter)
    side = min(CLOSE_SIDE, *a.shape, *b.shape)
    fine = [_fine(np.asarray(cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA), np.float32)) for x in (a, b)]
    return float(fine[0] @ fine[1]) > CLOSE


def _fine(grey: Floats) -> Floats:
    detail = grey - cv2.GaussianBlur(grey, (0, 0), CLOSE_SIGMA)
    flat = np.asarray(detail - detail.mean(), np.float32).ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-6), np.float32)


def _detail(small: Grey) -> Floats:
    levels = small.astype(np.float32)
    detail = levels - cv2.GaussianBlur(levels, (0, 0), DETAIL_SIGMA)
    detail -= detail.mean()
    return np.asarray(detail / max(float(np.linalg.norm(detail)), 1e-6), np.float32)


def _unit(details: Floats) -> Floats:
    rows = details.reshape(len(details), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)


def _low(smalls: Sequence[Grey]) -> Floats:
    """The 8 x 8 low frequencies (DCT-II) of each, `[N, 8, 8]`."""
    steps = np.arange(GRID)
    basis = np.cos(np.pi * (2 * steps[None, :] + 1) * np.arange(8)[:, None] / (2 * GRID)).astype(np.float32)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis @ np.stack(smalls).astype(np.float32) @ basis.T, np.float32)


def _turned_low(low: Floats, mirror: bool, quarter: int) -> Floats:
    """The low frequencies of the turned pictures: a transposed picture has them transposed, mirroring turns the sign of
    every odd one along that axis."""
    odd = np.where(np.arange(8) % 2, -1, 1).astype(np.float32)
    for _ in range(quarter):
        low = low.transpose(0, 2, 1) * odd[:, None]
    return low * odd[None, :] if mirror else low


def _signs(low: Floats) -> Floats:
    """The bits of `perceptual_hash` as -1 and 1, `[N, 64]`."""
    flat = low.reshape(len(low), -1)
    return np.where(flat > np.median(flat[:, 1:], axis=1, keepdims=True), np.float32(1), np.float32(-1))


def _turn(array: npt.NDArray[T], mirror: bool, quarter: int) -> npt.NDArray[T]:
    turned = np.rot90(array, quarter)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def _words(mirror: bool, quarter: int) -> str:
    parts = [f"turned by {90 * quarter} degrees"] * bool(quarter) + ["mirrored"] * mirror
    return " and ".join(parts) if parts else "saved again"
