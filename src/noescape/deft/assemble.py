"""Assembly: the next training set is the last one and what was mined, and nothing that was in it is lost.

    train_combined_iterN.csv             14 columns; paths start at the workspace
    train_combined_iterN_provenance.csv  where each row came from: base_train, previous_iter_train or mining_pool
    train_combined_iterN_dropped.csv     only where a row was left out, with the reason

Iteration 1 starts from the base set, whose paths get kpi/images/ in front; iteration N from the CSV of N - 1 as it is.
Labels: PASS, or the type in lower case without blanks around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from noescape.changenet.rows import PASS, Row, is_defect, read_rows
from noescape.changenet.spec import Spec
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.decisions import corrected
from noescape.deft.ledger import Dropped, account, row_name
from noescape.deft.mine_files import training_key
from noescape.deft.places import Images, base_fields, checked_name, pool_fields
from noescape.deft.stage_pairs import REAL, SDG
from noescape.files import read_csv, write_csv
from noescape.records import UsageError

BASE, PREVIOUS, MINED = "base_train", "previous_iter_train", "mining_pool"


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """The CSVs, rows by origin, rows left out with the reason, and how many of all rows are synthetic."""

    csv: Path
    provenance: Path
    rows: int
    previous: int
    mined: int
    dropped: tuple[Dropped, ...]
    synthetic: int
    labels: dict[str, int]
    decisions: str


@dataclass(frozen=True, kw_only=True)
class _Line:
    fields: dict[str, str]
    source: str
    provenance: str


def canonical(label: str) -> str:
    """A label as the trainer reads it: PASS in capitals, everything else in lower case, no blanks around it."""
    return label.strip().lower() if is_defect(label) else PASS


def assemble(
    previous: Path,
    mined: Path,
    out: Path,
    *,
    iteration: int,
    workspace: Path,
    spec: Spec | None = None,
    decisions: Path | None = None,
) -> Assembled:
    """Write the training set of `iteration` (from 1) to the folder `out`.

    `previous` is the base set in iteration 1, else the combined CSV before. A mined row that is there already is left
    out and logged. `decisions` changes labels or leaves rows out (needs `spec`, which says how pictures are named).
    HardStop path_rule for a path that leaves the workspace, silent_drop where what is on disk then is not the sum.
    """
    if iteration < 1:
        raise UsageError(f"iteration: expected 1 or more, got {iteration}")
    old = _previous(previous, first=iteration == 1)
    new = _mined(mined, workspace)
    lines, dropped = _joined(old, new)
    lines, left_out, said = _decided(lines, spec, decisions, workspace)
    dropped += left_out
    name = f"train_combined_iter{iteration}"
    csv, provenance = out / f"{name}.csv", out / f"{name}_provenance.csv"
    _write(out, name, lines, dropped)
    account("assembly", (_pair(line.fields) for line in [*old, *new]), map(_pair, read_csv(csv)), dropped)
    return Assembled(
        csv=csv,
        provenance=provenance,
        rows=len(lines),
        previous=sum(line.source != MINED for line in lines),
        mined=sum(line.source == MINED for line in lines),
        dropped=tuple(dropped),
        synthetic=sum(line.provenance == SDG for line in lines),
        labels=dict(sorted(Counter(line.fields["label"] for line in lines).items())),
        decisions=said,
    )


def _previous(path: Path, *, first: bool) -> list[_Line]:
    known = {} if first else _provenance_of(path)
    lines = []
    for row in read_rows(path):
        where = f"{path}, row {row.number}"
        fields = base_fields(row.fields, where) if first else _checked(row.fields, where)
        plain = _fourteen(fields)
        source = REAL if first else known.get(row_name(plain), REAL)
        lines.append(_Line(fields=plain, source=BASE if first else PREVIOUS, provenance=source))
    return lines


def _provenance_of(path: Path) -> dict[str, str]:
    """real or sdg for each row of an earlier combined CSV."""
    beside = path.with_name(f"{path.stem}_provenance.csv")
    return {row_name(row): row.get("provenance", REAL) for row in read_csv(beside)} if beside.is_file() else {}


def _mined(path: Path, workspace: Path) -> list[_Line]:
    lines = []
    for number, fields in enumerate(read_csv(path), 1):
        where = f"{path}, row {number}"
        ready = "filepath" in fields and "provenance" in fields  # as mining writes them; else production rows as given
        placed = _checked(fields, where) if ready else pool_fields(fields, workspace, where)
        lines.append(_Line(fields=_fourteen(placed), source=MINED, provenance=fields.get("provenance", "") or REAL))
    return lines


def _checked(fields: dict[str, str], where: str) -> dict[str, str]:
    return fields | {side: checked_name(fields[side], f"{where}, {side}") for side in ("input_path", "golden_path")}


def _fourteen(fields: dict[str, str]) -> dict[str, str]:
    return {name: fields.get(name, "") for name in COLUMNS} | {"label": canonical(fields["label"])}


def _joined(old: Sequence[_Line], new: Sequence[_Line]) -> tuple[list[_Line], list[Dropped]]:
    have = {training_key(line.fields) for line in old}
    lines, dropped = list(old), []
    for line in new:
        if (key := training_key(line.fields)) in have:
            dropped.append(Dropped(row=_pair(line.fields), reason="is in the training set already"))
            continue
        have.add(key)
        lines.append(line)
    return lines, dropped


def _decided(
    lines: list[_Line], spec: Spec | None, decisions: Path | None, workspace: Path
) -> tuple[list[_Line], list[Dropped], str]:
    if decisions is None or not decisions.is_file():
        return lines, [], ""
    if spec is None:
        raise UsageError("decisions on labels can be applied only with the spec, which says how pictures are named")
    images = Images.of(spec.dataset.classify, workspace, workspace)
    rows = [Row(number=i, fields=line.fields) for i, line in enumerate(lines)]
    done = corrected(rows, decisions, images)
    by = {images.key(row): row for row in rows}
    reasons = {one.image: f"left out by {one.by} on {one.on}" for one in done.left_out}
    dropped = [Dropped(row=_pair(by[image].fields), reason=reason) for image, reason in reasons.items()]
    kept = [replace(lines[r.number], fields=r.fields | {"label": canonical(r.fields["label"])}) for r in done.rows]
    return kept, dropped, done.said


def _pair(fields: dict[str, str]) -> str:
    """What names a row whatever becomes of its label."""
    return " | ".join(fields.get(name, "") for name in ("input_path", "golden_path", "object_name"))


def _write(out: Path, name: str, lines: Sequence[_Line], dropped: Sequence[Dropped]) -> None:
    rows = [[line.fields[column] for column in COLUMNS] for line in lines]
    beside = [
        (*[line.fields[column] for column in COLUMNS[:4]], line.source, line.provenance or REAL) for line in lines
    ]
    log = out / f"{name}_dropped.csv"
    log.unlink(missing_ok=True)
    if dropped:
        write_csv(log, ("row", "reason"), [(one.row, one.reason) for one in dropped])
    write_csv(out / f"{name}_provenance.csv", (*COLUMNS[:4], "source", "provenance"), beside)
    write_csv(out / f"{name}.csv", COLUMNS, rows)
