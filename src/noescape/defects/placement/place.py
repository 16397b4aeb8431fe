"""Automatic mask placement: allocate, pair, place, and hand over exactly as many test cases as were allocated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noescape.defects.placement.attempt import Row, attempts
from noescape.defects.placement.options import Plan
from noescape.defects.placement.summary import samples, summarise
from noescape.defects.placement.testcase import TestCase, write_testcases
from noescape.defects.placement.where import Where
from noescape.files import remove_parts, write_bytes, write_json
from noescape.imaging import png_bytes
from noescape.records import WorkError


class AllocationMismatchError(WorkError):
    """Fewer masks could be placed than were allocated; nothing may be generated from them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """All attempts in order, and the test cases made of those that succeeded."""

    rows: tuple[Row, ...]
    cases: tuple[TestCase, ...]
    summary: dict[str, Any]


def place(plan: Plan, progress: Callable[[int], None] | None = None) -> Placed:
    """Place every mask of `plan` and write masks, allocation.json, amp_samples.json, summary.json and the test cases.

    Masks lie at `<amp_dir>/<clean stem>/<TEXTURE+TYPE>/<submask stem>__seed<round>.png`. Where an attempt fails the
    next pair is tried; when all pairs have been, AllocationMismatchError names the shortfall, and no test case is
    written. Same data, options and seed: same bytes. Cost: about 5 ms per image of 512 x 512 (`bridge`: up to 200).
    """
    where = Where(plan)
    rows: list[Row] = []
    cases: list[TestCase] = []
    if plan.options.amp_dir.is_dir():
        remove_parts(plan.options.amp_dir)  # of a run that was killed
    for kind in plan.types:
        placed = 0
        for row in attempts(kind, plan, where):
            if row.mask is not None:
                assert row.laid is not None  # noqa: S101 - what has a mask was laid
                write_bytes(row.mask, png_bytes(row.laid.mask.astype(np.uint8) * np.uint8(255)), sync=False)
                cases.append(_case(row, plan, len(cases)))
                placed += 1
                if progress:
                    progress(len(cases))
            rows.append(row.without_pixels())
            if placed == kind.count:
                break
    summary = summarise(plan, rows)
    folder = plan.options.amp_dir
    write_json(folder / "allocation.json", plan.allocation)
    write_json(folder / "amp_samples.json", samples(plan, rows))
    write_json(folder / "summary.json", summary)
    _refuse_shortfall(plan, rows)
    write_testcases(plan.options.output_jsonl, cases)
    return Placed(rows=tuple(rows), cases=tuple(cases), summary=summary)


def _case(row: Row, plan: Plan, index: int) -> TestCase:
    options = plan.options
    seed = int(np.random.SeedSequence([options.seed, index]).generate_state(1)[0])
    return TestCase(
        image_filename=str(row.clean),
        mask_filename=str(row.mask),
        anomaly_type=row.plan.kind.key,
        guidance=options.guidance,
        num_steps=options.num_steps,
        seed=seed,
        crop_ratio=options.crop_ratio,
        iteration_generation_max_instance=row.plan.max_instance,
        submask_filename=None if row.submask is None else str(row.submask),
        index=index,
    )


def _refuse_shortfall(plan: Plan, rows: Sequence[Row]) -> None:
    lines = []
    for kind in plan.types:
        mine = [row for row in rows if row.plan is kind]
        placed = sum(row.mask is not None for row in mine)
        if placed < kind.count:
            why = Counter(row.status for row in mine if row.mask is None)
            told = ", ".join(f"{n} {status}" for status, n in sorted(why.items())) or "no pair to try"
            lines.append(f"  - {kind.kind.key}: {placed} of {kind.count} placed, {kind.count - placed} short ({told})")
    if lines:
        raise AllocationMismatchError(
            "AMP allocation mismatch; no test case was written:\n" + "\n".join(lines) + "\n"
            f"What was tried is in {plan.options.amp_dir / 'summary.json'}. Ask for fewer (--per-defect-counts), add "
            "clean images, widen the regions, or place these types free."
        )
