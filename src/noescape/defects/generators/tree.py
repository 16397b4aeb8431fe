"""The tree that a generation writes, and reading it again.

OUT/reconstructed_image/<TEXTURE>+<TYPE>_<NNNNN>.png      the defect
OUT/original_image/                 original_mask/        its clean twin, and its label
OUT/annotated_image/                                      the defect with outline, box and type
OUT/cropped_image/…_<j>.png         cropped_mask/         around each instance
OUT/SDG_result.csv  provenance.jsonl  errors.jsonl  summary.json  timing_summary.json  generation.json (what this is)
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from noescape.datasets.labelled import LabelledImage
from noescape.defects.generators.base import Generated
from noescape.files import contained, read_csv, safe_name
from noescape.imaging import heat_overlay
from noescape.records import Box, DataError, PathEscapeError

FOLDERS = (
    "reconstructed_image", "original_image", "original_mask", "annotated_image", "cropped_image", "cropped_mask",
)  # fmt: skip
RESULT, PROVENANCE, ERRORS, SUMMARY, TIMING = (
    "SDG_result.csv", "provenance.jsonl", "errors.jsonl", "summary.json", "timing_summary.json",
)  # fmt: skip
COLUMNS = (
    "output_filename", "image_filename", "mask_filename", "anomaly_type", "guidance", "num_steps", "seed",
    "num_generated_images", "crop_and_paste", "crop_grid_X", "crop_grid_Y", "crop_ratio", "poisson_blend",
    "shift_values", "rotation_angle", "morph_operation", "PSNR", "index", "guardrail_pass",
)  # fmt: skip
# Runs of equal bytes after subtracting the line above: for noisy colour half the time of the encoder's own choice, at
# the same size. An OpenCV without a choice of filters takes its own.
ENCODING = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE) + (
    (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP) if hasattr(cv2, "IMWRITE_PNG_FILTER") else ()
)
INK, PAPER = (20, 24, 28), (0, 229, 255)
U8 = npt.NDArray[np.uint8]


def output_name(anomaly_type: str, number: int) -> str:
    """`<TEXTURE>+<TYPE>_<NNNNN>` with what no file name can hold replaced."""
    texture, _, kind = anomaly_type.partition("+")
    return f"{safe_name(texture)}+{safe_name(kind)}_{number:05d}"


def pictures_of(made: Generated, name: str, crop_ratio: float) -> dict[str, U8]:
    """All pictures of one result by their path in the tree; a crop of everything is the whole picture itself."""
    out = {
        f"reconstructed_image/{name}.png": made.image,
        f"original_image/{name}.png": made.clean,
        f"original_mask/{name}.png": made.mask,
        f"annotated_image/{name}.png": annotated(made),
    }
    for j, (box, _) in enumerate(made.instances):
        at = _square(box, made.mask.shape, crop_ratio)
        for folder, picture in (("cropped_image", made.image), ("cropped_mask", made.mask)):
            cut = np.ascontiguousarray(picture[at])
            out[f"{folder}/{name}_{j}.png"] = picture if cut.shape == picture.shape else cut
    return out


def picture_bytes(picture: U8) -> bytes:
    """PNG of a picture; a grey one has one channel. A third of the time of the usual encoder, which for 512 x 512 in
    colour would take longer than the drawing."""
    if picture.ndim == 3:
        red, green, blue = cv2.split(picture)
        grey = not cv2.norm(red, green, cv2.NORM_INF) and not cv2.norm(red, blue, cv2.NORM_INF)
        picture = red if grey else cv2.merge((blue, green, red))
    done, data = cv2.imencode(".png", picture, ENCODING)
    if not done:
        raise ValueError("the picture cannot be encoded")
    return bytes(data)


class Twins:
    """The encoded clean images last seen: many rows share one, and encoding is a sixth of all the work."""

    KEPT = 24

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[U8, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def bytes(self, digest: str | None, picture: U8) -> bytes:
        """`picture_bytes(picture)`, remembered under the digest of its file where the pixels are the same."""
        with self._lock:
            known = self._seen.get(digest or "")
        if known is not None and np.array_equal(known[0], picture):  # jitter changes the twin of one file
            return known[1]
        data = picture_bytes(picture)
        with self._lock:
            self._seen[digest or ""] = (picture, data)
            if len(self._seen) > self.KEPT:
                self._seen.popitem(last=False)
        return data


def annotated(made: Generated) -> U8:
    """The picture with the label's outline, a box around each instance and its type."""
    height, width = made.mask.shape
    seen = heat_overlay(made.image, np.zeros((height, width), np.float32), (1, 2), made.mask)
    picture = Image.fromarray(seen)
    size = max(10, height // 40)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for (x0, y0, x1, y1), kind in made.instances[:50]:
        pen.rectangle((max(0, x0 - 2), max(0, y0 - 2), min(width, x1 + 2) - 1, min(height, y1 + 2) - 1), outline=PAPER)
        pen.text((max(0, x0), max(0, y0 - size - 4)), kind, fill=PAPER, font=font, stroke_width=2, stroke_fill=INK)
    return np.asarray(picture, np.uint8)


def read_tree(out: Path) -> tuple[LabelledImage, ...]:
    """The images that SDG_result.csv of `out` (or of `out/inference`, as workflows nest it) names, in its order.

    DataError lists every image whose picture, twin or label is not there, and a CSV without the columns needed.
    """
    home = next((h for h in (out, out / "inference") if (h / RESULT).is_file()), None)
    if home is None:
        raise DataError(f"{out}: no {RESULT} here; `noescape defects generate` writes one")
    rows = read_csv(home / RESULT)
    if not rows:
        raise DataError(f"{home / RESULT}: names no image")
    lost = [c for c in ("output_filename", "anomaly_type", "image_filename") if c not in rows[0]]
    if lost:
        raise DataError(f"{home / RESULT}: expected the columns {', '.join(COLUMNS)}; there is no {', '.join(lost)}")
    found, problems = [], []
    for number, row in enumerate(rows, 2):
        try:
            found.append(_made(home, row))
        except (PathEscapeError, DataError) as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = [f"  … and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise DataError("\n".join([f"{home} is not whole:", *(f"  - {p}" for p in problems[:20]), *more]))
    return tuple(found)


def _made(home: Path, row: dict[str, str]) -> LabelledImage:
    file, kind = Path(row["output_filename"] or "").name, row["anomaly_type"] or ""
    if not file or "+" not in kind:
        raise DataError(f"expected a file and a type TEXTURE+TYPE, got {file!r} and {kind!r}")
    paths = [contained(home, f"{folder}/{file}") for folder in FOLDERS[:3]]
    lost = [str(p.relative_to(home)) for p in paths if not p.is_file()]
    if lost:
        raise DataError(f"{', '.join(lost)} not there")
    return LabelledImage(
        name=Path(file).stem, image=paths[0], clean=paths[1], mask=paths[2], anomaly_type=kind,
        group=Path(row["image_filename"] or "").stem,
    )  # fmt: skip


def _square(box: Box, size: tuple[int, ...], ratio: float) -> tuple[slice, slice]:
    """A square around the box, `ratio` times its longer side, moved into the picture."""
    side = max(4, int(max(box[2] - box[0], box[3] - box[1]) * ratio))
    out = []
    for low, high, full in ((box[1], box[3], size[0]), (box[0], box[2], size[1])):
        length = min(side, full)
        start = min(max(0, (low + high - length) // 2), full - length)
        out.append(slice(start, start + length))
    return out[0], out[1]
