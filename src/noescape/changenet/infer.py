"""Score the rows of a CSV: OUT/inference.csv holds its columns and siamese_score, in its order.

A row that cannot be scored has an empty score; then, and only then, there is a column `reason`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.heat_files import write_heat
from noescape.changenet.kpi import REASON, SCORE
from noescape.changenet.lines import OnLine, Progress, silent
from noescape.changenet.rows import Row
from noescape.changenet.scorer import Scorer, open_scorer
from noescape.changenet.spec import Spec
from noescape.changenet.training import Rowset, named_rows
from noescape.files import one_at_a_time, write_csv
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import WorkError

TABLE = "inference.csv"


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """`table` is the file; `scores` in row order, None where there is none; `errors` by place, with reasons."""

    table: Path
    rows: tuple[Row, ...]
    scores: tuple[float | None, ...]
    errors: dict[int, str]


def infer(
    spec: Spec,
    checkpoint: Path,
    csv: Path | None,
    out: Path,
    *,
    images_dir: Path | None = None,
    part: str = "infer_dataset",
    heatmaps: int = 0,
    on_line: OnLine = silent,
) -> Inferred:
    """Score `csv` (None: that of the spec's section `part`) with `checkpoint` into the folder `out`.

    `images_dir` replaces that of the section. `heatmaps` > 0 draws that many of the highest scores (see `heat_files`),
    -1 all. DataError for a CSV that is none; a row that cannot be read costs that row. With noescape.cache_dir, cached
    models look features up there. Memory: a few images per thread.
    """
    section = getattr(spec.dataset.classify, part)
    if images_dir is not None:
        section = section.model_copy(update={"images_dir": str(images_dir)})
    rows = named_rows(part, section, csv)
    scorer = open_scorer(checkpoint, spec, rows.images_dir)
    with one_at_a_time(out):
        scores, errors = _scores(spec, scorer, rows, on_line)
        write_inference(out / TABLE, rows.rows, scores, errors)
        if heatmaps:
            write_heat(out, scorer, rows.rows, scores, heatmaps, on_line)
    for place, why in sorted(errors.items()):
        on_line(f"row {rows.rows[place].number} ({rows.rows[place].object_name}) has no score: {why}")
    return Inferred(table=out / TABLE, rows=rows.rows, scores=tuple(scores), errors=errors)


def write_inference(path: Path, rows: Sequence[Row], scores: Sequence[float | None], errors: dict[int, str]) -> None:
    """The table; earlier score and reason columns are replaced."""
    header = [name for name in rows[0].fields if name not in (SCORE, REASON)]
    extra = [SCORE, REASON] if errors else [SCORE]
    lines = []
    for place, (row, score) in enumerate(zip(rows, scores, strict=True)):
        tail = [score, errors.get(place, "")] if errors else [score]
        lines.append([*(row.fields[name] for name in header), *tail])
    write_csv(path, [*header, *extra], lines)


def _scores(spec: Spec, scorer: Scorer, rows: Rowset, on_line: OnLine) -> tuple[list[float | None], dict[int, str]]:
    from noescape.changenet.cached.scorer import CachedScorer

    if isinstance(scorer, CachedScorer) and spec.noescape.cache_dir:
        return _from_book(spec, scorer, rows, on_line)
    progress = Progress(on_line, "scores", len(rows.rows))
    workers = worker_count(min(spec.dataset.classify.workers, 8))
    scores: list[float | None] = []
    errors: dict[int, str] = {}
    for place, got in enumerate(ordered_map(lambda row: _one(scorer, row), rows.rows, workers)):
        if isinstance(got, str):
            errors[place] = got
        scores.append(None if isinstance(got, str) else got)
        progress.step(place + 1)
    return scores, errors


def _one(scorer: Scorer, row: Row) -> float | str:
    from noescape.changenet.cached.features import reason

    try:
        return scorer.score([scorer.load(row)])[0]
    except (WorkError, OSError) as error:
        return reason(error)


def _from_book(spec: Spec, scorer: Scorer, rows: Rowset, on_line: OnLine) -> tuple[list[float | None], dict[int, str]]:
    from noescape.changenet.cached.head import probability
    from noescape.changenet.cached.scorer import CachedScorer

    assert isinstance(scorer, CachedScorer)  # noqa: S101 - said by the caller
    book = scorer.book(Path(str(spec.noescape.cache_dir)))
    found = book.describe(rows.rows, on_line)
    scores: list[float | None] = [None] * len(rows.rows)
    for start in range(0, len(found.kept), 4096):
        values = probability(scorer.head.logits(found.rows.block(start, start + 4096)))
        for place, value in zip(found.kept[start : start + 4096], values, strict=True):
            scores[place] = float(value)
    return scores, found.errors
