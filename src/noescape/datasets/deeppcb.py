"""Import of DeepPCB (Tang et al.): pairs of a golden and a defective crop of bare boards, with defect boxes."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.datasets.folder import find_images
from noescape.datasets.masks import draw_boxes
from noescape.datasets.splits import check_split, draw_training
from noescape.datasets.write import ImportResult, Placement, refuse_overlap, write_mvtec
from noescape.imaging import read_picture
from noescape.records import GOOD_TYPE, DataError, ImageError

CATEGORY = "deeppcb"
TERMS = (
    "Research use only. Cite: S. Tang, F. He, X. Huang, J. Yang, 'Online PCB defect detector on a new PCB defect "
    "dataset', arXiv:1902.06197 (2019)."
)
SOURCE = "https://github.com/tangsanli5201/DeepPCB"
TYPES = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
RANDOM_COST = (
    "--split random puts crops of one panel on both sides: layout and lighting of every test panel were seen in "
    "training. Figures from it do not carry over to new panels."
)
_PANEL = re.compile(r"group\w+")


@dataclass(frozen=True, kw_only=True)
class DeepPcbPair:
    """A golden crop and its defective partner. `types` names the defect in each of `boxes`; `kind` the most frequent.

    `key` is the golden's path relative to the source, without its ending "_temp".
    """

    key: str
    golden: Path
    test: Path
    panel: str
    boxes: tuple[tuple[int, int, int, int], ...]
    types: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The most frequent defect type (ties: the first in the set's own numbering)."""
        counts, order = Counter(self.types), list(TYPES.values())
        return min(counts, key=lambda name: (-counts[name], order.index(name)))


def import_deeppcb(
    src: Path,
    out: Path,
    *,
    split: str = "group",
    seed: int = 42,
    train_fraction: float = 0.6,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Import `src` (the folder `PCBData`, or the one that holds it) to `<out>/deeppcb`.

    Golden crops are good, their partners defective. An image holds several defects: its type is the most frequent
    one (ties: the first in the set's own numbering). Masks are the filled boxes. `pairs.csv` names the golden of each
    defective image. `split="group"` keeps the crops of one panel on one side; the defective crops of training panels
    are left out. Same source and seed: same bytes. Cost: about 3 CPU-s per 1,000 pairs.
    """
    check_split(split=split, fraction=train_fraction)
    refuse_overlap(src, out)
    skipped: list[ImageError] = []
    pairs = deeppcb_pairs(src, skipped)
    if split == "group":
        drawn = draw_training(Counter(p.panel for p in pairs), seed=seed, fraction=train_fraction)
        training = {p.golden for p in pairs if p.panel in drawn}
    else:
        drawn = set()
        names = {p.golden.name: p.golden for p in pairs}
        training = {names[n] for n in draw_training(dict.fromkeys(names, 1), seed=seed, fraction=train_fraction)}
    placements = [placement for p in pairs for placement in _place(p, training, p.panel not in drawn)]
    left = sum(p.panel in drawn for p in pairs)
    info: dict[str, Any] = {
        "name": "DeepPCB",
        "category": CATEGORY,
        "terms": TERMS,
        "source": SOURCE,
        "split": split,
        "seed": seed,
        "train_fraction": train_fraction,
        "group": "panel: crops of one folder groupXXXXX",
        "masks": "filled boxes around the defects, not outlines: pixel figures measure finding the box",
        "types": "an image counts for its most frequent defect type; most images hold several types",
        "left_out": {"defective": left} if left else {},
    }
    notes = [f"{len({p.panel for p in pairs})} panels, {len(pairs)} pairs; masks are filled boxes"]
    notes += [f"left out: {left} defective crops of the training panels"] if left else []
    notes += [RANDOM_COST] if split == "random" else []
    return write_mvtec(out, CATEGORY, placements, info=info, notes=notes, skipped=skipped, progress=progress)


def _place(pair: DeepPcbPair, training: set[Path], tested: bool) -> list[Placement]:
    good = Placement(
        source=pair.golden,
        split="train" if pair.golden in training else "test",
        kind=GOOD_TYPE,
        name=pair.golden.name,
        group=pair.panel,
    )
    if not tested:
        return [good]
    mask = functools.partial(_boxes_mask, pair.test, pair.boxes)
    bad = Placement(
        source=pair.test,
        split="test",
        kind=pair.kind,
        name=pair.test.name,
        group=pair.panel,
        mask=mask,
        mask_note=repr(pair.boxes),
        golden=pair.golden,
    )
    return [good, bad]


def _boxes_mask(image: Path, boxes: tuple[tuple[int, int, int, int], ...]) -> Any:
    picture = read_picture(image)
    return draw_boxes(boxes, picture.height, picture.width)


def deeppcb_pairs(src: Path, skipped: list[ImageError]) -> list[DeepPcbPair]:
    """All pairs of `src` (the folder `PCBData`, or the one that holds it), in the order of their paths.

    A golden without its partner or with unreadable boxes goes to `skipped`. DataError where there is no pair at all.
    """
    src = src / "PCBData" if (src / "PCBData").is_dir() else src
    pairs = []
    for key, golden in find_images(src, skipped):
        if not golden.stem.endswith("_temp"):
            continue
        stem = golden.stem.removesuffix("_temp")
        panel = next((part for part in key.split("/") if _PANEL.fullmatch(part)), golden.parent.name)
        test = golden.with_name(f"{stem}_test{golden.suffix}")
        labels = golden.parent.with_name(f"{golden.parent.name}_not") / f"{stem}.txt"
        try:
            boxes, types = _read_boxes(labels)
            if not test.is_file():
                raise ImageError(test, "unreadable", "the partner of a golden image is missing")
        except ImageError as error:
            skipped.append(error)
            continue
        found = key.removesuffix(golden.name) + stem
        pairs.append(DeepPcbPair(key=found, golden=golden, test=test, panel=panel, boxes=boxes, types=types))
    if not pairs:
        raise DataError(f"{src}: expected PCBData with groupXXXXX/XXXXX/*_temp.jpg and groupXXXXX/XXXXX_not/*.txt")
    return pairs


def _read_boxes(path: Path) -> tuple[tuple[tuple[int, int, int, int], ...], tuple[str, ...]]:
    try:
        rows = [
            [int(v) for v in line.replace(",", " ").split()]
            for line in path.read_text(encoding="ascii").splitlines()
            if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise ImageError(path, "labels", f"the boxes cannot be read ({error})") from None
    if not rows or any(len(row) != 5 or row[4] not in TYPES for row in rows):
        raise ImageError(path, "labels", "expected lines 'x1 y1 x2 y2 type' with a type of 1 to 6")
    return tuple((row[0], row[1], row[2], row[3]) for row in rows), tuple(TYPES[row[4]] for row in rows)
