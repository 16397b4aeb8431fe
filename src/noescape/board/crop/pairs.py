"""Pairs for a change classifier: the same frames rendered good and with defects, matched part by part.

OUT/golden/<frame>[_<component>]_<Light>.png    how it should be
OUT/defect/…                                    the same name: the part moved, turned or gone
OUT/pass/…                                      the same name: a part that is as it should be, in the defect render
OUT/mask/…png, …json                            pixels of the part in either pose (0/255); what was drawn and measured
OUT/pairs.csv                                   the 14 columns that change classifiers read
OUT/pairs.json                                  counts, what was left out and why
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noescape.board.crop.agreement import centre, on_board
from noescape.board.crop.components import GOOD, MIN_COVERAGE, OFFSET, Shown, components_in, part_mask
from noescape.board.crop.frames import Frame, Problem, Tree, read_tree, sizes_agree
from noescape.board.crop.instances import Instances
from noescape.board.crop.palette import GROUND, U8, refuse_unknown
from noescape.board.crop.pictures import cut, write_png
from noescape.board.crop.rois import at_border, coverage, labelled_mask, padded, union_box
from noescape.board.crop.whole import whole_folder
from noescape.datasets.changenet_write import COLUMNS
from noescape.files import safe_name, write_csv, write_json
from noescape.records import Box, DataError, WorkError

CSV, MARK = "pairs.csv", "pairs.json"
PASS = "PASS"  # noqa: S105  a label
Row = dict[str, Any]


@dataclass(kw_only=True)
class Pairs:
    """Every row of the CSV as a record (`label`, `object_name`, …), counts of what was left out, problems."""

    rows: list[Row] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    frames: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """One frame, decoded."""

    frame: Frame
    rgb: U8
    instances: Instances
    labelled: U8
    shown: dict[str, Shown]

    def part(self, box: Box, shown: Shown) -> U8:
        """Its visible pixels in `box`; none where it is not there."""
        return part_mask(cut(self.instances.ids, box), shown) * np.uint8(shown.part is not None)


def build_pairs(
    good: Path,
    defect: Path,
    out: Path,
    *,
    mode: Literal["frame", "component"] = "component",
    offset: int = OFFSET,
    min_coverage: float = MIN_COVERAGE,
    pass_rows: int | None = None,
    tell: Callable[[str, int], Callable[[int], None]] = lambda stage, total: lambda done: None,
) -> Pairs:
    """Match the frames of two renders by cell and light, and write every pair.

    A component's crop is the union of its boxes in both, padded by `offset`; left out where that touches the border or
    less than `min_coverage` of it is labelled in both renders. `pass_rows`: at most so many rows of parts that nothing
    is wrong with (None: all), evenly over what there is; parts with a defective one in their crop are not among them.
    In mode `frame` pairs are whole frames. Frames without a partner cost one problem each; DataError where no frame
    has one, or no pair is left. Same frames, same bytes.
    """
    trees = read_tree(good), read_tree(defect)
    done = Pairs(problems=[*trees[0].problems, *trees[1].problems])
    matched = list(_matched(*trees, done))
    if not matched:
        first = "; ".join(map(str, done.problems[:3]))
        raise DataError(f"no frame of {defect} has its like in {good} ({first})")
    board = safe_name(trees[1].metadata.board or trees[0].metadata.board or "board")
    with whole_folder(out, MARK) as part:
        advance = tell("pairing frames", len(matched))
        for count, (a, b) in enumerate(matched, 1):
            try:
                golden, other = _decoded(a), _decoded(b)
                _same_view(golden, other)
                write = _frame_pair if mode == "frame" else _component_pairs
                done.rows += write(golden, other, part, offset, min_coverage, done.skipped)
                done.frames += 1
            except WorkError as error:
                done.problems.append(b.problem(error))
            advance(count)
        _thin(done, part, pass_rows)
        if not done.rows:
            told = ", ".join(f"{n} {why}" for why, n in sorted(done.skipped.items())) or "nothing defective in them"
            why = f"; {done.problems[0]}" if done.problems else ""
            raise DataError(f"{len(matched)} frames pair up, but no pair is left ({told}{why})")
        write_csv(part / CSV, COLUMNS, [_csv_row(row, board) for row in done.rows])
        write_json(part / MARK, _summary(done, mode))
    return done


def _matched(good: Tree, defect: Tree, done: Pairs) -> Iterator[tuple[Frame, Frame]]:
    """By cell and light; of several good triggers the same one, else the first."""
    of: dict[tuple[str, str], dict[int, Frame]] = {}
    for frame in good.frames:
        of.setdefault((frame.cell, frame.facts.light), {})[frame.trigger] = frame
    used = set()
    for frame in defect.frames:
        key = (frame.cell, frame.facts.light)
        if key not in of:
            lights = sorted({light for cell, light in of if cell == frame.cell})
            why = f"the good one is under {lights[0]}, this one under {key[1]}" if lights else "no good frame of it"
            done.problems.append(frame.problem(f"unpaired: {why}"))
            continue
        used.add(key)
        yield of[key].get(frame.trigger) or of[key][min(of[key])], frame
    for key, frames in of.items():
        if key not in used:
            done.problems.append(next(iter(frames.values())).problem(f"unpaired: {good.root.name} alone has it"))


def _decoded(frame: Frame) -> _Seen:
    rgb, semantic, instances = frame.rgb(), frame.semantic(), frame.instances()
    sizes_agree(frame, {"picture": rgb, "mask": semantic, "instances": instances.ids})
    shown = {one.path: one for one in components_in(frame, instances)}
    palette = frame.palette()
    refuse_unknown(semantic, palette)
    labelled = labelled_mask(semantic, palette, GROUND)
    return _Seen(frame=frame, rgb=rgb, instances=instances, labelled=labelled, shown=shown)


def _same_view(golden: _Seen, other: _Seen) -> None:
    a, b = golden.frame.facts.camera, other.frame.facts.camera
    if a and b and a.projection == "orthographic":
        a = replace(a, z=b.z)  # from whichever height, it sees the same; parts set upright may have lifted it
    if golden.rgb.shape != other.rgb.shape or (a and b and a != b):
        raise DataError("unpaired: the good frame is seen by another camera")


def _component_pairs(
    golden: _Seen, other: _Seen, part: Path, offset: int, least: float, skipped: Counter[str]
) -> list[Row]:
    rows = []
    wrong = [(g, d) for g, d in _both(golden, other, skipped) if d.mode != GOOD]
    moved = np.zeros(golden.labelled.shape, np.uint8)
    whole = (0, 0, golden.rgb.shape[1], golden.rgb.shape[0])
    for g, d in wrong:
        moved |= golden.part(whole, g) | other.part(whole, d)
    for g, d in _both(golden, other, Counter()):
        tight = union_box(g.box, d.box)
        if at_border(tight, moved.shape):
            skipped["edge"] += 1
            continue
        box = padded(tight, offset, moved.shape)
        if max(coverage(golden.labelled, box), coverage(other.labelled, box)) < least:
            skipped["low_coverage"] += 1
        elif d.mode != GOOD:
            rows.append(_write(golden, other, box, part, g, d))
        elif cut(moved, box).any():
            skipped["near_defect"] += 1
        else:
            rows.append(_write(golden, other, box, part, g, d))
    return rows


def _both(golden: _Seen, other: _Seen, skipped: Counter[str]) -> Iterator[tuple[Shown, Shown]]:
    """Components that both frames know, good in the first."""
    by_refdes = {one.refdes: one for one in golden.shown.values() if one.refdes}
    for path, d in sorted(other.shown.items()):
        g = golden.shown.get(path) or by_refdes.get(d.refdes)
        if g is None or g.part is None:
            skipped["no_golden"] += 1
        elif g.mode != GOOD:
            skipped["golden_is_defective"] += 1
        else:
            yield g, d
    skipped["not_seen"] += sum(path not in other.shown for path in golden.shown)


def _frame_pair(golden: _Seen, other: _Seen, part: Path, offset: int, least: float, skipped: Counter[str]) -> list[Row]:
    box = (0, 0, golden.rgb.shape[1], golden.rgb.shape[0])
    wrong = [(g, d) for g, d in _both(golden, other, skipped) if d.mode != GOOD]
    mask = np.zeros(golden.labelled.shape, np.uint8)
    for g, d in wrong:
        mask |= golden.part(box, g) | other.part(box, d)
    modes = sorted({d.mode for _, d in wrong})
    label = modes[0] if len(modes) == 1 else "+".join(modes) if modes else PASS
    name = other.frame.name
    row = {"label": label, "object_name": name, "frame": name, "light": other.frame.facts.light, "box": list(box)}
    told = [_told(golden, other, g, d) for g, d in wrong]
    _write_files(part, row, golden.rgb, other.rgb, mask, {"components": told})
    return [row | {"comp_name": "", "package": "", "class": "", "pins": "", "components": len(wrong)}]


def _write(golden: _Seen, other: _Seen, box: Box, part: Path, g: Shown, d: Shown) -> Row:
    name = f"{other.frame.name}_{g.name}"
    row: Row = {
        "label": PASS if d.mode == GOOD else d.mode,
        "object_name": name,
        "frame": other.frame.name,
        "light": other.frame.facts.light,
        "box": list(box),
        "comp_name": g.refdes or g.name,
        "package": g.package,
        "class": g.kind,
        "pins": sum(joint.kind == "pad" for joint in g.joints) or "",
    }
    mask = golden.part(box, g) | other.part(box, d)
    _write_files(part, row, cut(golden.rgb, box), cut(other.rgb, box), mask, _told(golden, other, g, d))
    return row


def _write_files(part: Path, row: Row, golden: U8, other: U8, mask: U8, told: Row) -> None:
    name = f"{row['object_name']}_{row['light']}"
    good = row["label"] == PASS
    write_png(part / "golden" / f"{name}.png", golden)
    write_png(part / ("pass" if good else "defect") / f"{name}.png", other)
    if not good:
        write_png(part / "mask" / f"{name}.png", mask)
        area = int((mask > 0).sum())
        write_json(
            part / "mask" / f"{name}.json", {**{k: row[k] for k in ("label", "frame", "box")}, **told, "area": area}
        )


def _told(golden: _Seen, other: _Seen, g: Shown, d: Shown) -> Row:
    """What was drawn for a part, and how far the middle of its visible pixels went (mm; None without a camera)."""
    camera = other.frame.facts.camera
    here = centre(other.instances, d.part.number) if d.part else None
    there = centre(golden.instances, g.part.number) if g.part else None
    went = None
    if camera and here and there:
        went = [round(v, 4) for v in on_board((here[0] - there[0], here[1] - there[1]), camera)]
    return {
        "component": g.name,
        "path": g.path,
        "refdes": g.refdes,
        "mode": d.mode,
        "golden_box": list(g.box),
        "defect_box": list(d.box),
        "drawn": dict(d.drawn.values) if d.drawn else {},
        "measured_mm": went,
    }


def _thin(done: Pairs, part: Path, most: int | None) -> None:
    """Keep at most `most` rows of good parts, evenly over all."""
    places = [n for n, row in enumerate(done.rows) if row["label"] == PASS]
    if most is None or len(places) <= most:
        return
    keep = {places[k * len(places) // most] for k in range(most)}
    for n in set(places) - keep:
        name = f"{done.rows[n]['object_name']}_{done.rows[n]['light']}.png"
        for folder in ("golden", "pass"):
            (part / folder / name).unlink()
    done.rows = [row for n, row in enumerate(done.rows) if row["label"] != PASS or n in keep]


def _csv_row(row: Row, board: str) -> tuple[object, ...]:
    good = row["label"] == PASS
    told = "as it should be" if good else f"rendered with a defect: {row['label']}"
    # A board's golden and what was made of it stay on one side when a set is split by board.
    return (
        "pass" if good else "defect", "golden", row["label"], row["object_name"], "noescape",
        f"{board}_{row['frame']}", row["class"], "MPASS" if good else "MFAIL", 1, row["comp_name"],
        row["package"] or row["class"], row["pins"], told, row["class"],
    )  # fmt: skip


def _summary(done: Pairs, mode: str) -> Row:
    return {
        "mode": mode,
        "frames": done.frames,
        "rows": len(done.rows),
        "labels": dict(sorted(Counter(row["label"] for row in done.rows).items())),
        "lights": sorted({row["light"] for row in done.rows}),
        "skipped": dict(sorted(done.skipped.items())),
        "problems": list(map(str, done.problems)),
    }
