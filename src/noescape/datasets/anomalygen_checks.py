"""Look into every file of an AnomalyGen data set: can it be read, is the mask a mask, is anything there twice."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.folder import printable
from noescape.files import sha256_file
from noescape.imaging import read_picture
from noescape.records import ImageError

if TYPE_CHECKING:
    from noescape.datasets.anomalygen import DefectType

Tell = Callable[[str, Path, str, bool], None]  # code, file, what is wrong, whether it is fatal
Size = tuple[int, int]
Clean = dict[str, tuple[Path, ...]]


def check_files(
    types: Iterable[DefectType],
    clean: Mapping[str, tuple[Path, ...]],
    cad: Mapping[Path, Path],
    tell: Tell,
    max_pixels: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[DefectType], Clean, dict[Path, Path], dict[Path, Size]]:
    """The same without the files that cannot be used; each of those is told; and the clean images' sizes.

    Every file is decoded once.
    """
    types = list(types)
    total = sum(len(kind.pairs) for kind in types) + sum(map(len, clean.values()))
    steps = itertools.count(1)
    digests: dict[str, list[tuple[Path, str]]] = defaultdict(list)

    def note(path: Path, group: str) -> None:
        digests[sha256_file(path)].append((path, group))
        if progress:
            progress(next(steps), total)

    sound_types = []
    for kind in types:
        pairs = tuple(pair for pair in kind.pairs if _sound_pair(*pair, tell, max_pixels))
        for image, _ in kind.pairs:
            note(image, kind.key)
        sound_types.append(replace(kind, pairs=pairs))
        if not pairs:
            where = kind.pairs[0][0].parent if kind.pairs else None
            if where is not None:
                tell("type_unusable", where, f"none of the {len(kind.pairs)} examples can be used", True)
    sound_clean: Clean = {}
    sound_cad: dict[Path, Path] = {}
    all_sizes: dict[Path, Size] = {}
    for texture, paths in clean.items():
        sizes = {path: size for path in paths if (size := _size(path, tell, max_pixels)) is not None}
        sound_clean[texture] = tuple(sizes)
        all_sizes |= sizes
        for path in paths:
            note(path, "clean_image")
        for path, size in sizes.items():
            if path in cad and _sound_cad(cad[path], size, tell, max_pixels):
                sound_cad[path] = cad[path]
    for twins in digests.values():
        if len(twins) > 1:
            _tell_twins(twins, tell)
    return sound_types, sound_clean, sound_cad, all_sizes


def _sound_pair(image: Path, mask: Path, tell: Tell, max_pixels: int) -> bool:
    size = _size(image, tell, max_pixels)
    try:
        marked = read_binary_mask(mask, max_pixels=max_pixels)
    except ImageError as error:
        tell(f"mask_{error.code.removeprefix('mask_')}", mask, error.reason, True)
        return False
    if size is None:
        return False
    if marked.shape != size:
        what = f"is {marked.shape[1]}x{marked.shape[0]}, its image {size[1]}x{size[0]}"
        tell("mask_size", mask, f"{what}; they must be equal", True)
        return False
    if not marked.any():
        tell("mask_blank", mask, "marks nothing; draw where the defect is, or remove the pair", True)
        return False
    return True


def _size(path: Path, tell: Tell, max_pixels: int) -> Size | None:
    try:
        picture = read_picture(path, max_pixels=max_pixels)
    except ImageError as error:
        tell(error.code, path, error.reason, True)
        return None
    return picture.height, picture.width


def _sound_cad(path: Path, size: Size, tell: Tell, max_pixels: int) -> bool:
    mine = _size(path, tell, max_pixels)
    if mine is not None and mine != size:
        tell("cad_size", path, f"is {mine[1]}x{mine[0]}, its clean image {size[1]}x{size[0]}; they must be equal", True)
    return mine == size


def _tell_twins(twins: list[tuple[Path, str]], tell: Tell) -> None:
    """An image that is good and defective at once is fatal; what is there twice only weighs twice."""
    (first, group), *others = twins
    for path, other in others:
        across = (group == "clean_image") != (other == "clean_image")
        what = f"the same bytes as {printable(first.name)} of {group}"
        tell("good_and_bad" if across else "duplicate", path, what, across)
