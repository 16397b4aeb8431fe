"""One generation by several processes: process r draws rows r, r + size, …; the first puts them into one tree.

Each row depends on its seeds alone, so tree, table and provenance are those of one process, to the byte.
"""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from noescape.defects.generators.diffusion.world import World
from noescape.defects.generators.plan import Plan
from noescape.defects.generators.resume import claim, finished
from noescape.defects.generators.run import Tell, generate_alone, whole_identity
from noescape.defects.generators.tree import PROVENANCE, SUMMARY
from noescape.defects.quality.filter import SearchOptions
from noescape.files import one_at_a_time, read_json_object, read_jsonl, write_jsonl
from noescape.records import DataError

SHARDS = ".shards"


def generate_sharded(
    planned: Plan,
    out: Path,
    world: World,
    *,
    seed: int = 0,
    workers: int = 0,
    overwrite: bool = False,
    look: SearchOptions | None = None,
    measure: str = "nn",
    tell: Tell | None = None,
) -> dict[str, Any]:
    """`generate` by all processes of `world`, which must see the same folders; each returns summary.json.

    Parts are made under `<out>/.shards` and go away once they are merged. Killed, the same command goes on.
    """
    with one_at_a_time(out) if world.leads else nullcontext():
        return _by_all(
            planned, out, world, seed=seed, workers=workers, overwrite=overwrite, look=look or SearchOptions(),
            measure=measure, tell=tell,
        )  # fmt: skip


def _by_all(
    planned: Plan,
    out: Path,
    world: World,
    *,
    seed: int,
    workers: int,
    overwrite: bool,
    look: SearchOptions,
    measure: str,
    tell: Tell | None,
) -> dict[str, Any]:
    def make(asked: Plan, where: Path, replaced: bool) -> dict[str, Any]:
        said = tell if world.leads else None
        return generate_alone(
            asked, where, seed=seed, workers=workers, overwrite=replaced, look=look, measure=measure, tell=said
        )

    if world.size == 1:
        return make(planned, out, overwrite)
    if world.leads:
        claim(out, whole_identity(planned, seed, look, measure), overwrite)
        finished(out, planned)  # cuts off what is not whole, so that all see the same
    world.wait()
    if sum(1 for _ in read_jsonl(out / PROVENANCE)) < len(planned.asked):
        mine = world.share(planned.asked)
        if mine:
            make(replace(planned, asked=tuple(mine)), shard_of(out, world), True)
        world.wait()
        if world.leads:
            merge(planned, out, [shard_of(out, replace(world, rank=r)) for r in range(world.size)])
    world.wait()
    if world.leads:
        make(planned, out, False)  # every row is there: only the tables are written
        shutil.rmtree(out / SHARDS, ignore_errors=True)
    world.wait()
    return read_json_object(out / SUMMARY, "the summary of a generation")


def merge(planned: Plan, out: Path, shards: list[Path]) -> None:
    """Bring the pictures of all shards to their places in `out`, and their rows, in order, into its log.

    The log comes last: until then the merge is done again from the start. Pictures are linked where the disk can.
    DataError when the shards do not hold each row once.
    """
    rows = []
    for shard in shards:
        log = read_jsonl(shard / PROVENANCE) if (shard / PROVENANCE).is_file() else ()
        rows += [(int(row["number"]), shard, row) for row in log]
    rows.sort(key=lambda r: r[0])
    if [number for number, _, _ in rows] != [asked.number for asked in planned.asked]:
        raise DataError(
            f"{out / SHARDS}: {len(rows)} rows, expected each of {len(planned.asked)} once; do all processes see the "
            "same folder? Run it again"
        )
    for _, shard, row in rows:
        for name in row.get("files", {}):
            _bring(shard / name, out / name)
    write_jsonl(out / PROVENANCE, [row for _, _, row in rows])


def shard_of(out: Path, world: World) -> Path:
    """Where process `world.rank` makes its part."""
    return out / SHARDS / f"{world.rank:04d}_of_{world.size:04d}"


def _bring(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:40]}.merge.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)
    part.replace(target)
