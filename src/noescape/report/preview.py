"""One page of samples of a run, stage beside stage: what was rendered, restyled, generated. Self-contained."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.files import contained, write_text
from noescape.imaging import fit_within, jpeg_bytes, png_bytes, read_picture
from noescape.records import DataError, ImageError, PathEscapeError, UsageError
from noescape.report.page import render_still
from noescape.report.samples import MASKS, Row, Section, find_sections, spread

LEAST, MOST = 5, 10
SIDE = 320  # pixels of a picture on the page
SMALL = 160  # under this it is enlarged pixel by pixel, so that nothing is invented


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What the page shows: samples by the title of their section, and rows that were left out there."""

    shown: dict[str, int]
    left_out: dict[str, int]


def write_preview(run: Path, out: Path, *, samples: int = MOST) -> Preview:
    """Write the page for `run` to `out`: of each stage every ceil(N / samples)-th of its sorted whole rows.

    Rows that lack a column, or hold a picture that cannot be read, are left out and counted. UsageError for another
    number of samples than 5 to 10, DataError where the run has nothing to show. Same run, same bytes. About 5 ms per
    picture.
    """
    if not LEAST <= samples <= MOST:
        raise UsageError(f"--samples: expected {LEAST} to {MOST}, got {samples}")
    if not run.is_dir():
        raise DataError(f"{run}: expected the folder of a run (runs/<name>), but there is no such folder")
    sections = find_sections(run)
    if not sections:
        raise DataError(
            f"{run}: nothing to show; expected usd2roi-components/crop, augment, anomaly/inference, structural_defect "
            "or pairs in it, as flows write them"
        )
    drawn = [_draw(run, section, samples) for section in sections]
    if not any(section["rows"] for section in drawn):
        counts = ", ".join(f"{section['left_out']} of {section['total']} {section['title']}" for section in drawn)
        raise DataError(f"{run}: no sample is whole (left out: {counts}); has every stage of the run ended?")
    write_text(out, render_still("preview.html", {"run": run.resolve().name, "sections": drawn}))
    return Preview(
        shown={section["title"]: len(section["rows"]) for section in drawn},
        left_out={section["title"]: section["left_out"] for section in drawn},
    )


def _draw(run: Path, section: Section, samples: int) -> dict[str, Any]:
    whole = [row for row in section.rows if row.whole]
    left_out = len(section.rows) - len(whole)
    rows = []
    for row in spread(whole, samples):
        try:
            cells = [_cell(run, row, column) for column in section.columns]
        except (ImageError, PathEscapeError):
            left_out += 1
            continue
        rows.append({"name": row.name, "note": row.note, "cells": cells})
    return {
        "title": section.title,
        "columns": section.columns,
        "rows": rows,
        "total": len(section.rows),
        "left_out": left_out,
    }


def _cell(run: Path, row: Row, column: str) -> dict[str, Any]:
    rgb = read_picture(contained(run, row.files[column] or "")).rgb
    flat = column in MASKS
    small = _nearest(rgb, SIDE) if flat else fit_within(rgb, SIDE)
    height, width = small.shape[:2]
    data = png_bytes(small) if flat else jpeg_bytes(small, quality=88)
    kind = "png" if flat else "jpeg"
    return {
        "uri": f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii"),
        "width": width,
        "height": height,
        "enlarge": flat or max(width, height) < SMALL,
        "alt": f"{column} of {row.name}",
        "title": f"{rgb.shape[1]} x {rgb.shape[0]}",
    }


def _nearest(rgb: npt.NDArray[np.uint8], longest: int) -> npt.NDArray[np.uint8]:
    """Shrunk without mixing colours."""
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
