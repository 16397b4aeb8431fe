"""What mining reads and writes: the pool as rows, and the five files of its result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from noescape.changenet.kpi import SCORE
from noescape.changenet.rows import MANDATORY, is_defect
from noescape.deft.embed import Embedded
from noescape.deft.parquet import TEXT, read_parquet, write_parquet, write_vectors
from noescape.deft.stage_pairs import POOL_COLUMNS
from noescape.files import read_csv, write_csv, write_text
from noescape.records import DataError

if TYPE_CHECKING:
    from noescape.deft.mine import Choice

MINED_COLUMNS = ("mined_by", "mined_similarity", "mined_target")
Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class PoolRows:
    """`rows` of the pool; `free`: the places of those that may be chosen; `scores` by place, where there are some."""

    rows: list[dict[str, str]]
    free: list[int]
    scores: dict[int, float]

    @cached_property
    def names(self) -> list[str]:
        """The picture of each row, as a path in the workspace."""
        return [row["filepath"] for row in self.rows]

    def is_defect(self, place: int) -> bool:
        """Whether its label means NO_PASS."""
        return is_defect(self.rows[place]["label"])


def read_pool(pool: Path, exclude: Sequence[Path], scores: Path | None) -> PoolRows:
    """The rows of a source pool; `exclude` and `scores` are CSVs that name rows by input_path and object_name."""
    columns = read_parquet(pool, POOL_COLUMNS)
    names = list(columns)
    rows = [
        {k: str(v or "") for k, v in zip(names, values)} for values in zip(*(columns[k] for k in names), strict=True)
    ]
    taken = {_key(row) for path in exclude for row in read_csv(path)}
    free = [i for i, row in enumerate(rows) if _key(row) not in taken]
    return PoolRows(rows=rows, free=free, scores=_scores(rows, scores) if scores else {})


def _key(row: dict[str, str]) -> Key:
    return row.get("input_path", ""), row.get("object_name", "")


def _scores(rows: Sequence[dict[str, str]], path: Path) -> dict[int, float]:
    found: dict[Key, float] = {}
    for number, row in enumerate(read_csv(path), 1):
        if SCORE not in row:
            raise DataError(f"{path}: no column {SCORE}; expected an inference.csv of the pool")
        text = row[SCORE].strip()
        try:
            value = float(text) if text else math.inf
        except ValueError:
            raise DataError(f"{path}: row {number}: expected a number as {SCORE}, got {text!r}") from None
        if math.isfinite(value):
            found[_key(row)] = value
    return {i: found[_key(row)] for i, row in enumerate(rows) if _key(row) in found}


def write_results(
    out: Path,
    rows: PoolRows,
    chosen: Choice,
    aims: Embedded,
    *,
    select: str,
    top_k: int,
    warnings: Sequence[str],
    encoder: str,
) -> dict[str, int]:
    """Write the files of mining; rows keep the order of the pool. Returns the chosen rows per label."""
    places = sorted(chosen.places)
    extra = [
        name for name in (rows.rows[0] if rows.rows else {}) if name not in POOL_COLUMNS and name not in MINED_COLUMNS
    ]
    columns = [*POOL_COLUMNS, *extra, *MINED_COLUMNS]
    table = []
    for i in places:
        similarity = f"{chosen.similarity[i]:.6f}" if i in chosen.similarity else ""
        fields = rows.rows[i] | dict(zip(MINED_COLUMNS, (select, similarity, chosen.target.get(i, ""))))
        table.append([fields.get(name, "") for name in columns])
    write_csv(out / "mining_pool.csv", columns, table)
    threshold = "" if chosen.threshold is None else chosen.threshold
    summary = (chosen.candidates, len(places), chosen.candidates - len(places), threshold)
    write_csv(
        out / "knn_summary.csv", ("candidate_count", "kept_count", "rejected_count", "similarity_threshold"), [summary]
    )
    write_vectors(out / "target_embeddings.parquet", {"filepath": aims.names}, aims.vectors, {"encoder": encoder})
    files = list(dict.fromkeys(rows.names[i] for i in places))
    write_parquet(out / "mined.parquet", {"filepath": files}, {"filepath": TEXT})
    labels = dict(sorted(Counter(rows.rows[i]["label"].strip().upper() for i in places).items()))
    write_text(out / "mining_summary.txt", _summary(rows, chosen, aims, select, top_k, labels, warnings, encoder))
    return labels


def _summary(
    rows: PoolRows,
    chosen: Choice,
    aims: Embedded,
    select: str,
    top_k: int,
    labels: dict[str, int],
    warnings: Sequence[str],
    encoder: str,
) -> str:
    kept = len(chosen.places)
    lines = [
        f"Selection: {select}",
        f"Embedding: {encoder}",
        f"Target queries: {len(aims.names)}",
        f"Pool rows: {len(rows.rows)}, of which {len(rows.rows) - len(rows.free)} are in the training set already",
        f"Rows that cannot be used: {len(chosen.lost)}" + (f" (first: {chosen.lost[0].reason})" if chosen.lost else ""),
        *chosen.lines,
    ]
    if select == "knn":
        lines += [
            f"Similar items per query: {top_k}",
            f"Total pairs: {chosen.pairs}",
            "Label filter: off",
            f"Pairs over the minimum similarity: {chosen.passing}",
            f"Total candidates: {chosen.candidates}",
            f"Duplicates removed: {max(0, chosen.passing - kept)}",
        ]
    lines.append(f"Unique items saved: {kept}")
    synthetic = sum(rows.rows[i].get("provenance") == "sdg" for i in chosen.places)
    lines.append(f"Of which synthetic: {synthetic}")
    lines += [f"  {label}: {count}" for label, count in labels.items()]
    lines.append("Results path: mined.parquet")
    lines += [f"warning: {text}" for text in warnings]
    return "\n".join(lines) + "\n"


def training_key(fields: dict[str, str]) -> tuple[str, ...]:
    """What makes two training rows the same: the four mandatory columns, labels as the trainer reads them."""
    return tuple(
        fields.get(name, "").strip().lower() if name == "label" else fields.get(name, "") for name in MANDATORY
    )
