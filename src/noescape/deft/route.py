"""Routing: which weak samples go to mining, which to the generator, and which to neither.

    mining_gaps.parquet, anomalygen_gaps.parquet    the rows of kpi_gaps.parquet that go there, same columns
    routing_summary.txt                             counts per label, and what was dropped

By label: a gap can be mined where the pool has its label, and generated where the generator knows it; both may be. With
no generator (pairs were made beforehand and lie in the pool) every gap is a target of mining: what looks alike helps
whatever it is called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.deft.hardstop import HardStop
from noescape.deft.ledger import Dropped, account
from noescape.deft.parquet import read_parquet, write_parquet
from noescape.deft.rca import GAP_TYPES
from noescape.files import read_csv, write_text

MINING, GENERATION, SUMMARY = "mining_gaps.parquet", "anomalygen_gaps.parquet", "routing_summary.txt"


@dataclass(frozen=True, kw_only=True)
class Routed:
    """Files, how many rows are in each, and what went nowhere. `generation_gaps` is None where none goes there.

    `uncovered`: labels that are mined although the pool has no row of that name.
    """

    mining_gaps: Path
    generation_gaps: Path | None
    total: int
    mining: int
    generation: int
    dropped: tuple[Dropped, ...]
    uncovered: tuple[str, ...]


def route(
    kpi_gaps: Path,
    pool_csv: Path | None,
    generator_types: Sequence[str],
    out: Path,
    *,
    every_gap_to_mining: bool | None = None,
) -> Routed:
    """Split the gaps and write the three files to `out`.

    `generator_types`: types that the generator knows, `TEXTURE+TYPE` or plain, in any case. `every_gap_to_mining`:
    None means "where there is no generator". A pool that is not there can be mined for nothing. HardStop
    nothing_routed where both sides stay empty.
    """
    gaps = read_parquet(kpi_gaps, tuple(GAP_TYPES))
    mine_all = (not generator_types) if every_gap_to_mining is None else every_gap_to_mining
    pool = (
        {row.get("label", "").strip().upper() for row in read_csv(pool_csv)}
        if pool_csv and pool_csv.is_file()
        else set()
    )
    known = {kind.rpartition("+")[2].strip().upper() for kind in generator_types}
    labels = [str(label).strip().upper() for label in gaps["label"]]
    to_mining = [bool(pool) and (mine_all or label in pool) for label in labels]
    to_generation = [label in known for label in labels]
    dropped = tuple(
        Dropped(row=str(name), reason=f"{label} is neither in the pool nor known to the generator")
        for name, label, a, b in zip(gaps["filepath"], labels, to_mining, to_generation, strict=True)
        if not (a or b)
    )
    if not any(to_mining) and not any(to_generation):
        raise HardStop(
            "nothing_routed",
            f"{kpi_gaps}: none of the labels {', '.join(sorted(set(labels))) or '(there is no gap)'} is in the pool "
            f"({', '.join(sorted(pool)) or 'empty or not there'}) or known to the generator "
            f"({', '.join(sorted(known)) or 'none'})",
        )
    _write(out / MINING, gaps, to_mining)
    _write(out / GENERATION, gaps, to_generation)
    sent = [str(name) for name, a, b in zip(gaps["filepath"], to_mining, to_generation, strict=True) if a or b]
    account("routing", map(str, gaps["filepath"]), sent, dropped)
    uncovered = sorted({label for label, a in zip(labels, to_mining, strict=True) if a and label not in pool})
    write_text(out / SUMMARY, _summary(labels, to_mining, to_generation, uncovered, mine_all))
    return Routed(
        mining_gaps=out / MINING,
        generation_gaps=out / GENERATION if any(to_generation) else None,
        total=len(labels),
        mining=sum(to_mining),
        generation=sum(to_generation),
        dropped=dropped,
        uncovered=tuple(uncovered),
    )


def _write(path: Path, gaps: dict[str, list[Any]], chosen: list[bool]) -> None:
    columns = {name: [v for v, keep in zip(gaps[name], chosen, strict=True) if keep] for name in GAP_TYPES}
    write_parquet(path, columns, GAP_TYPES)


def _summary(
    labels: list[str], to_mining: list[bool], to_generation: list[bool], uncovered: list[str], mine_all: bool
) -> str:
    lines = [
        f"total gaps: {len(labels)}",
        f"mining: {sum(to_mining)} -> {MINING}",
        f"generation: {sum(to_generation)} -> {GENERATION}",
        f"rule for mining: {'every gap' if mine_all else 'labels that the pool has'}",
    ]
    pairs = list(zip(labels, to_mining, to_generation, strict=True))
    for label, count in sorted(Counter(labels).items()):
        mined, made = any(a for k, a, _ in pairs if k == label), any(b for k, _, b in pairs if k == label)
        lost = "" if mined or made else ", DROPPED"
        lines.append(f"{label}: {count} (mining={_yes(mined)}, anomalygen={_yes(made)}){lost}")
    dropped = sum(not (a or b) for _, a, b in pairs)
    lines.append(f"dropped: {dropped}")
    lines += [f"warning: the pool has no row labelled {label}; what looks alike is mined" for label in uncovered]
    return "\n".join(lines) + "\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
