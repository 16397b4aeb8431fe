"""Three small pictures drawn pixel by pixel: same figures, same bytes, and no plotting library."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from noescape.changenet.kpi import Point
from noescape.imaging import png_bytes

Floats = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
INK, PAPER, LINE = (40, 40, 40), (255, 255, 255), (215, 215, 215)
GOOD, BAD, LIMIT = (52, 152, 219), (194, 38, 45), (20, 20, 20)
BINS = 60
LEFT, TOP, RIGHT, BOTTOM = 70, 50, 20, 60  # px around the drawing


def distribution_png(good: Floats, bad: Floats, threshold: float) -> bytes:
    """Scores of PASS (up) and of NO_PASS (down), on a logarithmic scale of counts, with the threshold."""
    canvas = _paper(820, 460)
    height, width = canvas.shape[:2]
    low = float(min(good.min(), bad.min(), threshold))
    high = float(max(good.max(), bad.max(), threshold))
    span = (high - low) or 1.0
    edges = np.linspace(low, low + span, BINS + 1)
    counts = [np.histogram(part, edges)[0] for part in (good, bad)]
    most = np.log1p(max(int(c.max()) for c in counts))
    middle, room = (TOP + height - BOTTOM) // 2, (height - TOP - BOTTOM) // 2 - 4
    step = (width - LEFT - RIGHT) / BINS
    for part, colour, way in ((counts[0], GOOD, -1), (counts[1], BAD, 1)):
        for number, count in enumerate(part):
            if count:
                tall = max(2, round(room * float(np.log1p(count)) / float(most)))
                x0, x1 = round(LEFT + number * step) + 1, round(LEFT + (number + 1) * step) - 1
                cv2.rectangle(canvas, (x0, middle + way), (max(x0, x1), middle + way * tall), colour, -1)
    cv2.line(canvas, (LEFT, middle), (width - RIGHT, middle), INK, 1)
    x = round(LEFT + (threshold - low) / span * (width - LEFT - RIGHT))
    cv2.line(canvas, (x, TOP - 6), (x, height - BOTTOM + 6), LIMIT, 2)
    _text(canvas, f"scores: {len(good)} PASS above, {len(bad)} NO_PASS below; log counts", (LEFT, 24), INK)
    _text(canvas, f"threshold {threshold:.6g}", (min(max(LEFT, x - 70), width - 240), 44), LIMIT)
    for value, place in ((low, LEFT), (low + span, width - RIGHT - 90)):
        _text(canvas, f"{value:.4g}", (place, height - BOTTOM + 26), INK)
    _text(canvas, "PASS", (10, middle - room // 2), GOOD)
    _text(canvas, "NO_PASS", (2, middle + room // 2), BAD, 0.45)
    return png_bytes(canvas)


def confusion_png(point: Point, name: str) -> bytes:
    """The four counts as a table."""
    canvas = _paper(520, 400)
    _text(canvas, f"{name}: threshold {point.threshold:.6g}", (20, 30), INK)
    _text(canvas, f"FAR {point.far_pct:.4g}%, recall {100 * point.recall:.4g}%", (20, 54), INK)
    cells = (("PASS", (point.tn, point.fp)), ("NO_PASS", (point.fn, point.tp)))
    top = max(1, point.tn, point.fp, point.fn, point.tp)
    for column, title in enumerate(("called PASS", "called NO_PASS")):
        _text(canvas, title, (140 + 180 * column, 92), INK, 0.5)
    for line, (title, counts) in enumerate(cells):
        _text(canvas, title, (20, 180 + 130 * line), INK, 0.55)
        for column, count in enumerate(counts):
            x, y = 130 + 180 * column, 105 + 130 * line
            colour = GOOD if line == column else BAD
            deep = 0.15 + 0.75 * count / top
            shade = tuple(round(255 - (255 - c) * deep) for c in colour)
            cv2.rectangle(canvas, (x, y), (x + 170, y + 120), shade, -1)
            cv2.rectangle(canvas, (x, y), (x + 170, y + 120), LINE, 1)
            _text(canvas, str(count), (x + 20, y + 70), PAPER if deep > 0.55 else INK, 0.9)
    return png_bytes(canvas)


def _paper(width: int, height: int) -> U8:
    return np.full((height, width, 3), 255, np.uint8)


def _text(canvas: U8, text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float = 0.55) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
