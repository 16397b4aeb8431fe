"""What people decided about suspected labels: an append-only log, and the one way in which it changes rows.

    {"image": "kpi/images/a/C1@1_SolderLight", "was": "PASS", "label": "bridge", "by": "…", "on": "2026-01-29", …}

`image` names a picture by its path in the workspace, without suffix; `label` null: leave the row out of every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from noescape.changenet.rows import Row
from noescape.deft.places import Images
from noescape.files import read_jsonl
from noescape.records import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """`label`: what the picture shows (None: the row is left out); `by` and `on`: who said so, and when."""

    image: str
    was: str
    label: str | None
    by: str
    on: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """Rows as decided. `changed` and `left_out`: by whom, what became of which picture; `stale`: the label in the file
    is not the one that was judged, so the row stays as it is."""

    rows: tuple[Row, ...]
    changed: tuple[Decision, ...] = field(default=())
    left_out: tuple[Decision, ...] = field(default=())
    stale: tuple[Decision, ...] = field(default=())

    @property
    def said(self) -> str:
        """One line for reports; empty where nothing was decided."""
        parts = [f"{len(self.changed)} labels changed"] * bool(self.changed)
        parts += [f"{len(self.left_out)} rows left out"] * bool(self.left_out)
        parts += [f"{len(self.stale)} decisions not applied (the label is another by now)"] * bool(self.stale)
        return ", ".join(parts) + " by decision" if parts else ""


def read_decisions(path: Path) -> dict[str, Decision]:
    """The last decision on each picture; none where there is no log."""
    if not path.is_file():
        return {}
    out = {}
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            one = Decision(**row)
        except TypeError as error:
            raise DataError(f"{path}, line {number}: expected a decision on a label ({error})") from None
        out[one.image] = one
    return out


def corrected(rows: Sequence[Row], path: Path, images: Images | None) -> Corrected:
    """`rows` with the decisions of the log `path` applied, in order.

    `images` says where the rows' pictures lie; DataError where it is needed and not given.
    """
    known = read_decisions(path)
    if not known:
        return Corrected(rows=tuple(rows))
    if images is None:
        raise DataError(f"{path}: to apply decisions on labels it must be known where the images lie; give the spec")
    kept: list[Row] = []
    changed, left_out, stale = [], [], []
    for row in rows:
        one = known.get(images.key(row))
        if one is None:
            kept.append(row)
            continue
        label, was = row.label.strip().upper(), one.was.strip().upper()
        if label not in (was, (one.label or "").strip().upper()):
            stale.append(one)
            kept.append(row)
        elif one.label is None:
            left_out.append(one)
        else:
            changed += [one] if label != one.label.strip().upper() else []
            kept.append(replace(row, fields=row.fields | {"label": one.label}))
    return Corrected(rows=tuple(kept), changed=tuple(changed), left_out=tuple(left_out), stale=tuple(stale))
