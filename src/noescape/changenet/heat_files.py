"""Heat maps as files: OUT/heatmaps/<row>_<name>.png (input | golden | heat) and OUT/change_boxes.csv.

Boxes are in pixels of the input image; with several lights, of the model input that they make up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noescape.changenet.heat import boxes_of, picture
from noescape.changenet.images import LoadedPair
from noescape.changenet.lines import OnLine, Progress
from noescape.changenet.rows import Row
from noescape.changenet.scorer import Scorer
from noescape.files import safe_name, write_bytes, write_csv
from noescape.imaging import png_bytes, read_picture
from noescape.records import WorkError

BOXES = "change_boxes.csv"
FOLDER = "heatmaps"
COLUMNS = ("row", "input_path", "object_name", "label", "x0", "y0", "x1", "y1", "heat")


def write_heat(
    out: Path, scorer: Scorer, rows: Sequence[Row], scores: Sequence[float | None], wanted: int, on_line: OnLine
) -> None:
    """Draw the `wanted` rows of highest score (-1: all that have one), and list what is hot in them."""
    places = [place for place, score in enumerate(scores) if score is not None]
    places.sort(key=lambda place: (-float(scores[place] or 0.0), place))
    chosen = sorted(places if wanted < 0 else places[:wanted])
    progress, lines = Progress(on_line, "heat maps", len(chosen)), []
    for done, place in enumerate(chosen, 1):
        row = rows[place]
        try:
            pair = scorer.load(row)
            lines += _one(out, scorer, row, pair)
        except (WorkError, OSError) as error:
            on_line(f"row {row.number}: no heat map ({error})")
        progress.step(done)
    write_csv(out / BOXES, COLUMNS, lines)


def _one(out: Path, scorer: Scorer, row: Row, pair: LoadedPair) -> list[tuple[object, ...]]:
    heat = scorer.heat(pair)
    name = f"{row.number:06d}_{safe_name(row.object_name)}.png"
    write_bytes(out / FOLDER / name, png_bytes(picture(pair, heat, scorer)), sync=False)
    shape = _source_shape(scorer, row) or (pair.input.shape[0], pair.input.shape[1])
    return [
        (row.number, row.input_path, row.object_name, row.label, *box, round(value, 6))
        for box, value in boxes_of(heat, scorer, shape)
    ]


def _source_shape(scorer: Scorer, row: Row) -> tuple[int, int] | None:
    """Height and width of the input file, where the whole model input is that one image; None otherwise."""
    loader = getattr(scorer, "loader", None)
    if loader is None or loader.grid != (1, 1):
        return None
    seen = read_picture(loader.files.inputs(row)[0])
    return seen.height, seen.width
