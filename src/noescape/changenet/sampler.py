"""Which rows an epoch shows: drawn with replacement, NO_PASS so often that it makes up its share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from noescape.changenet.rows import Row

HELD_SHARE = 0.2
Floats = npt.NDArray[np.float64]


def row_weights(defect: npt.NDArray[np.bool_], fpratio: float) -> Floats:
    """The weight of each row: 1 for PASS, (n_pass / n_fail) x `fpratio` for NO_PASS; all 1 where a class is missing."""
    n_fail = int(defect.sum())
    n_pass = len(defect) - n_fail
    out = np.ones(len(defect))
    if n_fail and n_pass:
        out[defect] = n_pass / n_fail * fpratio
    return out


def epoch_order(defect: npt.NDArray[np.bool_], fpratio: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """As many rows as there are, drawn by weight with replacement."""
    weights = row_weights(defect, fpratio)
    return np.asarray(rng.choice(len(defect), size=len(defect), p=weights / weights.sum()), np.int64)


def held_out(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """A fifth of the rows by board (boardname, else golden_path), never one board on both sides; the rest first.

    Boards are taken in an order that depends on their names only. Nothing is held out where that would take a class
    away from training.
    """
    boards: dict[str, list[Row]] = {}
    for row in rows:
        boards.setdefault(row.fields.get("boardname", "").strip() or row.golden_path, []).append(row)
    order = sorted(boards, key=lambda name: hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest())
    held: set[str] = set()
    count = 0
    for name in order:
        if count >= HELD_SHARE * len(rows):
            break
        kept = [row for other in order if other not in held and other != name for row in boards[other]]
        if {row.is_defect for row in kept} == {row.is_defect for row in rows}:
            held.add(name)
            count += len(boards[name])
    chosen = {id(row) for name in held for row in boards[name]}
    return tuple(r for r in rows if id(r) not in chosen), tuple(r for r in rows if id(r) in chosen)
