"""What placement did, as plain JSON: every attempt with how its mask was made, and the counts that matter."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from noescape.datasets.anomalygen_spec import LABELS_FILE
from noescape.defects.placement.attempt import Row
from noescape.defects.placement.options import Plan, TypePlan


def summarise(plan: Plan, rows: Sequence[Row]) -> dict[str, Any]:
    """The content of summary.json. Paths are relative to the folder of masks."""
    home = plan.options.amp_dir
    return {
        "mode": plan.options.mode,
        "seed": plan.options.seed,
        "augmentation": plan.options.augmentation,
        "allocated": sum(plan.allocation.values()),
        "placed": sum(row.mask is not None for row in rows),
        "statuses": dict(sorted(Counter(row.status for row in rows).items())),
        "types": {kind.kind.key: _type(kind, rows) for kind in plan.types},
        "notices": list(plan.notices),
        "rows": [_row(row, home) for row in rows],
    }


def samples(plan: Plan, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The content of amp_samples.json: the pairs that were tried, in the form of the public originals."""
    home = plan.options.amp_dir
    out = []
    for row in rows:
        cad = plan.dataset.cad.get(row.clean) if row.plan.spec.spatial_dependency == "cad" else None
        label = (cad.parent.parent.parent / LABELS_FILE) if cad else None
        out.append(
            {
                "clean_image": _relative(row.clean, home),
                "defect_type": row.plan.kind.key,
                "submask": _relative(row.submask, home),
                "name": row.clean.stem,
                "cad_mask": _relative(cad, home),
                "cad_mask_label": _relative(label, home),
            }
        )
    return out


def _type(kind: TypePlan, rows: Sequence[Row]) -> dict[str, Any]:
    mine = [row for row in rows if row.plan is kind]
    return {
        "allocated": kind.count,
        "placed": sum(row.mask is not None for row in mine),
        "spatial_dependency": kind.spec.spatial_dependency,
        "prompt": kind.spec.prompt,
        "examples": len(kind.kind.pairs),
        "statuses": dict(sorted(Counter(row.status for row in mine).items())),
        "ranges": asdict(kind.ranges),
    }


def _row(row: Row, home: Path) -> dict[str, Any]:
    out: dict[str, Any] = {
        "anomaly_type": row.plan.kind.key,
        "status": row.status,
        "clean_image": _relative(row.clean, home),
        "submask": _relative(row.submask, home),
        "mask": _relative(row.mask, home),
        "region": row.region,
        "instances": {"asked": row.wanted, "placed": row.filled},
    }
    if row.laid is not None and row.mask is not None:
        out["area"] = row.area
        out["box"] = list(row.box)
        out["at"] = list(row.laid.at)
        out["kept"] = round(row.laid.kept, 3)
        out["tries"] = row.laid.tries
        out["pose"] = asdict(row.laid.pose)
    return out


def _relative(path: Path | None, home: Path) -> str | None:
    return None if path is None else Path(os.path.relpath(path, home)).as_posix()
