"""Two evaluated runs side by side: same images, same evaluator, or no comparison at all.

OUT/comparison_table.md  comparison_report.json  comparison_samples/<a>/ <b>/ side_by_side.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.anomaly.compare_samples import Side, draw_samples
from noescape.anomaly.compare_table import markdown
from noescape.anomaly.paired import Scored, per_type_differences, whole_differences
from noescape.anomaly.progress import Tell, silent
from noescape.files import contained, read_json_object, read_jsonl, safe_name, write_json, write_text
from noescape.records import DataError, PathEscapeError, UsageError

TABLE, REPORT, SAMPLES = "comparison_table.md", "comparison_report.json", "comparison_samples"
IDENTITY = ("model", "category", "run_id")


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A run with its figures: metrics.json, the rows of preds_test.jsonl by image, and the times that are known."""

    folder: Path
    metrics: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    timing: dict[str, float | None]


def compare(
    run_a: Path, run_b: Path, out: Path, *, root: Path | None = None, draw: bool = True, tell: Tell = silent
) -> dict[str, Any]:
    """Compare two runs into `out`; returns comparison_report.json.

    `root` replaces the data root of the runs' configuration, for the pictures; `draw` False leaves those out and needs
    no data. UsageError says what does not compare: other data, another evaluator, other images.
    """
    if run_a.resolve() == run_b.resolve():
        raise UsageError(f"{run_a} and {run_b} are the same run: there is nothing to compare")
    a, b = load_evaluated(run_a), load_evaluated(run_b)
    refuse_unequal(a, b)
    _forget_samples(out)
    names = labels(a.metrics, b.metrics)
    common = [key for key in a.rows if "error" not in a.rows[key] and "error" not in b.rows[key]]
    scored = Scored.of([a.rows[k] for k in common], [b.rows[k] for k in common])
    samples: list[dict[str, Any]] = []
    if draw:
        sides = [Side(folder=one.folder, label=name) for one, name in zip((a, b), names, strict=True)]
        samples = draw_samples(sides, out / SAMPLES, scored, common, a.metrics, root, tell)
    report = {
        **{key: _identity(one, name) for key, one, name in zip("ab", (a, b), names, strict=True)},
        "data_digest": a.metrics["data_digest"],
        "evaluator_digest": a.metrics["evaluator_digest"],
        "uncertain": a.metrics.get("uncertain"),
        "n": {
            "images": len(a.rows),
            "compared": len(common),
            "good": scored.n_good,
            "defect": scored.n_defect,
            "unreadable_in_a_or_b": len(a.rows) - len(common),
        },
        "differences": whole_differences(scored, names),
        "per_type": per_type_differences(scored, names),
        "samples": samples,
    }
    report["what_n_allows"] = _conclusions(report, names)
    write_text(out / TABLE, markdown(report))
    write_json(out / REPORT, report)
    return report


def load_evaluated(run: Path) -> Evaluated:
    """Read what `evaluate` left in `run`; UsageError where it has not been evaluated."""
    if not run.is_dir():
        raise UsageError(f"{run}: expected a run folder, there is none")
    missing = [name for name in ("metrics.json", "preds_test.jsonl") if not (run / name).is_file()]
    if missing:
        raise UsageError(f"{run} has no {' and no '.join(missing)}: run `noescape evaluate --run-dir {run}` first")
    metrics = read_json_object(run / "metrics.json", "the figures that evaluate wrote")
    needed = (*IDENTITY, "data_digest", "evaluator_digest", "n", "at_threshold", "per_type")
    if absent := [name for name in needed if name not in metrics]:
        raise DataError(f"{run / 'metrics.json'} lacks {', '.join(absent)}: evaluate again")
    rows: dict[str, dict[str, Any]] = {}
    for row in read_jsonl(run / "preds_test.jsonl"):
        key = row.get("image_path")
        whole = isinstance(key, str) and row.get("gt_label") in (0, 1) and ("error" in row or "pred_score" in row)
        if not whole or key in rows:
            raise DataError(f"{run / 'preds_test.jsonl'}: row {len(rows) + 1} is {row!r:.80}: evaluate again")
        rows[str(key)] = row
    if len(rows) != metrics["n"]["images"] + metrics["n"].get("errors", 0):
        raise DataError(f"{run}: metrics.json and preds_test.jsonl count different images: evaluate again")
    limit = metrics["at_threshold"]["threshold"]
    if any((row["pred_score"] > limit) != (row.get("label") == "NG") for row in rows.values() if "error" not in row):
        raise DataError(f"{run}: metrics.json and preds_test.jsonl are of different thresholds: evaluate again")
    return Evaluated(folder=run, metrics=metrics, rows=rows, timing=_timing(run))


def refuse_unequal(a: Evaluated, b: Evaluated) -> None:
    """UsageError that lists everything that makes the two runs' figures different things."""
    reasons = []
    for name, meaning in (("data_digest", "the test data differ"), ("evaluator_digest", "the evaluators differ")):
        one, two = str(a.metrics[name]), str(b.metrics[name])
        if one != two:
            reasons.append(f"{meaning}: {name} {one[:12]}… and {two[:12]}…")
    only = [sorted(set(x.rows) - set(y.rows)) for x, y in ((a, b), (b, a))]
    for run, keys in zip((a, b), only, strict=True):
        if keys:
            reasons.append(f"only {run.folder} holds {', '.join(map(repr, keys[:3]))} ({len(keys)} in all)")
    told = ("gt_label", "gt_type")
    unequal = [k for k in a.rows if k in b.rows and any(a.rows[k].get(t) != b.rows[k].get(t) for t in told)]
    if unequal:
        reasons.append(f"the truth of {', '.join(map(repr, unequal[:3]))} differs ({len(unequal)} in all)")
    if reasons:
        raise UsageError(
            f"{a.folder} and {b.folder} cannot be compared: {'; '.join(reasons)}. Evaluate both with this version on "
            "the same test images (noescape evaluate --run-dir R --data-root DATA)"
        )


def labels(a: dict[str, Any], b: dict[str, Any]) -> tuple[str, str]:
    """What to call the two: by model, by run id where the models are one kind, else by both and a letter."""
    for names in ((str(m["model"]) for m in (a, b)), (str(m["run_id"]) for m in (a, b))):
        one, two = (safe_name(name) for name in names)
        if one.casefold() != two.casefold():
            return one, two
    return f"{one}_a", f"{two}_b"


def _identity(one: Evaluated, label: str) -> dict[str, Any]:
    return {
        "label": label,
        **{name: one.metrics[name] for name in IDENTITY},
        "metrics": one.metrics,
        "timing": one.timing,
    }


def _conclusions(report: dict[str, Any], names: tuple[str, str]) -> list[str]:
    """Sentences: of each paired figure what these images show and what they leave open."""
    out = [row["text"] for row in report["differences"]]
    won = {row["winner"] for row in report["differences"] if row["winner"]}
    n = f"{report['n']['good']} good and {report['n']['defect']} defective images"
    if not won:
        out.append(f"{n} do not show which of {names[0]} and {names[1]} is better")
    elif len(won) == 1:
        out.append(f"where {n} decide, {names[0] if won == {'a'} else names[1]} is better")
    else:
        out.append(f"on {n} each is better in something")
    return out


def _timing(run: Path) -> dict[str, float | None]:
    """Times where a fit and a predict left them; None where not."""
    places = (run / "timing.json", run / "predictions" / "timing.json")
    fit, inspected = (read_json_object(path, "times") if path.is_file() else {} for path in places)

    def number(value: Any) -> float | None:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def median(name: str) -> float | None:
        part = inspected.get(name)
        return number(part.get("p50")) if isinstance(part, dict) else None

    return {
        "fit_wall_s": number(fit.get("fit_wall_s")),
        "fit_cpu_s": number(fit.get("fit_cpu_s")),
        "infer_ms_p50": median("infer_ms"),
        "latency_ms_p50": median("latency_ms"),
    }


def _forget_samples(out: Path) -> None:
    """Remove the pictures that an earlier comparison here lists as its own, so that none of another pair stays."""
    if not (out / REPORT).is_file():
        return
    try:
        earlier = read_json_object(out / REPORT, "an earlier comparison")
        listed = [str(path) for row in earlier["samples"] for path in row["files"].values()]
        for name in listed:
            contained(out / SAMPLES, name).unlink(missing_ok=True)
    except (DataError, PathEscapeError, KeyError, TypeError, AttributeError, OSError):
        raise UsageError(f"{out / REPORT} is no report of a comparison: choose another --output-dir") from None
    (out / REPORT).unlink()
