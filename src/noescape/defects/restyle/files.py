"""Which files of a tree are images to restyle, and which only go along: masks, labels, everything else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from noescape.imaging import is_image_name, jpeg_bytes, png_bytes
from noescape.records import DataError

MASK_FOLDERS = frozenset({
    "mask", "masks", "cad_mask", "cad_masks", "ground_truth", "original_mask", "cropped_mask", "semantic_segmentation",
    "component_instance", "instance_segmentation", "submask", "submasks",
})  # fmt: skip
MASK_ENDINGS = ("_mask", "_masks", "_gt")
MASK_STARTS = ("semantic_segmentation_", "instance_segmentation_", "component_instance_")
OWN = ("restyle.json", "provenance.jsonl", "timing.json")


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Paths relative to `root` with `/`, sorted: `images`; `along` (copied byte for byte); `strays` (links that lead
    out, not followed). With `pick`, images out of folders of that name alone, whose paths leave that folder out."""

    root: Path
    images: tuple[str, ...]
    along: tuple[str, ...]
    strays: tuple[str, ...]
    pick: str = ""

    def source(self, name: str) -> Path:
        """Where the file of that path lies."""
        path = self.root / name
        return path.parent / self.pick / path.name if self.pick else path


def read_tree(root: Path, pick: str = "") -> Tree:
    """Sort the files of `root`. Hidden files are left out, links to folders are not followed."""
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder with images")
    images, along, strays, home = [], [], [], root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        strays += [_under(root, folder, name) for name in folders if (Path(folder) / name).is_symlink()]
        for name in names:
            path, relative = Path(folder) / name, _under(root, folder, name)
            if name.startswith(".") or relative in OWN:
                continue
            if not path.is_file() or not path.resolve().is_relative_to(home):
                strays.append(relative)
            elif is_image_name(name) and not is_mask(relative):
                images.append(relative)
            else:
                along.append(relative)
    if pick:
        images, along, strays = [without for path in images if (without := _picked(path, pick))], [], []
    return Tree(
        root=root, images=tuple(sorted(images)), along=tuple(sorted(along)), strays=tuple(sorted(strays)), pick=pick
    )


def is_mask(relative: str) -> bool:
    """Whether a path names a mask, by a folder on its way or by its own name."""
    path = PurePosixPath(relative)
    if MASK_FOLDERS & {part.lower() for part in path.parts[:-1]}:
        return True
    stem = path.stem.lower()
    return stem.endswith(MASK_ENDINGS) or stem.startswith(MASK_STARTS)


def holds_a_mask(rgb: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture holds nothing but pure black and white: a mask, whatever it is called."""
    first = rgb[..., 0]
    if first[0, 0] not in (0, 255) or not np.isin(first, (0, 255)).all():
        return False
    return bool((rgb[..., 1] == first).all() and (rgb[..., 2] == first).all())


def encoded(rgb: npt.NDArray[np.uint8], name: str) -> bytes:
    """An image in the format that its name says; JPEG with quality 95, all others without loss."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        return jpeg_bytes(rgb, quality=95)
    grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())
    array = np.ascontiguousarray(rgb[..., 0]) if grey else rgb
    if suffix == ".png":
        return png_bytes(array)
    out = BytesIO()
    form = {".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}[suffix]
    Image.fromarray(array).save(out, form, **({"lossless": True} if form == "WEBP" else {}))
    return out.getvalue()


def _picked(relative: str, pick: str) -> str:
    """The path without the folder `pick` that its image lies in; "" where it lies in another."""
    path = PurePosixPath(relative)
    return (path.parent.parent / path.name).as_posix() if path.parent.name == pick else ""


def _under(root: Path, folder: str, name: str) -> str:
    return (Path(folder) / name).relative_to(root).as_posix()
