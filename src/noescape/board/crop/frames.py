"""The frames of a rendered tree (`trigger_*/rgb_<cell>.png` and what lies beside it); one bad frame costs one row."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.board.crop.facts import Facts, Metadata, read_metadata
from noescape.board.crop.instances import Instances, make_instances, read_ids
from noescape.board.crop.palette import U8, Colour, Meaning, read_palette
from noescape.datasets.folder import printable
from noescape.files import contained, read_json_object, safe_name
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError, PathEscapeError

RGB, SEMANTIC, LABELS = "rgb", "semantic_segmentation", "semantic_segmentation_labels"
IDS, TABLE, BOXES = "instance_segmentation", "instance_segmentation_mapping", "bounding_box_2d_tight"
ALIGNED = "aligned"
_NAME = re.compile(rf"({SEMANTIC}|{RGB})_(?!labels_)(.+)\.png", re.DOTALL)


def spoken(text: object) -> str:
    """Any text, also with halves of characters in it, as UTF-8 can hold it."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with one frame or file; the rest goes on."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture of the board with its masks, on disk. `picture` is the file of the picture itself."""

    root: Path
    folder: Path
    trigger: int
    cell: str
    picture: str
    facts: Facts

    @property
    def name(self) -> str:
        """The cell; of further triggers with their number before it."""
        return self.cell if self.trigger == 0 else f"{self.trigger:04d}_{self.cell}"

    def file(self, kind: str, suffix: str = "png") -> Path:
        """A file of this frame; PathEscapeError where a link leads out of the tree."""
        return self._inside(f"{kind}_{self.cell}.{suffix}")

    def has(self, kind: str, suffix: str = "png") -> bool:
        """Whether the file is there."""
        return (self.folder / f"{kind}_{self.cell}.{suffix}").is_file()

    def rgb(self) -> U8:
        """The picture [H, W, 3]. ImageError."""
        return read_picture(self._inside(self.picture)).rgb

    def semantic(self) -> U8:
        """The mask in colours [H, W, 3]. ImageError."""
        return read_picture(self.file(SEMANTIC)).rgb

    def palette(self) -> dict[Colour, Meaning]:
        """What its colours mean. DataError."""
        path = self.file(LABELS, "json")
        return read_palette(read_json_object(path, "colours and their classes"), path.name)

    def instances(self) -> Instances:
        """What each pixel belongs to. ImageError, DataError."""
        path = self.file(TABLE, "json")
        table = read_json_object(path, "numbers and the prims they stand for")
        return make_instances(read_ids(self.file(IDS)), table, self._boxes(), where=path.name)

    def problem(self, what: object) -> Problem:
        """A row about this frame."""
        return Problem(where=f"{self.folder.name}/{self.cell}", what=spoken(what))

    def _boxes(self) -> list[Any]:
        if not self.has(BOXES, "json"):
            return []
        path = self.file(BOXES, "json")
        try:
            rows = json.loads(path.read_bytes()) if path.stat().st_size < 1 << 28 else []
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path.name}: cannot be read as JSON ({error})") from None
        return rows if isinstance(rows, list) else []

    def _inside(self, name: str) -> Path:
        return contained(self.root, (self.folder / name).relative_to(self.root).as_posix())


@dataclass(frozen=True, kw_only=True)
class Tree:
    """All frames of a tree, by trigger and place, and what is wrong with names and side files."""

    root: Path
    frames: tuple[Frame, ...]
    problems: tuple[Problem, ...]
    metadata: Metadata


def read_tree(root: Path, *, source: str | None = None, pattern: str | None = None) -> Tree:
    """Find the frames below `root`: in `trigger_*/`, in the folder `source` alone where one is named, or, where `root`
    is such a folder itself, in it. `pattern` is a glob over the names of cells.

    DataError when there is no such folder, or no frame in it; nothing is decoded.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected the folder that `noescape board render` wrote, but there is no such folder")
    problems: list[Problem] = []
    triggers = _triggers(root, source, problems)
    try:
        metadata = read_metadata(root, triggers)
    except DataError as error:
        problems.append(Problem(where="metadata.json", what=spoken(error)))
        metadata = Metadata()
    problems += [Problem(where="metadata.json", what=spoken(what)) for what in metadata.problems]
    frames = [frame for folder in triggers for frame in _frames(root, folder, pattern, metadata, problems)]
    if not frames:
        wanted = f"{source or 'trigger_*'}/{SEMANTIC}_{pattern or '<cell>'}.png"
        why = f" ({problems[0]})" if problems else ""
        raise DataError(f"{root}: no frame; expected {wanted} with its labels and picture{why}")
    return Tree(root=root, frames=tuple(frames), problems=tuple(problems), metadata=metadata)


def _triggers(root: Path, source: str | None, problems: list[Problem]) -> list[Path]:
    if source is not None:
        try:
            folder = contained(root, source)
        except PathEscapeError as error:
            raise DataError(f"crop.source: {error}") from None
        return [root / source] if folder.is_dir() else []
    found = sorted(path for path in root.glob("trigger_*") if path.is_dir())
    inside = []
    for path in found:
        try:
            contained(root, path.name)
        except PathEscapeError as error:
            problems.append(Problem(where=printable(path.name), what=spoken(error)))
        else:
            inside.append(path)
    return inside if found else [root]


def _frames(root: Path, folder: Path, pattern: str | None, metadata: Metadata, problems: list[Problem]) -> list[Frame]:
    number = re.fullmatch(r"trigger_(\d+)", folder.name)
    trigger = int(number.group(1)) if number else 0
    aligned = folder.name == ALIGNED
    cells: set[str] = set()
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None or (aligned and match.group(1) == RGB):
            continue
        cell = match.group(2)
        if safe_name(cell) != cell:
            where = printable(f"{folder.name}/{path.name!r}")
            problems.append(Problem(where=where, what="not a name of a cell such as x0_y0; left out"))
        elif fnmatch.fnmatchcase(cell, pattern or "*"):
            cells.add(cell)
    return [
        Frame(
            root=root, folder=folder, trigger=trigger, cell=cell, facts=metadata.of(trigger, cell),
            picture="aligned_crop.png" if aligned else f"{RGB}_{cell}.png",
        )
        for cell in sorted(cells, key=_place)
    ]  # fmt: skip


def _place(cell: str) -> tuple[tuple[int, ...], str]:
    """By the numbers in the name: x2 before x10."""
    return tuple(int(part) for part in re.findall(r"\d{1,18}", cell)), cell


def sizes_agree(frame: Frame, pictures: Mapping[str, Any]) -> None:
    """ImageError where pictures of one frame differ in height or width."""
    sizes = {name: picture.shape[:2] for name, picture in pictures.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {w}x{h}" for name, (h, w) in sizes.items())
        raise ImageError(frame.folder / frame.picture, "size", f"its pictures differ in size: {told}")
