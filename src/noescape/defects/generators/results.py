"""The tables of a generation: SDG_result.csv, errors.jsonl, summary.json, and how long it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noescape.defects.copies import NEAR_COPY
from noescape.defects.generators.plan import Plan
from noescape.defects.generators.tree import COLUMNS, ERRORS, RESULT, SUMMARY
from noescape.defects.placement.testcase import TestCase
from noescape.files import write_csv, write_json, write_jsonl


def write_tables(out: Path, planned: Plan, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Write the tables for all rows of the log; returns the summary."""
    made = [r for r in rows if r["output_filename"]]
    failed = [r for r in rows if not r["output_filename"]]
    scored = ("nn_score", "source") if any("source" in r for r in made) else ()
    case_of = {asked.number: asked.case for asked in planned.asked}  # a shard's numbers have gaps
    table = [_result(r, case_of[r["number"]], (*COLUMNS, *scored)) for r in made]
    write_csv(out / RESULT, (*COLUMNS, *scored), table)
    names = ("number", "row", "anomaly_type", "image_filename", "mask_filename")
    write_jsonl(out / ERRORS, [{n: r[n] for n in names} | r["error"] for r in failed])
    likeness = [r["ncc"] for r in made if "ncc" in r]
    summary = {
        "asked": len(rows),
        "made": len(made),
        "failed": len(failed),
        "failures": dict(sorted(Counter(r["error"]["code"] for r in failed).items())),
        "types": dict(sorted(Counter(r["anomaly_type"] for r in made).items())),
        "instances": sum(len(r["instances"]) for r in made),
        "arms": dict(sorted(Counter(r["arm"] for r in made if "arm" in r).items())),
        "near_copies": {
            "formula": f"aligned NCC to the nearest exemplar >= {NEAR_COPY}",
            "count": sum(v >= NEAR_COPY for v in likeness),
            "n": len(likeness),
            "median_ncc": round(float(np.median(likeness)), 4) if likeness else None,
        },
        "outside_max_diff": max((r["outside_max_diff"] for r in made), default=0),
        "dataset_sha256": planned.sources.dataset_sha256,
        "checkpoint_step": planned.step.number,
        "generator": planned.step.generator,
    }
    write_json(out / SUMMARY, summary)
    return summary


def _result(row: dict[str, Any], case: TestCase, columns: Sequence[str]) -> list[object]:
    values = case.model_dump(mode="json") | {
        "output_filename": row["output_filename"],
        "image_filename": row["image_filename"],
        "mask_filename": row["mask_filename"],
        "PSNR": "" if row["psnr"] is None else f"{row['psnr']:.4f}",
        "index": row["row"] if case.index is None else case.index,
        "guardrail_pass": row["outside_max_diff"] == 0,
        "nn_score": row.get("score") if row.get("score_by") == "nn" else None,
        "source": row.get("source"),
    }
    return [values[c] for c in columns]


def timing(spent: Sequence[float], wall_s: float, workers: int) -> dict[str, Any]:
    """What the images of this start cost; NaN for those that failed."""
    known = [s for s in spent if not math.isnan(s)]
    mean = round(sum(known) / len(known), 5) if known else None
    return {
        "images": len(known),
        "workers": workers,
        "wall_s": round(wall_s, 3),
        "cpu_s_per_image": mean,
        "cpu_s_per_image_max": round(max(known), 5) if known else None,
    }
