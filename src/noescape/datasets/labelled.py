"""Generated defect images with their labels, and what all writers of label formats share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.datasets.binary_mask import read_binary_mask
from noescape.files import dump_json, read_json_object, safe_name, sha256_file
from noescape.imaging import read_picture
from noescape.records import Box, DataError, ImageError, UsageError

MARK = "labels.json"
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """One generated image on disk: the defect, its clean twin, its label. `group` names its clean surface."""

    name: str
    image: Path
    clean: Path
    mask: Path
    anomaly_type: str
    group: str

    @property
    def texture(self) -> str:
        """What the defect is on."""
        return self.anomaly_type.partition("+")[0]

    @property
    def defect(self) -> str:
        """The type's own name."""
        return self.anomaly_type.partition("+")[2]


@dataclass(frozen=True, kw_only=True)
class Region:
    """One connected part (8-connected) of a label: its box, half-open, and its pixels in the whole picture."""

    box: Box
    area: int
    mask: Mask


def regions(item: LabelledImage) -> tuple[Region, ...]:
    """The parts of a label, largest first. DataError where label and picture do not fit, or nothing is marked."""
    try:
        mask, picture = read_binary_mask(item.mask), read_picture(item.image)
    except ImageError as error:
        raise DataError(str(error)) from None
    if mask.shape != (picture.height, picture.width):
        size = f"{mask.shape[1]}x{mask.shape[0]}, its image {picture.width}x{picture.height}"
        raise DataError(f"{item.mask}: is {size}")
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8), connectivity=8)
    rows = sorted(range(1, count), key=lambda i: (-int(stats[i, 4]), int(stats[i, 1]), int(stats[i, 0])))
    if not rows:
        raise DataError(f"{item.mask}: marks nothing")
    out = []
    for i in rows:
        x, y, w, h, area = (int(v) for v in stats[i])
        drawn = np.where(labels == i, np.uint8(255), np.uint8(0))
        out.append(Region(box=(x, y, x + w, y + h), area=area, mask=drawn))
    return tuple(out)


def clean_images(items: Iterable[LabelledImage]) -> dict[str, Path]:
    """Every clean surface once, by content: a file name that no other has, and where the picture is."""
    seen: dict[str, str] = {}
    out: dict[str, Path] = {}
    for item in items:
        digest = sha256_file(item.clean)
        if digest in seen:
            continue
        stem = safe_name(f"{item.texture}-{item.group}")
        name = f"{stem}.png" if f"{stem}.png" not in out else f"{stem}-{digest[:12]}.png"
        seen[digest] = name
        out[name] = item.clean
    return out


def whole_folder(out: Path, form: str, fill: Callable[[Path], dict[str, object]]) -> dict[str, object]:
    """Let `fill` write labels of one format into a hidden folder, which then takes the place of `out`.

    `fill` returns what there is to say; it is written to labels.json and returned. An `out` that holds the labels of
    an earlier call is replaced; UsageError where it holds anything else.
    """
    part = out.with_name(f".{out.name}.part")
    taken = out.exists() and any(out.iterdir() if out.is_dir() else [out])
    if taken and not ((out / MARK).is_file() and read_json_object(out / MARK, "labels").get("labels") == form):
        raise UsageError(f"{out} holds other files: choose an empty folder for the {form} labels")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        told = {"labels": form, **fill(part)}
        (part / MARK).write_text(dump_json(told), "utf-8")
        os.sync()
        if out.is_dir() and not out.is_symlink():
            shutil.rmtree(out)
        part.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return told


def copy_to(source: Path, target: Path) -> None:
    """The same bytes under another name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
