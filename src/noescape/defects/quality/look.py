"""Look at every picture once, on some threads, and keep what the figures need of it; a broken file costs its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from noescape.datasets.folder import find_images
from noescape.defects.copies import Gallery, Likest, Poses, poses_of
from noescape.defects.quality.diversity import mask_grid
from noescape.defects.quality.features import PatchReader
from noescape.defects.quality.label_fit import LabelFit, label_fit
from noescape.defects.quality.leakage import Leak, Seen, Test, common_detail, leaks_of, seen_of
from noescape.defects.quality.nearest import Nearness, nearness
from noescape.defects.quality.pictures import DefectPicture, Shelf, load, read_shelf
from noescape.files import sha256_file
from noescape.imaging import read_picture
from noescape.imaging.parallel import ordered_map
from noescape.records import DataError, ImageError

Float = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]
Advance = Callable[[int], None]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Real:
    """A real defect: its patches, their mean, its mask on a grid, its poses for the search of copies."""

    picture: DefectPicture
    patches: Float
    mean: Float
    grid: Bool
    poses: Poses


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """A generated one. `near` None: no real picture of its type; `fit` None: no clean original."""

    picture: DefectPicture
    mean: Float
    grid: Bool
    near: Nearness | None
    likest: Likest | None
    fit: LabelFit | None
    leaks: tuple[Leak, ...]


def look_at_real(
    pictures: Sequence[DefectPicture], reader: PatchReader, workers: int, advance: Advance
) -> tuple[list[Real], list[str]]:
    """All real defects, and why some could not be looked at."""

    def one(picture: DefectPicture) -> Real | str:
        try:
            loaded = load(picture)
        except ImageError as error:
            return str(error)
        patches = reader(loaded.rgb, loaded.mask)
        return Real(
            picture=picture, patches=patches.unit, mean=patches.mean, grid=mask_grid(loaded.mask),
            poses=poses_of(loaded.rgb, loaded.mask),
        )  # fmt: skip

    return _sorted_out(pictures, one, workers, advance)


def look_at_test(shelf: Shelf, workers: int, advance: Advance) -> tuple[Test, list[str]]:
    """All pictures of a test split, good ones too."""
    rows = [*shelf.defects, *_good(shelf)]
    some = rows[:: max(1, len(rows) // 50)]
    common = common_detail([rgb for row in some if (rgb := _readable(row)) is not None])

    def one(picture: DefectPicture) -> Seen | str:
        try:
            rgb, mask = _pixels(picture)
        except ImageError as error:
            return str(error)
        return seen_of(picture.name, picture.kind, sha256_file(picture.image), rgb, mask, common)

    seen, lost = _sorted_out(rows, one, workers, advance)
    return Test(seen=tuple(seen), common=common), lost


def look_at_made(
    pictures: Sequence[DefectPicture],
    real: Sequence[Real],
    test: Test | None,
    reader: PatchReader,
    workers: int,
    advance: Advance,
) -> tuple[list[Made], list[str]]:
    """All generated ones, each held against the real ones, its clean original and the test split."""
    by_kind: dict[str, list[int]] = {}
    for number, row in enumerate(real):
        by_kind.setdefault(row.picture.kind, []).append(number)
    gallery = Gallery([row.poses for row in real])

    def one(picture: DefectPicture) -> Made | str:
        try:
            loaded = load(picture)
        except ImageError as error:
            return str(error)
        patches = reader(loaded.rgb, loaded.mask)
        same = by_kind.get(picture.kind, [])
        near = nearness(patches.unit, [real[i].patches for i in same])
        leaks: list[Leak] = []
        if test is not None:
            digest = sha256_file(picture.image)
            leaks = leaks_of(picture.name, picture.kind, digest, loaded.rgb, loaded.mask, test)
        return Made(
            picture=picture, mean=patches.mean, grid=mask_grid(loaded.mask), near=near,
            likest=gallery.likest(loaded.rgb, loaded.mask),
            fit=None if loaded.clean is None else label_fit(
                loaded.rgb, loaded.clean, loaded.mask, reach=picture.reach
            ),
            leaks=tuple(leaks),
        )  # fmt: skip

    return _sorted_out(pictures, one, workers, advance)


def leaks_in(shelf: Shelf, test: Test, workers: int, advance: Advance) -> list[Leak]:
    """Pictures of the real data set (examples and good ones) that the test split shows, too."""

    def one(picture: DefectPicture) -> list[Leak]:
        try:
            rgb, mask = _pixels(picture)
        except ImageError:
            return []
        return leaks_of(picture.name, picture.kind, sha256_file(picture.image), rgb, mask, test)

    out: list[Leak] = []
    for count, found in enumerate(ordered_map(one, [*shelf.defects, *_good(shelf)], workers), 1):
        out += found
        advance(count)
    return out


def test_shelf(root: Path, category: str | None) -> Shelf:
    """The test split at `root`: any layout that holds defects, or a plain folder of pictures."""
    try:
        shelf = read_shelf(root, category)
    except DataError:
        found = tuple(path for _, path in find_images(root))
        if not found:
            raise
        return Shelf(root=root, defects=(), good=found)
    tested = root.resolve()
    if (shelf.root / "test").is_dir():  # an MVTec folder: what it trains on is no test
        tested = (shelf.root / "test").resolve()
    inside = tuple(p for p in shelf.good if p.resolve().is_relative_to(tested))
    return Shelf(root=shelf.root, defects=shelf.defects, good=inside, left_out=shelf.left_out)


def _good(shelf: Shelf) -> list[DefectPicture]:
    return [DefectPicture(name=path.name, kind="good", image=path, mask=None) for path in shelf.good]


def _readable(picture: DefectPicture) -> npt.NDArray[np.uint8] | None:
    try:
        return read_picture(picture.image).rgb
    except ImageError:
        return None


def _pixels(picture: DefectPicture) -> tuple[npt.NDArray[np.uint8], Bool | None]:
    if picture.mask is None:
        return read_picture(picture.image).rgb, None
    loaded = load(picture)
    return loaded.rgb, loaded.mask


def _sorted_out(
    items: Sequence[DefectPicture], one: Callable[[DefectPicture], T | str], workers: int, advance: Advance
) -> tuple[list[T], list[str]]:
    """Results apart from reasons."""
    good: list[T] = []
    lost: list[str] = []
    for count, found in enumerate(ordered_map(one, items, workers), 1):
        if isinstance(found, str):
            lost.append(found)
        else:
            good.append(found)
        advance(count)
    return good, lost
