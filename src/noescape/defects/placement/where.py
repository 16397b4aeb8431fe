"""The region of each clean image in which a type may lie, found once per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from noescape.datasets.folder import printable
from noescape.defects.placement.cad import Candidate, candidates, read_classes
from noescape.defects.placement.foreground import foreground
from noescape.defects.placement.options import Plan, TypePlan
from noescape.defects.placement.submask import Bool
from noescape.files import JsonlAppender, read_jsonl, sha256_file
from noescape.imaging import read_picture

MIN_AREA = 10
REGIONS_FILE = "regions.jsonl"


class Where:
    """Regions and CAD candidates, kept while they are small; answers of the vision endpoint are kept on disk.

    A killed run asks only for what it has not been told: `regions.jsonl` in the folder of masks holds one row for each
    image (by digest), prompt, endpoint and model.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._candidates: dict[tuple[Path, str], list[Candidate]] = {}
        self._parts: dict[Path, tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], str]] = {}
        self._told: dict[tuple[str, ...], list[list[int]]] | None = None

    def region(self, image: Path, plan: TypePlan) -> tuple[Bool, str]:
        """Legal pixels [H, W] for a type of `free` or `text`, and in a few words what they are; all False: none."""
        shape = self._plan.sizes[image]
        legal = self._plan.rois.region(image, shape)
        named = "whole image" if legal.all() else "region of interest"
        if plan.spec.spatial_dependency != "text":
            return legal, named
        if self._plan.options.vision is None:
            part, said = self._foreground(image, shape)
            return legal & part, said
        out = np.zeros(shape, bool)
        for x0, y0, x1, y1 in self._ask(image, plan.spec.prompt):
            out[y0:y1, x0:x1] = True
        return legal & out, f"{self._plan.options.vision.model}: {plan.spec.prompt}"

    def candidates(self, image: Path, plan: TypePlan) -> list[Candidate]:
        """The places of `cad` that lie in the legal region at least by half; cut to it."""
        key = (image, plan.kind.name)
        if key not in self._candidates:
            shape = self._plan.sizes[image]
            legal = self._plan.rois.region(image, shape)
            classes = read_classes(read_picture(self._plan.dataset.cad[image]).rgb, self._plan.dataset.labels)
            found = candidates(plan.kind.name, classes, shape)
            cut = [Candidate(region=c.region & legal, groups=c.groups) for c in found]
            keep = [new for new, old in zip(cut, found, strict=True) if 2 * new.area >= max(old.area, 1)]
            if len(self._candidates) >= 8:
                self._candidates.pop(next(iter(self._candidates)))
            self._candidates[key] = keep
        return self._candidates[key]

    def _foreground(self, image: Path, shape: tuple[int, int]) -> tuple[Bool, str]:
        if image not in self._parts:
            part, said = foreground(read_picture(image).rgb)
            self._parts[image] = (np.packbits(part), said)
        bits, said = self._parts[image]
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape) > 0, said

    def _ask(self, image: Path, prompt: str) -> list[list[int]]:
        vision = self._plan.options.vision
        assert vision is not None  # noqa: S101 - asked only where there is one
        path = self._plan.options.amp_dir / REGIONS_FILE
        if self._told is None:
            rows = read_jsonl(path) if path.is_file() else iter(())
            self._told = {(r["sha256"], r["prompt"], r["endpoint"], r["model"]): r["boxes"] for r in rows}
        key = (sha256_file(image), prompt, vision.base, vision.model)
        if key not in self._told:
            boxes = [list(box) for box in vision.find(read_picture(image).rgb, prompt)]
            row = dict(zip(("sha256", "prompt", "endpoint", "model"), key, strict=True))
            with JsonlAppender(path) as log:
                log.append({"image": printable(image.name), **row, "boxes": boxes})
            self._told[key] = boxes
        return self._told[key]
