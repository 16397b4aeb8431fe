"""A workspace from plain folders of pictures:

    DIR/<board>/golden/<name>.png     how it should be
    DIR/<board>/PASS/<name>.png       good parts
    DIR/<board>/<type>/<name>.png     defective ones; the folder is the type

The golden of a picture has its name; where golden/ holds a single picture, that is everybody's golden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.rows import PASS, SUFFIXES, is_defect
from noescape.deft.init_write import Item, Source
from noescape.files import safe_name
from noescape.imaging import is_image_name, png_bytes, read_picture
from noescape.records import DataError, ImageError

GOLDEN = "golden"


@dataclass(frozen=True, kw_only=True)
class _Found:
    label: str
    seen: Path
    golden: Path


def from_folders(source: Path) -> Source:
    """Rows of the folders above; the group is the board. A picture without a golden, or one that cannot be read, is
    left out and counted. DataError where no board has pictures."""
    found: dict[str, list[_Found]] = {}
    lost: list[str] = []
    boards = sorted(p for p in source.iterdir() if (p / GOLDEN).is_dir()) if source.is_dir() else []
    for board in boards:
        rows = list(_of_board(board, lost))
        if rows:
            found[board.name] = rows
    if not found:
        raise DataError(f"{source}: expected <board>/golden/, <board>/PASS/ and <board>/<defect type>/ with pictures")
    suffixes = {p.suffix for rows in found.values() for one in rows for p in (one.seen, one.golden)}
    ext = suffixes.pop() if len(suffixes) == 1 else ".png"
    return Source(
        kind="folders",
        counts=[(board, is_defect(one.label)) for board, rows in found.items() for one in rows],
        items=lambda board: _items(found[board], board, ext),
        spec=("dataset.classify.input_map=null", f"dataset.classify.image_ext={ext}"),
        notes=[f"{len(lost)} pictures left out, first: {lost[0]}"] if lost else [],
    )


def _of_board(board: Path, lost: list[str]) -> Iterator[_Found]:
    goldens = {p.stem: p for p in _pictures(board / GOLDEN)}
    only = next(iter(goldens.values())) if len(goldens) == 1 else None
    for folder in sorted(p for p in board.iterdir() if p.is_dir() and p.name != GOLDEN and not p.name.startswith(".")):
        label = PASS if folder.name.strip().upper() == PASS else folder.name.strip()
        for seen in _pictures(folder):
            golden = goldens.get(seen.stem, only)
            try:
                if golden is None:
                    raise ImageError(seen, "golden", f"has no golden {board.name}/{GOLDEN}/{seen.stem}.*")
                read_picture(seen), read_picture(golden)
            except ImageError as error:
                lost.append(str(error))
                continue
            yield _Found(label=label, seen=seen, golden=golden)


def _pictures(folder: Path) -> Sequence[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and is_image_name(p.name) and p.suffix.lower() in SUFFIXES)


def _items(rows: Sequence[_Found], board: str, ext: str) -> Iterator[Item]:
    used: set[str] = set()
    for one in rows:
        name = base = safe_name(one.seen.stem)
        number = 1
        while name in used:
            number += 1
            name = f"{base}_{number}"
        used.add(name)
        yield Item(
            group=board, label=one.label, name=name, suffix=ext, input=_encoded(one.seen, ext),
            golden=_encoded(one.golden, ext), fields={"description": one.seen.name},
        )  # fmt: skip


def _encoded(path: Path, ext: str) -> bytes:
    return path.read_bytes() if path.suffix == ext else png_bytes(read_picture(path).rgb)
