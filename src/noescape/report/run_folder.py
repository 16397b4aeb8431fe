"""Read a run folder at the door: `report.json`, `preds.jsonl` and `timing.json` become frozen records.

Fields may be missing, rows may be broken: a row without a finite score becomes an error row, never a crash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.files import read_json_object, read_jsonl
from noescape.records import DataError

Json = dict[str, Any]
_WRITTEN = "what `inspect` wrote (inspect again)"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRow:
    """One judged image: `score` is finite; `truth` is 0 good, 1 defective, None unknown; boxes in source pixels."""

    name: str
    score: float
    truth: int | None
    defect_type: str | None
    stored_ng: bool
    review: bool
    flags: tuple[str, ...]
    defects: tuple[Json, ...]
    num_defects: int
    defect_area: float | None
    overlay: str | None
    size: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRow:
    """One image without a verdict, with a short `code` for programs and a `reason` for people."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectionRun:
    """What a run folder says, in file order. `threshold` is the image threshold that the verdicts used."""

    folder: Path
    report: Json
    threshold: float
    rows: tuple[ImageRow, ...]
    errors: tuple[ErrorRow, ...]
    timing: Json

    @property
    def metrics(self) -> Json:
        """The figures that need truth, or an empty dict."""
        return section(self.report, "metrics")

    @property
    def thresholds(self) -> Json:
        """The thresholds and where they come from."""
        return section(self.report, "thresholds")

    def with_truth(self, truth: int) -> list[int]:
        """Indices of the rows whose truth is `truth` (0 or 1)."""
        return [i for i, row in enumerate(self.rows) if row.truth == truth]


def load_run(folder: Path) -> InspectionRun:
    """Read `folder`. DataError says which file is missing or is not what it should be."""
    if not (folder / "report.json").is_file():
        raise DataError(f"{folder}: expected a run folder with report.json; give the folder that `inspect` wrote")
    report = read_json_object(folder / "report.json", _WRITTEN)
    threshold = finite(section(report, "thresholds").get("image_threshold"))
    if threshold is None:
        raise DataError(f"{folder / 'report.json'}: expected a number at thresholds.image_threshold; inspect again")
    path = folder / "preds.jsonl"
    if not path.is_file():
        raise DataError(f"{folder}: expected preds.jsonl beside report.json; inspect again")
    rows: list[ImageRow] = []
    errors: list[ErrorRow] = []
    for raw in read_jsonl(path):
        row = _row(raw)
        if isinstance(row, ErrorRow):
            errors.append(row)
        else:
            rows.append(row)
    times = folder / "timing.json"
    return InspectionRun(
        folder=folder,
        report=report,
        threshold=threshold,
        rows=tuple(rows),
        errors=tuple(errors),
        timing=read_json_object(times, _WRITTEN) if times.is_file() else {},
    )


def finite(value: object) -> float | None:
    """`value` as a float if it is a finite number (not a bool), else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def section(value: object, key: str) -> Json:
    """The object under `key`, or an empty one where there is none."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def finite_list(value: object) -> list[float]:
    """The finite numbers of a list; empty for anything else."""
    if not isinstance(value, list):
        return []
    return [number for number in map(finite, value) if number is not None]


def _row(raw: Json) -> ImageRow | ErrorRow:
    name = raw.get("image_path")
    name = name if isinstance(name, str) and name else "(no name)"
    error = raw.get("error")
    if error:
        detail = error if isinstance(error, dict) else {"code": "error", "reason": error}
        return ErrorRow(name=name, code=str(detail.get("code", "error")), reason=str(detail.get("reason", "")))
    score = finite(raw.get("pred_score"))
    if score is None:
        return ErrorRow(name=name, code="no_score", reason="the row holds no finite pred_score")
    return _image_row(name, score, raw)


def _image_row(name: str, score: float, raw: Json) -> ImageRow:
    truth = raw.get("gt_label")
    kind, overlay, flags = raw.get("gt_type"), raw.get("overlay_path"), raw.get("flags")
    found = raw.get("defects")
    defects = tuple(d for d in found if isinstance(d, dict)) if isinstance(found, list) else ()
    count = finite(raw.get("num_defects"))
    size = finite_list(raw.get("image_size"))
    return ImageRow(
        name=name,
        score=score,
        truth=int(truth) if truth in (0, 1) else None,
        defect_type=kind if isinstance(kind, str) and kind else None,
        stored_ng=raw.get("label") == "NG",
        review=raw.get("review") is True,
        flags=tuple(str(f) for f in flags) if isinstance(flags, list) else (),
        defects=defects,
        num_defects=len(defects) if count is None else int(count),
        defect_area=finite(raw.get("total_defect_area")),
        overlay=overlay if isinstance(overlay, str) and overlay else None,
        size=(int(size[0]), int(size[1])) if len(size) == 2 else None,
    )
