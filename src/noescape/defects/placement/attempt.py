"""One attempt after another to place a type of defect: the next pair of mask and clean image, its region, the mask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noescape.defects.placement.cad_lay import lay_cad
from noescape.defects.placement.free import Laid, lay_free
from noescape.defects.placement.options import Plan, TypePlan, stream
from noescape.defects.placement.pair import pairs
from noescape.defects.placement.submask import Bool, Submask, box_of
from noescape.defects.placement.where import MIN_AREA, Where
from noescape.imaging import label_regions
from noescape.records import Box

PLACED = ("OK", "SMALL", "PARTIAL", "ROI_ONLY")
MANY = 5  # regions filled at once at most, unless told
MAX_NAME = 180  # bytes of a stem in a name of ours
_ORDER = 2**32 - 1  # the stream of random numbers for the order of pairs


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One attempt. `mask` (None where it failed) is the file that `laid.mask` goes to; `area` and `box` are its."""

    plan: TypePlan
    clean: Path
    submask: Path | None
    round: int
    status: str
    laid: Laid | None
    region: str
    wanted: int
    filled: int
    mask: Path | None = None
    area: int = 0
    box: Box = (0, 0, 0, 0)

    def without_pixels(self) -> Row:
        """The same to be kept: a thousand masks of 512 x 512 would be 260 MB."""
        return self if self.laid is None else replace(self, laid=replace(self.laid, mask=np.zeros((0, 0), bool)))


def attempts(kind: TypePlan, plan: Plan, where: Where) -> Iterator[Row]:
    """Pair after pair, until those that could still succeed have all been tried as often as needed."""
    clean = plan.dataset.clean[kind.kind.texture]
    ruled = kind.spec.spatial_dependency == "cad" and kind.kind.name == "missing"
    masks = [None] if ruled else [mask for _, mask in kind.kind.pairs]
    order = pairs(len(masks), len(clean), np.random.default_rng([plan.options.seed, kind.stream, _ORDER]))
    hopeless: set[Path] = set()
    most = 2 * kind.count + len(masks) * len(clean)
    for number, (m, c, again) in enumerate(order):
        if number >= most or len(hopeless) == len(clean):
            return
        if clean[c] in hopeless:
            continue
        row = _attempt(kind, plan, where, clean[c], m, None if ruled else masks[m], again)
        if row.status in ("NO_CANDIDATES", "NO_DETECTION"):
            hopeless.add(clean[c])
        yield row


def _attempt(
    kind: TypePlan, plan: Plan, where: Where, clean: Path, index: int, submask: Path | None, again: int
) -> Row:
    here = stream(clean.name)
    rng = np.random.default_rng([plan.options.seed, kind.stream, index, here, again])
    sub = kind.submasks[index] if submask is not None else None
    laid: Laid | None
    if kind.spec.spatial_dependency == "cad":
        found = where.candidates(clean, kind)
        region = f"cad: {len(found)} candidates"
        if found:
            laid, wanted, filled = lay_cad(kind.kind.name, sub, found, rng, instances=plan.options.instances)
        else:
            laid, wanted, filled = None, 0, 0
        status = laid.status if laid else "NO_CANDIDATES"
    else:
        legal, region = where.region(clean, kind)
        nothing = int(legal.sum()) < MIN_AREA
        laid, wanted, filled = (None, 0, 0) if nothing or sub is None else _lay_many(kind, sub, legal, rng, plan)
        status = laid.status if laid else "NO_DETECTION"
    name = None
    if status in PLACED:
        name = _mask_path(plan.options.amp_dir, clean, kind.kind.key, submask, again)
    return Row(
        plan=kind, clean=clean, submask=submask, round=again, status=status, laid=laid, region=region,
        wanted=wanted, filled=filled, mask=name, area=int(laid.mask.sum()) if laid else 0,
        box=box_of(laid.mask) if laid and laid.mask.any() else (0, 0, 0, 0),
    )  # fmt: skip


def _lay_many(kind: TypePlan, sub: Submask, legal: Bool, rng: np.random.Generator, plan: Plan) -> tuple[Laid, int, int]:
    """One mask in each of so many separate regions; usually the region is one and so is the mask."""
    labels = label_regions(legal.astype(np.uint8))
    sizes = np.bincount(labels.ravel())
    found = [i for i in range(1, len(sizes)) if sizes[i] >= MIN_AREA]
    most = min(len(found), MANY if plan.options.instances == -1 else plan.options.instances)
    wanted = int(rng.integers(1, most + 1)) if plan.options.instances == -1 else most
    picked = sorted(rng.choice(found, size=wanted, replace=False))
    laid = [lay_free(sub, labels == i, kind.ranges, rng) for i in picked]
    filled = [item for item in laid if item.status != "FAILED"]
    if len(laid) == 1 or not filled:
        return laid[0], wanted, len(filled)
    first = filled[0]
    status = "PARTIAL" if len(filled) < wanted else "SMALL" if any(x.status == "SMALL" for x in filled) else "OK"
    mask = np.logical_or.reduce([item.mask for item in filled])
    joined = Laid(mask=mask, status=status, tries=sum(x.tries for x in laid), pose=first.pose, at=first.at, kept=min(
        item.kept for item in filled))  # fmt: skip
    return joined, wanted, len(filled)


def _mask_path(folder: Path, clean: Path, key: str, submask: Path | None, again: int) -> Path:
    stem = "missing" if submask is None else submask.stem
    return folder / _short(clean.stem) / key / f"{_short(stem)}__seed{again}.png"


def _short(stem: str) -> str:
    """A stem that fits into a name; what is cut off is told apart by its digest."""
    data = stem.encode("utf-8", "surrogateescape")
    if len(data) <= MAX_NAME:
        return stem
    return data[: MAX_NAME - 9].decode("utf-8", "ignore") + "-" + hashlib.sha256(data).hexdigest()[:8]
