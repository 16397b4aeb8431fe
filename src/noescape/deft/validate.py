"""What a training CSV must be before hours are spent on it: columns, rows, pictures, labels, nothing held out in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.rows import MANDATORY, Row, listed, missing, read_rows
from noescape.changenet.spec import Spec
from noescape.deft.assemble import canonical
from noescape.deft.hardstop import HardStop
from noescape.deft.leakage_key import Holdout, key_leaks
from noescape.deft.mine_files import training_key
from noescape.deft.places import Images, checked_name
from noescape.records import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong. `code`: table, path, picture, label, class, repeated, leak; `row` counts from 1, 0 = the
    whole file."""

    code: str
    row: int
    what: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.what}" if self.row else self.what


def validate(
    csv: Path, spec: Spec, holdouts: Sequence[Holdout] = (), *, workspace: Path, images_dir: str = "."
) -> tuple[Problem, ...]:
    """Everything that is wrong with a training CSV whose paths start at `images_dir` in the workspace, in row order.

    The four mandatory columns and at least one row; each picture of input and golden, for every light, inside the
    workspace; labels exactly as they are canonical; PASS and defects both; no row twice; no row of a held-out set, by
    the documented key. One stat per picture, no decode.
    """
    try:
        rows = read_rows(csv)
    except DataError as error:
        return (Problem(code="table", row=0, what=str(error)),)
    images = Images.of(spec.dataset.classify, images_dir, workspace)
    lost = missing(rows, images.files)
    problems: list[Problem] = []
    first: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(rows):
        problems += _of_row(row, lost.get(place))
        key = training_key(row.fields)
        if key in first:
            problems.append(Problem(code="repeated", row=row.number, what=f"is row {first[key]} again"))
        first.setdefault(key, row.number)
    problems += _classes(rows)
    problems += [
        Problem(
            code="leak", row=leak.train_row, what=f"is row {leak.holdout_row} of the {leak.holdout} set ({leak.detail})"
        )
        for leak in key_leaks(rows, images_dir, holdouts, workspace)
    ]
    return tuple(problems)


def require_valid(csv: Path, problems: Sequence[Problem]) -> None:
    """HardStop csv_invalid with the list of problems, or leakage where that is all there is."""
    if not problems:
        return
    code = "leakage" if all(p.code == "leak" for p in problems) else "csv_invalid"
    raise HardStop(code, listed(f"{csv}: {len(problems)} problem(s):", [str(p) for p in problems]))


def _of_row(row: Row, lost: str | None) -> list[Problem]:
    problems = []
    for side in MANDATORY[:2]:
        try:
            checked_name(row.fields[side], side)
        except HardStop as error:
            problems.append(Problem(code="path", row=row.number, what=str(error)))
    if lost is not None and not problems:
        problems.append(Problem(code="picture", row=row.number, what=lost))
    if row.label != canonical(row.label):
        what = f"label {row.label!r}: expected {canonical(row.label)!r}, byte by byte"
        problems.append(Problem(code="label", row=row.number, what=what))
    return problems


def _classes(rows: Sequence[Row]) -> list[Problem]:
    count = Counter(row.is_defect for row in rows)
    return [
        Problem(code="class", row=0, what=f"holds no {name} row: nothing can be learned from one class alone")
        for side, name in ((True, "NO_PASS"), (False, "PASS"))
        if not count[side]
    ]
