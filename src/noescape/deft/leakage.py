"""Leakage: whatever training knows of the sets that judge it. Five ways, each row named on both sides:

    key         the documented key agrees (input_path, golden_path, label, object_name, boardname: the shared columns)
    bytes       the input picture has the same bytes
    picture     the input is the same picture in another file: saved again, re-lit, turned by a quarter, mirrored
    relabelled  one of these two with another label
    board       the same specimen: boardname, with the panel after @ in object_name where there is one

The clean partner of a synthetic row counts as an input: a held-out picture that defects were drawn on is known too.
Goldens that both sides compare with are no leak. Where every row of both sets has one boardname, that names a product
and not a specimen: this is a note, not a leak.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.rows import Row, listed, read_rows
from noescape.changenet.spec import Spec
from noescape.deft.hardstop import HardStop
from noescape.deft.leakage_key import Holdout, Leak, key_leaks
from noescape.deft.leakage_pictures import Print, same_files, same_pictures, take_prints
from noescape.deft.places import Images
from noescape.deft.stage_pairs import NG_FOLDER, OK_FOLDER, SDG, SYNTHETIC
from noescape.files import sha256_file
from noescape.records import DataError

KINDS = ("key", "bytes", "picture", "relabelled", "board")
MADE_BY = frozenset({NG_FOLDER, OK_FOLDER, "synth_pool", "anomalygen", "reconstructed_image"})


@dataclass(frozen=True, kw_only=True)
class Findings:
    """`leaks` by held-out set, kind and row; `notes` in words; pictures `judged` on either side, and `unread` ones."""

    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]
    judged: int
    unread: int

    def rows(self) -> set[int]:
        """Training rows that leak, by number."""
        return {leak.train_row for leak in self.leaks}


@dataclass(frozen=True, kw_only=True)
class _Side:
    """Rows with the pictures that count as known: (place in `rows`, path)."""

    name: str
    rows: Sequence[Row]
    pictures: Sequence[tuple[int, Path]]


def leakage(
    train: Path,
    holdouts: Sequence[Holdout],
    spec: Spec,
    workspace: Path,
    *,
    images_dir: str = ".",
    boards: bool = True,
    workers: int = 1,
) -> Findings:
    """Compare the training CSV (paths start at `images_dir` in the workspace) with each held-out set.

    `boards` False: boardname is no specimen in these files. One decode per picture of either side; see same_pictures
    for what comparing costs.
    """
    rows = read_rows(train)
    ours = _side("train", rows, Images.of(spec.dataset.classify, images_dir, workspace), with_goldens=True)
    sides = []
    for one in holdouts:
        images = Images.of(spec.dataset.classify, one.images_dir, workspace)
        sides.append(_side(one.name, read_rows(workspace / one.csv), images, with_goldens=False))
    prints = take_prints([path for side in (ours, *sides) for _, path in side.pictures], workers)
    asked = len({path for side in (ours, *sides) for _, path in side.pictures})
    leaks = key_leaks(rows, images_dir, holdouts, workspace)
    notes: list[str] = []
    for side in sides:
        leaks += _of_pictures(ours, side, prints)
        found, note = _of_boards(ours, side) if boards else ([], "")
        leaks += found
        notes += [note] if note else []
    plain = sum(one.plain for one in prints.values())
    notes += [f"{plain} pictures show nothing by which they could be told apart; not judged"] if plain else []
    order = {kind: i for i, kind in enumerate(KINDS)}
    leaks.sort(key=lambda leak: (leak.holdout, order[leak.kind], leak.train_row, leak.holdout_row))
    return Findings(leaks=tuple(leaks), notes=tuple(notes), judged=len(prints), unread=asked - len(prints))


def require_clean(train: Path, findings: Findings) -> None:
    """HardStop leakage with the rows, where there is any leak."""
    if findings.leaks:
        said = [f"row {one.train_row} is row {one.holdout_row} of {one.holdout} ({one.kind}: {one.detail})"
                for one in findings.leaks]  # fmt: skip
        raise HardStop("leakage", listed(f"{train}: {len(said)} finding(s) against held-out sets:", said))


def synthetic_rows(
    holdout: Holdout, spec: Spec, workspace: Path, generated: Iterable[Path] = ()
) -> list[tuple[int, str]]:
    """Rows of a held-out set that are synthetic, with how that is seen: provenance, project, folder, or the bytes of
    one of the `generated` pictures."""
    images = Images.of(spec.dataset.classify, holdout.images_dir, workspace)
    sizes: dict[int, list[Path]] = {}
    for path in generated:
        if path.is_file():
            sizes.setdefault(path.stat().st_size, []).append(path)
    out = []
    for row in read_rows(workspace / holdout.csv):
        reason = _said_synthetic(row) or _made(row, images, sizes)
        if reason:
            out.append((row.number, reason))
    return out


def require_real(holdout: Holdout, spec: Spec, workspace: Path, generated: Iterable[Path] = ()) -> None:
    """HardStop synthetic_in_holdout where a held-out set holds a synthetic row."""
    found = synthetic_rows(holdout, spec, workspace, generated)
    if found:
        title = (
            f"{holdout.csv}: {len(found)} row(s) of the {holdout.name} set are synthetic; only real parts may judge:"
        )
        raise HardStop("synthetic_in_holdout", listed(title, [f"row {number}: {reason}" for number, reason in found]))


def _said_synthetic(row: Row) -> str:
    fields = {name: row.fields.get(name, "").strip().lower() for name in ("provenance", "project")}
    if fields["provenance"] in (SDG, SYNTHETIC):
        return f"provenance {fields['provenance']}"
    if fields["project"] == SYNTHETIC:
        return f"project {SYNTHETIC}"
    inside = MADE_BY.intersection(Path(row.input_path).parts)
    return f"lies in {min(inside)}" if inside else ""


def _made(row: Row, images: Images, sizes: dict[int, list[Path]]) -> str:
    try:
        path = images.input(row)
        same = sizes.get(path.stat().st_size, [])
        digest = sha256_file(path) if same else ""
    except (DataError, OSError):
        return ""
    return next((f"has the bytes of {other.name}" for other in same if sha256_file(other) == digest), "")


def _side(name: str, rows: Sequence[Row], images: Images, *, with_goldens: bool) -> _Side:
    pictures: list[tuple[int, Path]] = []
    for place, row in enumerate(rows):
        try:
            pictures += [(place, path) for path in images.files.inputs(row)]
            if with_goldens and _said_synthetic(row):
                pictures += [(place, path) for golden in images.files.goldens(row) for path in golden]
        except DataError:
            continue  # a picture that is not there is validation's business
    return _Side(name=name, rows=rows, pictures=pictures)


def _of_pictures(ours: _Side, theirs: _Side, prints: dict[Path, Print]) -> list[Leak]:
    left = [(place, prints[path]) for place, path in ours.pictures if path in prints]
    right = [(place, prints[path]) for place, path in theirs.pictures if path in prints]
    a, b = [one for _, one in left], [one for _, one in right]
    leaks, seen = [], set()
    found = [(i, j, "bytes", "same bytes") for i, j in same_files(a, b)]
    done = {i for i, *_ in found}
    rest = [i for i in range(len(a)) if i not in done]
    found += [(rest[i], j, "picture", how) for i, j, how in same_pictures([a[i] for i in rest], b)]
    for i, j, kind, how in found:
        row, other = ours.rows[left[i][0]], theirs.rows[right[j][0]]
        if row.number in seen:
            continue
        seen.add(row.number)
        differs = row.label.strip().upper() != other.label.strip().upper()
        detail = f"{how}; here {row.label}, there {other.label}" if differs else how
        leaks.append(Leak(kind="relabelled" if differs else kind, holdout=theirs.name, train_row=row.number,
                          holdout_row=other.number, detail=detail))  # fmt: skip
    return leaks


def specimen(row: Row) -> str:
    """What physical thing a row shows: board and panel, the board alone, or nothing where nobody says."""
    board = row.fields.get("boardname", "").strip()
    panel = row.object_name.rpartition("@")[2].strip() if "@" in row.object_name else ""
    return f"{board}@{panel}" if board and panel else board


def _of_boards(ours: _Side, theirs: _Side) -> tuple[list[Leak], str]:
    first: dict[str, int] = {}
    for row in theirs.rows:
        first.setdefault(specimen(row), row.number)
    names = {specimen(row) for row in (*ours.rows, *theirs.rows)} - {""}
    leaks = [
        Leak(kind="board", holdout=theirs.name, train_row=row.number, holdout_row=first[specimen(row)],
             detail=f"both show board {specimen(row)!r}")
        for row in ours.rows
        if specimen(row) and specimen(row) in first
    ]  # fmt: skip
    if len(names) == 1 and leaks:
        return [], f"{theirs.name}: every row has boardname {names.pop()!r}: taken for a product, not a specimen"
    return leaks, ""
