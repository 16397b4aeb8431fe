"""Leakage by the documented key: the same input_path, golden_path, label, object_name and boardname on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.rows import Row, read_rows
from noescape.deft.places import KPI_IMAGES, joined

KEY = ("input_path", "golden_path", "label", "object_name", "boardname")


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """A set that training must not know: `name` (validation, kpi, blind), its CSV, and where its paths start in the
    workspace."""

    name: str
    csv: Path
    images_dir: str = KPI_IMAGES


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A training row that a held-out row knows. Rows count from 1. `kind`: key, bytes, picture, relabelled, board."""

    kind: str
    holdout: str
    train_row: int
    holdout_row: int
    detail: str


def key_leaks(
    rows: Sequence[Row], images_dir: str, holdouts: Sequence[Holdout], workspace: Path | None = None
) -> list[Leak]:
    """Rows with the same key, in the columns that both files have; paths from the workspace, labels in any case.

    The first held-out row of that key is named.
    """
    leaks = []
    for one in holdouts:
        others = read_rows(workspace / one.csv if workspace else one.csv)
        shared = [name for name in KEY if name in rows[0].fields and name in others[0].fields] if rows else []
        first: dict[tuple[str, ...], int] = {}
        for other in others:
            first.setdefault(_key(other, one.images_dir, shared), other.number)
        for row in rows:
            found = first.get(_key(row, images_dir, shared))
            if found is not None:
                leaks.append(Leak(kind="key", holdout=one.name, train_row=row.number, holdout_row=found,
                                  detail=f"same {', '.join(shared)}"))  # fmt: skip
    return leaks


def _key(row: Row, images_dir: str, columns: Sequence[str]) -> tuple[str, ...]:
    out = []
    for name in columns:
        text = row.fields[name].strip()
        if name.endswith("_path"):
            text = joined(images_dir, text)
        out.append(text.upper() if name == "label" else text)
    return tuple(out)
