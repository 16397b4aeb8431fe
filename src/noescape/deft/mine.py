"""Mining: rows of the pool that are worth adding to the training set; synthetic ones take the same door as real ones.

    mining_pool.csv            the chosen rows with training paths, and what they were chosen for
    knn_summary.csv            candidate_count, kept_count, rejected_count, similarity_threshold
    target_embeddings.parquet  filepath, embedding of the weak samples
    mining_summary.txt         the counts in words, per label, with warnings
    mined.parquet              filepath of each chosen row, once

Rows that are in the training set already are taken out of the pool before the nearest are looked for: else the same
neighbours come back every time and the loop stalls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from noescape.deft.embed import BACKBONE, SIDE, TAPS, Embedded, Encoder, Floats, PooledBackbone, Tell, embed
from noescape.deft.hardstop import HardStop
from noescape.deft.ledger import Dropped
from noescape.deft.mine_files import PoolRows, read_pool, write_results
from noescape.deft.parquet import read_parquet, read_vectors
from noescape.deft.selection import (
    SIGLIP_CUTOFF,
    WAYS,
    any_of,
    hardest,
    most_uncertain,
    nearest,
    similarity_quantile,
    units,
)
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError, UsageError

OFFLINE = f"{BACKBONE} {'+'.join(TAPS)} mean {SIDE}px"
SEED = 42


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """Where vectors come from. `pool` and `targets`: parquet files of filepath and embedding from another encoder (say
    SigLIP), both or none. Else `encoder` builds one, called `name`, and `cache` keeps its vectors by content."""

    encoder: Callable[[], Encoder] = PooledBackbone
    name: str = OFFLINE
    cache: Path | None = None
    pool: Path | None = None
    targets: Path | None = None
    workers: int = 1

    @property
    def given(self) -> bool:
        """Whether the vectors are there already."""
        return self.pool is not None and self.targets is not None


@dataclass(frozen=True, kw_only=True)
class Mined:
    """What was chosen. `rejected` candidates were not similar enough or over the budget; `similarity_threshold` is None
    where similarity played no part. `labels`: chosen rows per label. `lost`: rows of the pool that cannot be used."""

    out: Path
    mining_pool: Path
    mined: Path
    select: str
    candidates: int
    kept: int
    rejected: int
    similarity_threshold: float | None
    synthetic: int
    labels: dict[str, int]
    excluded: int
    lost: tuple[Dropped, ...]
    warnings: tuple[str, ...]


@dataclass(kw_only=True)
class Choice:
    """What a way to choose came to: places in the pool, best first where similarity ranks them."""

    places: list[int]
    candidates: int
    similarity: dict[int, float] = field(default_factory=dict)
    target: dict[int, str] = field(default_factory=dict)
    threshold: float | None = None
    pairs: int = 0
    passing: int = 0
    lines: list[str] = field(default_factory=list)
    lost: list[Dropped] = field(default_factory=list)


def mine(
    targets: Path,
    pool: Path,
    out: Path,
    *,
    workspace: Path | None = None,
    top_k: int = 5,
    min_similarity: float | None = None,
    select: str = "knn",
    exclude: Sequence[Path] = (),
    scores: Path | None = None,
    threshold: float | None = None,
    budget: int | None = None,
    seed: int = SEED,
    previous_kept: int | None = None,
    embeddings: Embeddings | None = None,
    tell: Tell = lambda stage, total: lambda done: None,
) -> Mined:
    """Choose rows of `pool` (parquet) for the weak samples in `targets` (parquet), and write the files above to `out`.

    `select`: see selection.py. `min_similarity`: a cosine; None is 0.9 for embeddings that are given, and for the
    offline one the quantile that rejects the same share. `exclude`: CSVs (training sets, earlier mining_pool.csv) whose
    rows are not chosen again. `scores`: an inference.csv of the pool, for hard and uncertain; `threshold` is the
    model's, for uncertain. `budget`: at most so many rows (default: top_k per target). `previous_kept`: what the last
    iteration kept; less than half of it is worth a warning. A pool that is used up gives no row and a warning; HardStop
    pool_empty where rows are left and no picture of them can be read.
    Time: one decode and embedding per new picture, then T N D products; memory: the pool's vectors.
    """
    _checked(select, top_k, budget, min_similarity)
    gaps = read_parquet(targets, ("filepath", "label"))
    names = [str(name) for name in dict.fromkeys(gaps["filepath"])]
    rows = read_pool(pool, exclude, scores)
    source = embeddings or Embeddings(cache=pool.parent / "source_embeddings.parquet")
    aims = _targets(source, names, workspace)
    most = budget or top_k * max(1, len(names))
    if not rows.free:
        chosen = Choice(
            places=[], candidates=0, lines=[f"all {len(rows.rows)} rows of the pool are in training already"]
        )
    elif select == "knn":
        chosen = _by_similarity(rows, aims, source, workspace, top_k, min_similarity, budget, tell)
    else:
        chosen = _by_model(rows, select, most, seed, threshold, workspace)
    warnings = _warnings(rows, [str(v) for v in gaps["label"]], len(chosen.places), previous_kept)
    labels = write_results(out, rows, chosen, aims, select=select, top_k=top_k, warnings=warnings, encoder=source.name)
    return Mined(
        out=out,
        mining_pool=out / "mining_pool.csv",
        mined=out / "mined.parquet",
        select=select,
        candidates=chosen.candidates,
        kept=len(chosen.places),
        rejected=chosen.candidates - len(chosen.places),
        similarity_threshold=chosen.threshold,
        synthetic=sum(rows.rows[i].get("provenance") == "sdg" for i in chosen.places),
        labels=labels,
        excluded=len(rows.rows) - len(rows.free),
        lost=(*aims.lost, *chosen.lost),
        warnings=tuple(warnings),
    )


def _checked(select: str, top_k: int, budget: int | None, min_similarity: float | None) -> None:
    if select not in WAYS:
        raise UsageError(f"select {select!r}: expected one of {', '.join(WAYS)}")
    if top_k < 1 or (budget is not None and budget < 1):
        raise UsageError(f"expected top_k and budget of at least 1, got {top_k} and {budget}")
    if min_similarity is not None and not -1 <= min_similarity <= 1:
        raise UsageError(f"min_similarity: expected a cosine from -1 to 1, got {min_similarity}")


def _targets(source: Embeddings, names: Sequence[str], workspace: Path | None) -> Embedded:
    if source.given and source.targets:
        return _given(source.targets, names)
    return embed(names, workspace, source.encoder, source.name, workers=source.workers)


def _given(path: Path, names: Sequence[str]) -> Embedded:
    columns, vectors, _ = read_vectors(path)
    place = {name: i for i, name in reversed(list(enumerate(columns["filepath"])))}
    have = [name for name in names if name in place]
    lost = [Dropped(row=name, reason=f"has no vector in {path.name}") for name in names if name not in place]
    return Embedded(names=tuple(have), vectors=vectors[[place[name] for name in have]], lost=tuple(lost))


def _by_similarity(
    rows: PoolRows,
    aims: Embedded,
    source: Embeddings,
    workspace: Path | None,
    top_k: int,
    min_similarity: float | None,
    budget: int | None,
    tell: Tell,
) -> Choice:
    if source.given and source.pool:
        all_of_it = _given(source.pool, rows.names)
    else:
        all_of_it = embed(
            rows.names, workspace, source.encoder, source.name, cache=source.cache, workers=source.workers, tell=tell
        )
    if not len(aims.names) or not len(all_of_it.names):
        raise DataError("mining: no target, or no row of the pool, has a picture that can be embedded")
    if aims.vectors.shape[1] != all_of_it.vectors.shape[1]:
        raise DataError(
            f"mining: targets have vectors of {aims.vectors.shape[1]} numbers, the pool of "
            f"{all_of_it.vectors.shape[1]}; embed both with one encoder"
        )
    # Mean and quantile are those of the whole pool, so that the cut does not move as rows are used up.
    queries, bank = units(aims.vectors, all_of_it.vectors, centred=not source.given)
    cut, line = _cut(queries, bank, min_similarity, given=source.given)
    place_of = {name: i for i, name in enumerate(all_of_it.names)}
    free = [i for i in rows.free if rows.names[i] in place_of]
    if not free:
        raise HardStop("pool_empty", "no row of the pool that is left has a picture that can be embedded")
    near = nearest(queries, bank[[place_of[rows.names[i]] for i in free]], top_k)
    kept = np.flatnonzero(near.similarity >= cut)
    kept = kept[np.argsort(-near.similarity[kept], kind="stable")][: budget or None]
    places = [free[near.candidates[k]] for k in kept]
    return Choice(
        places=places,
        candidates=len(near.candidates),
        similarity={free[near.candidates[k]]: float(near.similarity[k]) for k in kept},
        target={free[near.candidates[k]]: aims.names[near.target[k]] for k in kept},
        threshold=cut,
        pairs=near.pairs,
        passing=int((near.all_similarities >= cut).sum()),
        lines=[line],
        lost=list(all_of_it.lost),
    )


def _cut(queries: Floats, bank: Floats, wanted: float | None, *, given: bool) -> tuple[float, str]:
    if wanted is not None:
        return wanted, f"minimum similarity: {wanted} (cosine, as asked for)"
    if given:
        return SIGLIP_CUTOFF, f"minimum similarity: {SIGLIP_CUTOFF} (cosine)"
    cut = similarity_quantile(queries, bank)
    return cut, (
        f"minimum similarity: {SIGLIP_CUTOFF} for SigLIP; here {cut:.4f}, the cosine that rejects the same share, 95%, "
        "of all pairs of a target and a pool row"
    )


def _by_model(
    rows: PoolRows, select: str, most: int, seed: int, threshold: float | None, workspace: Path | None
) -> Choice:
    """hard, uncertain and random: only rows with pictures that can be read, and a score where one is needed."""
    usable = [i for i in rows.free if select == "random" or i in rows.scores]
    scored = set(usable)
    lost = [Dropped(row=rows.names[i], reason="has no score") for i in rows.free if i not in scored]
    if not usable:
        raise UsageError(f"--select {select} needs scores of the pool: an inference.csv of source_pool.csv")
    if select == "uncertain" and threshold is None:
        raise UsageError("--select uncertain needs the threshold of the model that scored the pool")
    while usable:
        scores = np.array([rows.scores.get(i, 0.0) for i in usable], np.float64)
        defect = np.array([rows.is_defect(i) for i in usable], np.bool_)
        if select == "random":
            local = any_of(len(usable), most, seed)
        elif select == "hard":
            local = hardest(scores, defect, most)
        else:
            local = most_uncertain(scores, defect, threshold or 0.0, most)
        chosen = [usable[k] for k in local]
        bad = {i: reason for i in chosen if (reason := _unreadable(rows.names[i], workspace))}
        if not bad:
            line = f"chosen among {len(usable)} rows that the model can use (budget {most}, seed {seed})"
            return Choice(places=chosen, candidates=len(usable), lines=[line], lost=lost)
        lost += [Dropped(row=rows.names[i], reason=reason) for i, reason in sorted(bad.items())]
        usable = [i for i in usable if i not in bad]
    raise HardStop("pool_empty", "no row of the pool that is left has pictures that can be read")


def _unreadable(name: str, workspace: Path | None) -> str:
    try:
        read_picture(workspace / name if workspace else Path(name))
    except ImageError as error:
        return error.reason
    return ""


def _warnings(rows: PoolRows, labels: Sequence[str], kept: int, previous: int | None) -> list[str]:
    pool = {row.get("label", "").strip().upper() for row in rows.rows}
    out = [
        f"coverage: the pool has no row labelled {label}"
        for label in sorted({text.strip().upper() for text in labels} - pool)
    ]
    if previous and kept < 0.5 * previous:
        out.append(f"yield: {kept} rows kept, less than half of the {previous} of the iteration before")
    if not kept:
        out.append("yield: nothing was kept; the next training set is the last one")
    return out
