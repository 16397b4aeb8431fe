"""A workspace from what `noescape board pairs` writes, or any folder with a CSV of pairs beside its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from noescape.changenet.rows import Files, Row, read_rows
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.init_write import Item, Source
from noescape.deft.places import checked_name
from noescape.files import safe_name
from noescape.imaging import is_image_name
from noescape.records import DataError, UsageError

CSVS = ("pairs.csv", "changenet.csv", "testing_set.csv")
KEPT = COLUMNS[4:]


def from_pairs(folder: Path, *, light: str | None = None) -> Source:
    """Rows of the CSV in `folder` (pairs.csv or changenet.csv); the group is boardname.

    `light` names the one whose pictures are taken; None: the only one there is. Rows without pictures are left out and
    counted. UsageError where there are several lights, DataError without a CSV or without boardname.
    """
    table = next((folder / name for name in CSVS if (folder / name).is_file()), None)
    if table is None:
        raise DataError(f"{folder}: expected {' or '.join(CSVS[:2])}, as `noescape board pairs` writes it")
    rows = read_rows(table)
    nameless = [row.number for row in rows if not row.fields.get("boardname", "").strip()]
    if nameless:
        raise DataError(
            f"{table}: row {nameless[0]} and {len(nameless) - 1} more have no boardname; sets are divided by board, so "
            "every row must say which it shows"
        )
    lights = _lights(folder, rows)
    chosen = _chosen(lights, light, table)
    files = Files(root=folder, lights=(chosen,))
    kept, lost = [], []
    for row in rows:
        try:
            checked_name(row.input_path, f"{table}, row {row.number}")
            kept.append((row, files.inputs(row)[0], files.goldens(row)[0][0]))
        except DataError as error:
            lost.append(f"row {row.number}: {error}")
    if not kept:
        raise DataError(f"{table}: not one row has its pictures ({lost[0]})")
    suffixes = {path.suffix for _, *both in kept for path in both}
    ext = suffixes.pop() if len(suffixes) == 1 else "null"
    spec = [f"dataset.classify.input_map={{{chosen}: 0}}" if chosen else "dataset.classify.input_map=null",
            f"dataset.classify.image_ext={ext}"]  # fmt: skip
    notes = [f"{len(lost)} rows have no pictures, first: {lost[0]}"] if lost else []
    notes += [f"light {chosen}; {', '.join(sorted(set(lights) - {chosen}))} left out"] if len(lights) > 1 else []
    return Source(
        kind="pairs",
        counts=[(row.fields["boardname"], row.is_defect) for row, *_ in kept],
        items=lambda group: _items(kept, group),
        spec=spec,
        light=chosen,
        notes=notes,
    )


def _items(kept: Sequence[tuple[Row, Path, Path]], group: str) -> Iterator[Item]:
    used: set[str] = set()
    for row, seen, golden in kept:
        if row.fields["boardname"] != group:
            continue
        name = _unused(row, used)
        if seen.suffix != golden.suffix:
            raise DataError(f"row {row.number}: {seen} and {golden} must have the same suffix")
        yield Item(
            group=group, label=row.label.strip(), name=name, suffix=seen.suffix, input=seen.read_bytes(),
            golden=golden.read_bytes(), fields={k: row.fields.get(k, "") for k in KEPT},
        )  # fmt: skip


def _unused(row: Row, used: set[str]) -> str:
    """The row's name; with a number behind it where a good and a defective picture of one part share it."""
    name, number = row.object_name, 1
    while name in used:
        number += 1
        name = f"{row.object_name}_{number}"
    used.add(name)
    return name


def _lights(folder: Path, rows: Sequence[Row]) -> tuple[str, ...]:
    """The words that stand behind object_name in the names of the files."""
    found: set[str] = set()
    by_folder: dict[str, list[str]] = {}
    for row in rows:
        where = checked_name(row.input_path, f"row {row.number}")
        if where not in by_folder:
            place = folder / where
            by_folder[where] = (
                sorted(p.stem for p in place.iterdir() if is_image_name(p.name)) if place.is_dir() else []
            )
        stems = set(by_folder[where])
        if row.object_name in stems:
            continue
        head = f"{row.object_name}_"
        found.update(
            stem.removeprefix(head) for stem in stems if stem.startswith(head) and "_" not in stem[len(head) :]
        )
    return tuple(sorted(found))


def _chosen(lights: Sequence[str], wanted: str | None, table: Path) -> str | None:
    if wanted is not None:
        if wanted not in lights:
            raise UsageError(
                f"--light {wanted}: the pictures of {table} have {', '.join(lights) or 'no light in their names'}"
            )
        return wanted
    if len(lights) > 1:
        raise UsageError(f"{table}: pictures under {', '.join(lights)}; choose one with --light")
    if lights and lights[0] != safe_name(lights[0]):
        raise DataError(f"{table}: light {lights[0]!r} cannot stand in a file name")
    return lights[0] if lights else None
