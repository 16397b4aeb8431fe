"""What is read for an alignment: a rendered frame with its masks, and a photo; and what is written of it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from noescape.board.align.place import Placed, on_render
from noescape.board.crop.frames import IDS, LABELS, RGB, SEMANTIC, TABLE, read_tree
from noescape.board.crop.instances import read_ids
from noescape.board.crop.pictures import cut, write_png
from noescape.files import read_json_object, write_bytes, write_json
from noescape.imaging import fit_within, is_image_name, read_picture
from noescape.records import DataError, ImageError

Rgb = npt.NDArray[np.uint8]
MOST_SIDE = 32_000  # OpenCV's warps take no picture of more pixels a side
_WHITE = (1023, 4095, 16383, 65535)
_BLINK_PX, _BLINK_MS = 1024, 500
_NUMBER = "0000"


@dataclass(frozen=True, kw_only=True)
class Sides:
    """A render and what lies beside it: files to cut along with it (`masks`) and to copy (`tables`), by new name."""

    rgb: Rgb
    path: Path
    masks: Mapping[str, npt.NDArray[Any]]
    tables: Mapping[str, Any]


def read_render(path: Path) -> Sides:
    """A picture `rgb_<cell>.png` with the masks beside it, or a folder of frames that holds a single one.

    Any other picture is taken without masks. DataError where there are several frames, or masks of another size.
    """
    if path.is_dir():
        frames = read_tree(path).frames
        if len(frames) != 1:
            cells = ", ".join(frame.name for frame in frames[:8])
            raise DataError(f"{path}: holds {len(frames)} frames ({cells}, …); name one picture, {RGB}_<cell>.png")
        path = frames[0].folder / frames[0].picture
    rgb = read_picture(path).rgb
    _refuse_long(path, rgb)
    cell = path.stem.removeprefix(f"{RGB}_")
    masks: dict[str, npt.NDArray[Any]] = {}
    tables: dict[str, Any] = {}
    if cell != path.stem:
        semantic, ids = (path.with_name(f"{kind}_{cell}.png") for kind in (SEMANTIC, IDS))
        if semantic.is_file():
            masks[f"{SEMANTIC}_{_NUMBER}.png"] = read_picture(semantic).rgb
        if ids.is_file():
            masks[f"{IDS}_{_NUMBER}.png"] = read_ids(ids)
        for kind in (LABELS, TABLE):
            table = path.with_name(f"{kind}_{cell}.json")
            if table.is_file():
                tables[f"{kind}_{_NUMBER}.json"] = read_json_object(table, "what the values of a mask stand for")
    for name, mask in masks.items():
        if mask.shape[:2] != rgb.shape[:2]:
            raise DataError(f"{path}: its mask {name} is {mask.shape[:2]} (height, width), the picture {rgb.shape[:2]}")
    return Sides(rgb=rgb, path=path, masks=masks, tables=tables)


def read_photo(path: Path) -> Rgb:
    """A photo, upright, 8 bits a channel; of 16-bit files the brightest value says how many bits the camera has."""
    if not path.is_file() and not is_image_name(path.name):
        raise ImageError(path, "unreadable", "expected the photo, a PNG, JPEG, TIFF, BMP or WebP file")
    picture = read_picture(path)
    white = next(level for level in _WHITE if picture.peak <= level)
    if picture.bits == 16 and white != _WHITE[-1]:
        picture = read_picture(path, white_level=white)
    _refuse_long(path, picture.rgb)
    return picture.rgb


def _refuse_long(path: Path, rgb: Rgb) -> None:
    if max(rgb.shape[:2]) > MOST_SIDE:
        raise ImageError(path, "too_large", f"{rgb.shape[1]} x {rgb.shape[0]} pixels, at most {MOST_SIDE} a side")


def write_aligned(folder: Path, sides: Sides, photo: Rgb, placed: Placed) -> tuple[int, int, int, int]:
    """Write pictures and masks, cut to the bounding box of what both show; returns that box (xyxy in the render)."""
    valid = placed.valid()
    x, y, w, h = cv2.boundingRect(valid.astype(np.uint8))
    if min(w, h) < 1:
        raise DataError(f"{sides.path}: the photo shows nothing of it where it was laid")
    box = (x, y, x + w, y + h)
    reference, aligned = cut(sides.rgb, box), cut(on_render(photo, placed), box)
    write_png(folder / "ref_crop.png", reference)
    write_png(folder / "aligned_crop.png", aligned)
    for name, mask in sides.masks.items():
        write_png(folder / name, cut(mask, box))
    for name, table in sides.tables.items():
        write_json(folder / name, table)
    write_bytes(folder / "blink.gif", _blink(reference, aligned))
    return box


def _blink(reference: Rgb, aligned: Rgb) -> bytes:
    """Two pictures in turn: what does not jump is lined up."""
    first, second = (
        Image.fromarray(fit_within(one, _BLINK_PX)).quantize(128, Image.Quantize.MEDIANCUT)
        for one in (reference, aligned)
    )
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=[second], duration=_BLINK_MS, loop=0, optimize=False)
    return out.getvalue()
