"""Does the label mark what changed? The mask held against the difference between a picture and its clean original."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

SEEN = 3  # grey levels from which on a pixel counts as changed
QUARTERED = 64  # pixels of a part from which on its quarters are judged by themselves
SMALLEST_PART = 4  # pixels
EDGE = 0.02  # of the diagonal: width of the band of the boundary IoU (Cheng et al., Boundary IoU, 2021)
SLACK = 1 / 128  # of the square root of the area: what a soft border may change beyond its mask


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFit:
    """Of one picture. `completeness`: the changed share of the worst part of the mask; `covered`: of the whole mask.

    `precision`: share of the changed pixels that lie in the mask (widened by `reach_px`; 1 where nothing changed);
    `boundary_iou`: of the border bands of mask and change, pinholes closed; `outside`: largest difference (0..255)
    beyond the widened mask, which must be 0, and `outside_px` how many pixels differ there.
    """

    completeness: float
    covered: float
    precision: float
    boundary_iou: float
    outside: int
    outside_px: int
    reach_px: int


def label_fit(image: U8, clean: U8, mask: Bool, *, reach: int | None = None, seen: int = SEEN) -> LabelFit:
    """Compare RGB uint8 pictures of one size; `mask` bool [H, W] marks at least one pixel.

    `reach` is how far beyond the mask the generator says it may change the picture; None takes SLACK. What lies within
    `reach` of a visible change counts as covered: the inside of a hole may happen to be as grey as what was there.
    """
    if image.shape != clean.shape or mask.shape != image.shape[:2]:
        raise ValueError(f"expected one size, got {image.shape}, {clean.shape} and a mask {mask.shape}")
    if not mask.any():
        raise ValueError("the mask marks nothing")
    by = slack(mask.shape) if reach is None else reach
    difference = cv2.absdiff(image, clean).max(axis=2)
    changed = np.asarray(difference >= seen, np.bool_)
    near = widened(changed, slack(mask.shape))
    allowed = widened(mask, by)
    beyond = difference[~allowed]
    return LabelFit(
        completeness=min(float(near[part].mean()) for part in parts(mask)),
        covered=float(near[mask].mean()),
        precision=float(allowed[changed].mean()) if changed.any() else 1.0,
        boundary_iou=boundary_iou(mask, closed(changed, slack(mask.shape))),
        outside=int(beyond.max(initial=0)), outside_px=int((beyond > 0).sum()), reach_px=by,
    )  # fmt: skip


def parts(mask: Bool) -> list[Bool]:
    """The connected parts of a mask (crumbs left out), large ones cut into four about their middle."""
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    out: list[Bool] = []
    for i in range(1, count):
        part = labels == i
        if stats[i, cv2.CC_STAT_AREA] < QUARTERED:
            out.append(part)
            continue
        x, y = (round(float(v)) for v in centres[i])
        for rows in (slice(0, y), slice(y, None)):
            for columns in (slice(0, x), slice(x, None)):
                quarter = np.zeros_like(part)
                quarter[rows, columns] = part[rows, columns]
                out.append(quarter)
    return [p for p in out if p.sum() >= SMALLEST_PART] or [mask]


def boundary_iou(a: Bool, b: Bool) -> float:
    """IoU of the bands, EDGE of the diagonal wide, that lie inside of the two masks along their borders."""
    width = max(1, round(EDGE * float(np.hypot(*a.shape))))
    first, second = (_band(m, width) for m in (a, b))
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else 1.0


def slack(shape: tuple[int, ...]) -> int:
    """Pixels that a soft border may take where the generator does not say."""
    return max(2, round(float(np.sqrt(shape[0] * shape[1])) * SLACK * 2))


def widened(mask: Bool, by: int) -> Bool:
    """The mask grown by a disc of `by` pixels."""
    if by <= 0:
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0, np.bool_)


def closed(mask: Bool, by: int) -> Bool:
    """The mask without holes and gaps up to twice `by` pixels wide: pixels that happen to be as grey as before."""
    framed = np.pad(mask, 2 * by)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    out = cv2.morphologyEx(framed.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    return np.asarray(out[2 * by : -2 * by, 2 * by : -2 * by], np.bool_) if by else mask


def _band(mask: Bool, width: int) -> Bool:
    framed = np.pad(mask.astype(np.uint8), width)  # a mask has a border at the edge of the picture, too
    inner = cv2.erode(framed, np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    return np.asarray(mask & (inner[width:-width, width:-width] == 0), np.bool_)
