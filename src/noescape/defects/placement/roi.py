"""Where defects may lie: legal and illegal regions, from masks (white = region) or from boxes in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noescape.datasets.anomalygen_layout import Problem
from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.folder import find_images, printable
from noescape.defects.placement.submask import Bool
from noescape.records import Box, DataError, ImageError

MIN_AREA = 10


@dataclass(frozen=True, kw_only=True)
class BoxRule:
    """A box in pixels, half-open; `image` is the name or stem of the only image it is for, "" for every one."""

    box: Box
    legal: bool
    image: str = ""


@dataclass(frozen=True, kw_only=True)
class Rois:
    """Masks by stem ("" for every image) and boxes. Without any legal one, all is legal; illegal ones are cut out."""

    legal: dict[str, Path]
    illegal: dict[str, Path]
    boxes: tuple[BoxRule, ...] = ()

    def region(self, image: Path, shape: tuple[int, int]) -> Bool:
        """What is legal on this image [H, W]. DataError where a mask has another size."""
        boxes = [rule for rule in self.boxes if rule.image in ("", image.name, image.stem)]
        legal_mask = self._mask(self.legal, image, shape)
        legal_boxes = [rule.box for rule in boxes if rule.legal]
        free = legal_mask is None and not legal_boxes
        out = np.ones(shape, bool) if free else np.zeros(shape, bool) if legal_mask is None else legal_mask
        for x0, y0, x1, y1 in legal_boxes:
            out[y0:y1, x0:x1] = True
        illegal_mask = self._mask(self.illegal, image, shape)
        if illegal_mask is not None:
            out &= ~illegal_mask
        for x0, y0, x1, y1 in (rule.box for rule in boxes if not rule.legal):
            out[y0:y1, x0:x1] = False
        return out

    @staticmethod
    def _mask(masks: dict[str, Path], image: Path, shape: tuple[int, int]) -> Bool | None:
        path = masks.get(image.stem) or masks.get("")
        if path is None:
            return None
        mask = read_binary_mask(path) > 0
        if mask.shape != shape:
            here, there = f"{mask.shape[1]}x{mask.shape[0]}", f"{shape[1]}x{shape[0]}"
            raise DataError(f"{path}: this region is {here}, the image {image.name} {there}; they must be equal")
        return mask


def read_rois(legal: Path | None, illegal: Path | None, boxes: Path | None) -> tuple[Rois, list[Problem]]:
    """Regions from a mask or a folder of masks (`<stem>.png` or `<stem>_mask.png`, below any folders) and from boxes.

    JSON: {"rois": [{"x", "y", "width", "height", "is_legal", "image"?}]}, or [{"image_path", "boxes": [[x0, y0, x1,
    y1]]}] for legal boxes of single images.
    """
    problems: list[Problem] = []
    rules: list[BoxRule] = []
    if boxes is not None:
        try:
            rules = list(_rules(json.loads(boxes.read_text("utf-8-sig"))))
        except (OSError, ValueError, RecursionError, TypeError, KeyError) as error:
            shape = '{"rois": [{"x": 0, "y": 0, "width": 9, "height": 9, "is_legal": true}]}'
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            what = f"cannot be used as boxes ({reason}); expected {shape}"
            problems.append(Problem(code="roi_json", where=printable(str(boxes)), what=what))
    masks = [_masks(path, problems) for path in (legal, illegal)]
    return Rois(legal=masks[0], illegal=masks[1], boxes=tuple(rules)), problems


def check_rois(rois: Rois, images: Sequence[tuple[Path, tuple[int, int]]]) -> list[Problem]:
    """What is wrong with the regions of these images (path, shape): sizes, unreadable masks, nothing left legal."""
    problems = []
    for path, shape in images:
        where = printable(path.name)
        try:
            if int(rois.region(path, shape).sum()) < MIN_AREA:
                problems.append(Problem(code="roi_empty", where=where, what="no legal region is left on it"))
        except (DataError, ImageError) as error:
            problems.append(Problem(code="roi_mask", where=where, what=str(error)))
    return problems


def _masks(path: Path | None, problems: list[Problem]) -> dict[str, Path]:
    if path is None:
        return {}
    if path.is_file():
        return {"": path}
    refused: list[ImageError] = []
    try:
        found = find_images(path, refused)
    except DataError as error:
        problems.append(
            Problem(code="roi_folder", where=printable(str(path)), what=str(error).removeprefix(f"{path}: "))
        )
        return {}
    problems += [Problem(code=row.code, where=printable(str(row.path)), what=row.reason) for row in refused]
    if not found:
        problems.append(Problem(code="roi_folder", where=printable(str(path)), what="holds no mask"))
    return {mask.stem.removesuffix("_mask"): mask for _, mask in found}


def _rules(value: Any) -> list[BoxRule]:
    if isinstance(value, dict):
        return [
            BoxRule(
                box=_box(row["x"], row["y"], row["x"] + row["width"], row["y"] + row["height"]),
                legal=bool(row.get("is_legal", True)),
                image=str(row.get("image", "")),
            )
            for row in value["rois"]
        ]
    return [
        BoxRule(box=_box(*box), legal=bool(row.get("is_legal", True)), image=Path(str(row["image_path"])).name)
        for row in value
        for box in row["boxes"]
    ]


def _box(x0: float, y0: float, x1: float, y1: float) -> Box:
    box = (round(x0), round(y0), round(x1), round(y1))
    if box[0] < 0 or box[1] < 0 or box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f"box {box}: expected 0 <= x0 < x1 and 0 <= y0 < y1 in pixels")
    return box
