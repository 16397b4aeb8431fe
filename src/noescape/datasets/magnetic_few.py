"""A few labelled magnetic tiles to learn a generator from, taken so that enough other tiles are left to test with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noescape.datasets.anomalygen_write import Example, write_anomalygen
from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.magnetic_tile import SOURCE, TERMS, TileImage, find_tiles, tiles_of
from noescape.files import write_csv
from noescape.files.fresh import fresh_folder
from noescape.imaging import read_picture
from noescape.records import GOOD_TYPE, DataError, ImageError

TEXTURE = "metal_surface"
USES_FILE = "captures.csv"
EXAMPLE, CLEAN, SAME_TILE, TEST = "example", "clean", "same tile", "test"


@dataclass(frozen=True, kw_only=True)
class Few:
    """Indices of the captures that were chosen, and what each capture may be used for."""

    examples: Mapping[str, tuple[int, ...]]
    clean: tuple[int, ...]
    uses: tuple[str, ...]


def take_few(
    src: Path,
    out: Path,
    *,
    per_type: int = 5,
    clean: int = 20,
    test_share: float = 0.5,
    seed: int = 42,
) -> dict[str, Any]:
    """Write `per_type` captures of each defect and `clean` good ones of the set at `src` to `out` (AnomalyGen layout).

    One physical tile was shot about six times, so what is kept back for tests is kept by tile: of each type's tiles
    about `test_share` are not touched (one is always learnt from), and captures.csv says of every capture whether it
    is an example, clean, of the same tile as one of those (never test on it), or free for tests. The captures of a type
    come from as many of its other tiles as there are. DataError where there is no such set, or no usable mask.
    Same set and seed, same bytes. About 6 CPU-s for 730 captures.
    """
    if per_type < 1 or clean < 1 or not 0 <= test_share < 1:
        raise DataError(f"expected at least 1 image of each and a share in 0..1, got {per_type}, {clean}, {test_share}")
    skipped: list[ImageError] = []
    found = find_tiles(src, skipped)
    masks = {i: read for i, tile in enumerate(found) if (read := _mask(tile, skipped)) is not None}
    usable = [i for i, tile in enumerate(found) if tile.kind == GOOD_TYPE or i in masks]
    captures = [found[i] for i in usable]
    if not any(c.kind != GOOD_TYPE for c in captures):
        raise DataError(f"{src}: no defect with a usable mask beside it (MT_Blowhole/Imgs/exp1_num_1.jpg and .png)")
    tiles = tiles_of(captures)
    few = choose(captures, tiles, per_type=per_type, clean=clean, test_share=test_share, seed=seed)
    examples = {
        _type(captures[indices[0]], src): [Example(image=captures[i].path, mask=masks[usable[i]]()) for i in indices]
        for indices in few.examples.values()
    }
    source = {"name": "magnetic tile", "source": SOURCE, "terms": TERMS, "seed": seed, "test_share": test_share}
    rows = [
        (c.path.relative_to(src).as_posix(), _type(c, src), tile, use)
        for c, tile, use in zip(captures, tiles, few.uses, strict=True)
    ]
    with fresh_folder(out):
        counts = write_anomalygen(out, TEXTURE, examples, [captures[i].path for i in few.clean], source=source)
        write_csv(out / USES_FILE, ["file", "type", "tile", "use"], sorted(rows))
    return {"images": counts, **_told(captures, tiles, few), "skipped": [str(error) for error in skipped]}


def choose(
    captures: Sequence[TileImage], tiles: Sequence[str], *, per_type: int, clean: int, test_share: float, seed: int
) -> Few:
    """Which captures to learn from; the rarest type chooses its tiles first, and tiles learnt from are used again."""
    rng = np.random.default_rng(seed)
    by_kind: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i in sorted(range(len(captures)), key=lambda i: (captures[i].capture.number, i)):
        by_kind[captures[i].kind][tiles[i]].append(i)
    flawed = {tile for kind, own in by_kind.items() if kind != GOOD_TYPE for tile in own}
    learnt: set[str] = set()
    examples = {}
    for kind in sorted(by_kind.keys() - {GOOD_TYPE}, key=lambda k: (len(by_kind[k]), k)):
        drawn = _draw_tiles(by_kind[kind], learnt, per_type, test_share, rng)
        learnt |= set(drawn)
        examples[kind] = _in_turn([by_kind[kind][tile] for tile in drawn], per_type, rng)
    good = {tile: own for tile, own in by_kind[GOOD_TYPE].items() if tile not in flawed}
    good = good or {tile: own for tile, own in by_kind[GOOD_TYPE].items() if tile in learnt}
    if not good:
        raise DataError(
            "no good tile can be learnt from without giving all defects away: use a smaller share for tests"
        )
    drawn = _draw_tiles(good, learnt, clean, test_share, rng)
    learnt |= set(drawn)
    chosen = _in_turn([good[tile] for tile in drawn], clean, rng)
    known = {i: EXAMPLE for own in examples.values() for i in own} | dict.fromkeys(chosen, CLEAN)
    uses = tuple(known.get(i, SAME_TILE if tiles[i] in learnt else TEST) for i in range(len(captures)))
    return Few(examples=dict(sorted(examples.items())), clean=chosen, uses=uses)


def _draw_tiles(
    own: Mapping[str, Sequence[int]], learnt: set[str], most: int, test_share: float, rng: np.random.Generator
) -> list[str]:
    """Up to `most` of the tiles, those that are learnt from anyway first, leaving `test_share` of them."""
    names = sorted(own)
    mixed = [names[k] for k in rng.permutation(len(names))]
    count = max(1, min(most, len(names) - round(len(names) * test_share)))
    return sorted(mixed, key=lambda tile: tile not in learnt)[:count]


def _in_turn(tiles: Sequence[Sequence[int]], count: int, rng: np.random.Generator) -> tuple[int, ...]:
    """`count` captures, one of each tile in turn; which of a tile's comes first is drawn."""
    queues = [[own[k] for k in rng.permutation(len(own))] for own in tiles]
    taken: list[int] = []
    while len(taken) < count and any(queues):
        taken += [queue.pop() for queue in queues if queue]
    return tuple(taken[:count])


def _mask(tile: TileImage, skipped: list[ImageError]) -> Callable[[], Any] | None:
    """What reads the tile's mask; None, and told, where it cannot be used."""
    if tile.kind == GOOD_TYPE:
        return None
    path = tile.mask
    if path is None:
        skipped.append(ImageError(tile.path, "no_mask", "has no mask beside it (the same name with .png)"))
        return None
    try:
        mask = read_binary_mask(path)
    except ImageError as error:
        skipped.append(error)
        return None
    size = read_picture(tile.path)
    if mask.shape != (size.height, size.width):
        reason = f"is {mask.shape[1]}x{mask.shape[0]}, its image {size.width}x{size.height}"
        skipped.append(ImageError(path, "size", reason))
        return None
    if not mask.any():
        skipped.append(ImageError(path, "blank", "marks nothing"))
        return None
    return lambda: read_binary_mask(path)


def _type(tile: TileImage, src: Path) -> str:
    """The name of the folder: MT_Blowhole."""
    return tile.path.relative_to(src).parts[0]


def _told(captures: Sequence[TileImage], tiles: Sequence[str], few: Few) -> dict[str, Any]:
    """Tiles learnt from and tiles left for tests, per type."""
    left: dict[str, set[str]] = defaultdict(set)
    used: dict[str, set[str]] = defaultdict(set)
    for c, tile, use in zip(captures, tiles, few.uses, strict=True):
        (left if use == TEST else used)[c.kind].add(tile)
    kinds = sorted({c.kind for c in captures})
    return {"tiles": {kind: {"learnt": len(used[kind]), "left": len(left[kind])} for kind in kinds}}
