"""Import of the magnetic-tile set (Huang et al.): grey tile surfaces, five defect types, pixel masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noescape.datasets.folder import find_images
from noescape.datasets.splits import check_split, draw_training
from noescape.datasets.tile_groups import Capture, Grey, physical_tiles
from noescape.datasets.write import ImportResult, Placement, refuse_overlap, write_mvtec
from noescape.imaging import read_picture
from noescape.records import GOOD_TYPE, DataError, ImageError

CATEGORY = "magnetic_tile"
TERMS = (
    "Research use. Cite: Y. Huang, C. Qiu, K. Yuan, 'Surface defect saliency of magnetic tile', "
    "The Visual Computer 36 (2020). No licence to redistribute is stated."
)
SOURCE = "https://github.com/abin24/Magnetic-tile-defect-datasets."
RANDOM_COST = (
    "--split random puts captures of one physical tile on both sides (each was shot about six times): figures from it "
    "say how well a model remembers tiles, not how well it finds defects on new ones. Use it only to compare with "
    "published random splits."
)
_NAME = re.compile(r"exp(\d+)_num_(\d+)\.jpe?g", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TileImage:
    """One capture: its file, what it shows, its mask, and what tells its tile."""

    path: Path
    kind: str
    mask: Path | None
    capture: Capture


def import_magnetic_tile(
    src: Path,
    out: Path,
    *,
    split: str = "group",
    seed: int = 42,
    train_fraction: float = 0.6,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Import `src` (with `MT_Free/Imgs`, `MT_Blowhole/Imgs`, …) to `<out>/magnetic_tile`.

    `split="group"` keeps all captures of a physical tile on one side (see `tile_groups`): tiles without a defect are
    drawn for training until about `train_fraction` of all good images is there; all other captures are tested.
    A tile with a defect anywhere is never trained on, not even its good captures. `split="random"` ignores tiles.
    Same source and seed: same bytes. Cost: about 6 CPU-s for 730 images.
    """
    check_split(split=split, fraction=train_fraction)
    refuse_overlap(src, out)
    skipped: list[ImageError] = []
    tiles = find_tiles(src, skipped)
    groups = tiles_of(tiles)
    flawed = {g for g, t in zip(groups, tiles, strict=True) if t.kind != GOOD_TYPE}
    good = [i for i, t in enumerate(tiles) if t.kind == GOOD_TYPE]
    if split == "group":
        weights = Counter(groups[i] for i in good if groups[i] not in flawed)
        share = min(train_fraction * len(good) / max(1, sum(weights.values())), 0.999)
        drawn = draw_training(weights, seed=seed, fraction=share)
        training = {i for i in good if groups[i] in drawn}
    else:
        names = {str(tiles[i].path.relative_to(src)): i for i in good}
        training = {names[n] for n in draw_training(dict.fromkeys(names, 1), seed=seed, fraction=train_fraction)}
    placements = [
        Placement(
            source=tile.path,
            split="train" if i in training else "test",
            kind=tile.kind,
            name=tile.path.name,
            group=groups[i],
            mask=tile.mask if tile.kind != GOOD_TYPE else None,
        )
        for i, tile in enumerate(tiles)
    ]
    info = {
        "name": "magnetic tile",
        "category": CATEGORY,
        "terms": TERMS,
        "source": SOURCE,
        "split": split,
        "seed": seed,
        "train_fraction": train_fraction,
        "group": "physical tile: captures in a row (gap of at most 150 in the running number), and returns by picture",
        "masks": "drawn by the authors of the set",
        "tiles": len(set(groups)),
    }
    notes = [f"{len(set(groups))} physical tiles, {len(flawed)} of them with a defect"]
    notes += [RANDOM_COST] if split == "random" else []
    return write_mvtec(out, CATEGORY, placements, info=info, notes=notes, skipped=skipped, progress=progress)


def tiles_of(captures: Sequence[TileImage]) -> list[str]:
    """The name of the physical tile that each capture shows."""
    found = physical_tiles([c.capture for c in captures], lambda i: _grey(captures[i].path))
    return [f"tile-{tile:03d}" for tile in found]


def find_tiles(src: Path, skipped: list[ImageError]) -> list[TileImage]:
    """Every capture below `src`; those that cannot be read go to `skipped`. DataError where there is no such set."""
    folders = sorted(p for p in src.iterdir() if p.is_dir() and p.name.startswith("MT_")) if src.is_dir() else []
    tiles = []
    for folder in folders:
        kind = folder.name[3:].lower()
        kind = GOOD_TYPE if kind == "free" else kind
        for _, path in find_images(folder, skipped):
            named = _NAME.fullmatch(path.name)
            if not named:
                continue
            try:
                picture = read_picture(path)
            except ImageError as error:
                skipped.append(error)
                continue
            mask = path.with_suffix(".png")
            capture = Capture(number=int(named[2]), kind=kind, height=picture.height, width=picture.width)
            tiles.append(TileImage(path=path, kind=kind, mask=mask if mask.is_file() else None, capture=capture))
    if not any(t.kind == GOOD_TYPE for t in tiles):
        raise DataError(
            f"{src}: expected MT_Free/Imgs/exp1_num_123.jpg and MT_<defect>/Imgs/… of the magnetic-tile set"
        )
    return tiles


def _grey(path: Path) -> Grey:
    return np.ascontiguousarray(read_picture(path).rgb[:, :, 0])
