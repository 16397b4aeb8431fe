"""One crop per component out of rendered frames: those that are defective, or all; picture, masks and what was drawn.

OUT/cropped/<mode>/rgb/frame<cell>_<component>.png           (mode: shift, tombstone, …; good)
OUT/cropped/<mode>/semantic_segmentation/…                    the mask in colours
OUT/cropped/<mode>/component_instance/…                       the numbers of instances, 16 bits
OUT/cropped/<mode>/mask/…                                     the component itself, 0/255
OUT/cropped/{crops,semantic_segmentation_labels}.json
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noescape.board.crop.facts import Drawn
from noescape.board.crop.frames import Frame, Problem, read_tree, sizes_agree
from noescape.board.crop.instances import Ids, Instance, Instances, distinct_names
from noescape.board.crop.job import CROPS, LABELS_FILE, labels_json
from noescape.board.crop.palette import GROUND, U8, Colour, Meaning, refuse_unknown
from noescape.board.crop.pictures import cut, write_png
from noescape.board.crop.rois import at_border, coverage, labelled_mask, padded, union_box
from noescape.board.crop.whole import whole_folder
from noescape.files import safe_name, write_json
from noescape.records import Box, DataError, WorkError

FOLDER = "cropped"
GOOD, MISSING = "good", "missing"
OFFSET, MIN_COVERAGE = 10, 0.2
KINDS = ("rgb", "semantic_segmentation", "component_instance", "mask")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A component in a frame: `mode` of its defect or "good", the box of its visible pixels (of its pads and solder
    where the component itself is not there), and what was drawn for it."""

    path: str
    name: str
    refdes: str
    package: str
    kind: str
    mode: str
    box: Box
    part: Instance | None
    joints: tuple[Instance, ...]
    drawn: Drawn | None


@dataclass(kw_only=True)
class Components:
    """Every crop, counts of what was left out, problems by frame."""

    rows: list[Row] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    palette: dict[Colour, Meaning] = field(default_factory=dict)


def crop_components(
    root: Path,
    out: Path,
    *,
    by: Literal["defect", "component"] = "defect",
    offset: int = OFFSET,
    min_coverage: float = MIN_COVERAGE,
    tell: Callable[[str, int], Callable[[int], None]] = lambda stage, total: lambda done: None,
) -> Components:
    """Cut every defective component (with `by` component every one) out of the frames below `root`.

    Left out: components whose visible pixels touch the border of the picture, and crops of which less than
    `min_coverage` is labelled. Boxes are padded by `offset` pixels. A frame that cannot be used costs one problem;
    DataError where none can, or where nothing is left. Same frames, same bytes.
    """
    tree = read_tree(root)
    done = Components(problems=list(tree.problems))
    with whole_folder(out / FOLDER, CROPS) as part:
        advance = tell("cropping components", len(tree.frames))
        used = 0
        for count, frame in enumerate(tree.frames, 1):
            try:
                _crop_frame(frame, part, done, by, offset, min_coverage)
                used += 1
            except WorkError as error:
                done.problems.append(frame.problem(error))
            advance(count)
        if not used:
            why = "; ".join(map(str, done.problems[:3]))
            raise DataError(f"{root}: none of {len(tree.frames)} frames can be used ({why})")
        if not done.rows:
            told = ", ".join(f"{n} {why}" for why, n in sorted(done.skipped.items())) or f"no {by} in any frame"
            raise DataError(f"{root}: no component to crop in {used} frames ({told}); render more patches")
        write_json(part / LABELS_FILE, labels_json(done.palette))
        rules = {"by": by, "offset": offset, "min_coverage": min_coverage}
        left_out, problems = dict(sorted(done.skipped.items())), list(map(str, done.problems))
        write_json(part / CROPS, {"rules": rules, "skipped": left_out, "crops": done.rows, "problems": problems})
    return done


def components_in(frame: Frame, instances: Instances) -> list[Shown]:
    """Every component that is seen in a frame, by path; and those that should be there and are not (`missing`), by
    their pads and solder."""
    names = distinct_names(instances.parts)
    drawn = {pose.path: pose for pose in frame.facts.poses}
    by_refdes = {pose.refdes: pose for pose in frame.facts.poses if pose.refdes}
    out = []
    for part in instances.parts:
        pose = drawn.get(part.path) or by_refdes.get(part.refdes)
        mode = part.defect or (pose.mode if pose else "") or GOOD
        out.append(
            Shown(
                path=part.path, name=names[part.path], refdes=part.refdes, package=part.labels.get("package", ""),
                kind=part.kind, mode=safe_name(mode), box=part.box, part=part, drawn=pose,
                joints=tuple(instances.joints_of(part.refdes)),
            )
        )  # fmt: skip
    seen = {shown.path for shown in out} | {shown.refdes for shown in out if shown.refdes}
    out += [
        shown
        for pose in frame.facts.poses
        if pose.path not in seen and pose.refdes not in seen and (shown := _absent(pose, instances))
    ]
    return out


def part_mask(ids: Ids, shown: Shown) -> U8:
    """0/255 [H, W]: the visible pixels of the component; of its pads and solder where it is not there."""
    numbers = [shown.part.number] if shown.part else [joint.number for joint in shown.joints]
    return np.asarray(np.isin(ids, numbers) * np.uint8(255), dtype=np.uint8)


def _absent(pose: Drawn, instances: Instances) -> Shown | None:
    joints = instances.joints_of(pose.refdes)
    if not joints or pose.mode != MISSING:
        return None
    box = joints[0].box
    for joint in joints[1:]:
        box = union_box(box, joint.box)
    name = safe_name(pose.path.rstrip("/").rpartition("/")[2] or pose.refdes)
    return Shown(
        path=pose.path, name=name, refdes=pose.refdes, package=joints[0].labels.get("package", ""), kind="",
        mode=safe_name(pose.mode), box=box, part=None, joints=tuple(joints), drawn=pose,
    )  # fmt: skip


def _crop_frame(frame: Frame, part: Path, done: Components, by: str, offset: int, least: float) -> None:
    instances = frame.instances()
    wanted = [shown for shown in components_in(frame, instances) if by == "component" or shown.mode != GOOD]
    if instances.unknown:
        done.problems.append(frame.problem(f"{len(instances.unknown)} numbers in the mask are in no table"))
    if not wanted:
        return
    palette, semantic, rgb = frame.palette(), frame.semantic(), frame.rgb()
    sizes_agree(frame, {"picture": rgb, "mask": semantic, "instances": instances.ids})
    refuse_unknown(semantic, palette)
    labelled = labelled_mask(semantic, palette, GROUND)
    done.palette |= palette
    for shown in wanted:
        if at_border(shown.box, labelled.shape):
            done.skipped["edge"] += 1
            continue
        box = padded(shown.box, offset, labelled.shape)
        share = coverage(labelled, box)
        if share < least:
            done.skipped["low_coverage"] += 1
            continue
        mask = part_mask(cut(instances.ids, box), shown)
        name = f"frame{frame.name}_{shown.name}.png"
        pictures = (cut(rgb, box), cut(semantic, box), cut(instances.ids, box), mask)
        for kind, picture in zip(KINDS, pictures, strict=True):
            write_png(part / shown.mode / kind / name, picture)
        done.rows.append(_row(frame, shown, name, box, share, int((mask > 0).sum())))


def _row(frame: Frame, shown: Shown, name: str, box: Box, share: float, area: int) -> Row:
    camera = frame.facts.camera
    return {
        "image": f"{shown.mode}/rgb/{name}",
        "mode": shown.mode,
        "frame": frame.name,
        "component": shown.name,
        "path": shown.path,
        "refdes": shown.refdes,
        "package": shown.package,
        "class": shown.kind,
        "instance": shown.part.number if shown.part else 0,
        "box": list(box),
        "tight": list(shown.box),
        "hidden": shown.part.hidden if shown.part else None,
        "coverage": round(share, 4),
        "mask_area": area,
        "mm_per_px": round(camera.field[0] / camera.resolution[0], 6) if camera else None,
        "drawn": dict(shown.drawn.values) if shown.drawn else {},
    }
