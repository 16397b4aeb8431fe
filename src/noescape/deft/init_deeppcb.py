"""A workspace from DeepPCB: cells of 64 px as rows, by panel.

Every pair of that set is a defective crop with its golden, so whole pairs would have no PASS row: the unit is the cell
(changenet/cells.py), for every trainer, the map network too (which takes a defective cell as defective all over). The
golden is registered on the whole pair before it is cut, since a cell of 64 px does not show enough of its surroundings
for that; the spec therefore registers no more. Cells that hold less than half of a defect are left out, and boxes that
no cell holds half of are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noescape.changenet.cells import LEFT_OUT, NG, SIDE, CellTruth, cell_truth
from noescape.changenet.pairs import Pair, read_deeppcb
from noescape.changenet.register import register
from noescape.changenet.rows import PASS
from noescape.deft.init_write import Item, Source
from noescape.imaging import png_bytes
from noescape.records import DataError, ImageError

SPEC = (
    "dataset.classify.input_map=null", "dataset.classify.concat_type=null", "dataset.classify.image_ext=.png",
    f"dataset.classify.image_width={SIDE}", f"dataset.classify.image_height={SIDE}", "noescape.registration=none",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cells:
    """A pair and the cells of it that become rows: (row, column, label)."""

    pair: Pair
    cells: tuple[tuple[int, int, str], ...]


def from_deeppcb(source: Path, *, pass_per_pair: int | None = None) -> Source:
    """Rows of DeepPCB (the folder `PCBData`, or the one that holds it). A pair that cannot be used costs itself.

    `pass_per_pair`: at most so many PASS cells of each pair, evenly over it. Cost: one decode per pair here; then two
    more and one registration (about 30 CPU-ms) per pair when the rows are made.
    """
    skipped: list[ImageError] = []
    found: dict[str, list[_Cells]] = {}
    left = homeless = 0
    for pair in read_deeppcb(source, skipped):
        try:
            truth = _truth(pair)
        except ImageError as error:
            skipped.append(error)
            continue
        left += int((truth.label == LEFT_OUT).sum())
        homeless += len(truth.homeless)
        found.setdefault(pair.group, []).append(_Cells(pair=pair, cells=_cells(pair, truth, pass_per_pair)))
    if not found:
        raise DataError(f"{source}: no pair of DeepPCB can be used")
    notes = [f"{left} cells left out: they hold less than half of a defect",
             f"{homeless} boxes lie in no cell by half: their defects are in no row"]  # fmt: skip
    notes += [f"{len(skipped)} pairs skipped, first: {skipped[0]}"] if skipped else []
    counts = [(group, label != PASS) for group, pairs in found.items() for one in pairs for *_, label in one.cells]

    def items(group: str) -> Iterator[Item]:
        for one in found[group]:
            yield from _items(one)

    return Source(kind="deeppcb", counts=counts, items=items, spec=SPEC, notes=notes)


def _truth(pair: Pair) -> CellTruth:
    golden, test = pair.images()
    if golden.shape[0] < SIDE or golden.shape[1] < SIDE:
        raise ImageError(Path(pair.key), "small", f"expected at least {SIDE} px each way")
    return cell_truth(pair.boxes, test.shape[:2])


def _cells(pair: Pair, truth: CellTruth, most: int | None) -> tuple[tuple[int, int, str], ...]:
    out = []
    passed = [(int(r), int(c)) for r, c in np.argwhere(truth.label == 0)]
    if most is not None and len(passed) > most:
        passed = [passed[k * len(passed) // most] for k in range(most)]
    kept = set(passed)
    for r, c in np.ndindex(*truth.label.shape):
        if truth.label[r, c] == NG:
            out.append((r, c, pair.types[truth.box[r, c]]))
        elif (r, c) in kept:
            out.append((r, c, PASS))
    return tuple(out)


def _items(one: _Cells) -> Iterator[Item]:
    golden, test = one.pair.images()
    laid = register(golden, test, kind="blocks").golden
    stem = one.pair.key.rpartition("/")[2]
    for r, c, label in one.cells:
        y, x = r * SIDE, c * SIDE
        sides = [np.ascontiguousarray(image[y : y + SIDE, x : x + SIDE]) for image in (test, laid)]
        fields = {"part_type": "bare_board", "comp_type_1": "cell", "description": f"{one.pair.key} row {r} column {c}"}
        yield Item(
            group=one.pair.group, label=label, name=f"{stem}_r{r:02d}c{c:02d}", suffix=".png",
            input=png_bytes(sides[0]), golden=png_bytes(sides[1]), fields=fields,
        )  # fmt: skip
