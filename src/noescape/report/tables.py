"""The tables of the page, as plain rows of text: they are in the HTML and need no script."""

from __future__ import annotations

import math
from dataclasses import dataclass

from noescape.report.run_folder import InspectionRun, Json, finite, finite_list, section
from noescape.report.words import count_word, number, percent, rate_text, visible

_FIGURES = (
    ("image_auroc", "Image AUROC", "ranking of images, 0.5 = chance"),
    ("image_ap", "Image average precision", "area under precision over recall"),
    ("pixel_auroc", "Pixel AUROC", "ranking of pixels; flattering where defects are small"),
    ("pixel_ap", "Pixel average precision", "area under precision over recall, pixels"),
    ("pixel_aupro", "AUPRO", "overlap per region, to 30% false positive pixels"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecallRow:
    """The price of catching a share of the defects; `threshold_raw` is the exact value for the script."""

    recall: str
    threshold: str
    threshold_raw: float | None
    false_alarm: str
    false_alarm_detail: tuple[str, ...]
    miss: str
    miss_detail: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeRow:
    """One defect type at the run's threshold."""

    name: str
    n: int
    missed: str
    miss_rate: str
    bound: str
    auroc: str


def recall_table(run: InspectionRun, decimals: int) -> list[RecallRow]:
    """False-alarm rate at chosen recalls, as `report.json` gives it."""
    raw = run.metrics.get("false_alarm_rate_at_recall")
    scores = [row.score for row in run.rows]
    out = []
    for item in raw if isinstance(raw, list) else []:
        recall = finite(item.get("recall")) if isinstance(item, dict) else None
        if recall is None:
            continue
        alarm = rate_text(section(item, "false_alarm_rate"), "good part")
        miss = rate_text(section(item, "miss_rate"), "defective part")
        threshold = finite(item.get("threshold"))
        if threshold is not None:
            threshold = tidy_threshold(scores, threshold, decimals)
        out.append(
            RecallRow(
                recall=f"{100 * recall:.6g}%",
                threshold="–" if threshold is None else repr(threshold).replace("-", "−", 1),
                threshold_raw=threshold,
                false_alarm=alarm.value if alarm else "–",
                false_alarm_detail=tuple(filter(None, (alarm.count, alarm.bound))) if alarm else (),
                miss=miss.value if miss else "–",
                miss_detail=tuple(filter(None, (miss.count, miss.bound))) if miss else (),
            )
        )
    return out


def tidy_threshold(scores: list[float], threshold: float, decimals: int) -> float:
    """The shortest decimal near `threshold` (at least `decimals` digits tried) that judges all `scores` alike.

    Printing a threshold rounded in the usual way could let a reader type a number that judges differently.
    """
    low = max((s for s in scores if s <= threshold), default=-math.inf)
    high = min((s for s in scores if s > threshold), default=math.inf)
    for digits in range(decimals, 16 if abs(threshold) < 1e15 else 0):
        unit = 10.0**digits
        for value in (round(threshold, digits), math.floor(threshold * unit) / unit):
            if low <= value < high:
                return value
    return threshold


def type_table(run: InspectionRun) -> list[TypeRow]:
    """Per defect type: the stored rates, or plain counts from the rows where no rates are stored; most missed first."""
    stored = section(run.metrics, "per_type")
    seen: dict[str, list[bool]] = {}
    for row in run.rows:
        if row.truth == 1:
            seen.setdefault(row.defect_type or "(no type)", []).append(not row.score > run.threshold)
    out = []
    for kind, missed in sorted(seen.items(), key=lambda kv: (-sum(kv[1]), -len(kv[1]), kv[0])):
        text = rate_text(section(section(stored, kind), "miss_rate"), "defective part")
        auroc = finite(section(stored, kind).get("image_auroc"))
        out.append(
            TypeRow(
                name=kind,
                n=len(missed),
                missed=str(sum(missed)),
                miss_rate=percent(sum(missed) / len(missed)),
                bound=text.bound if text else "",
                auroc="–" if auroc is None else f"{auroc:.3f}",
            )
        )
    return out


def figure_table(run: InspectionRun) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of the stored figures; a figure that is null says so."""
    out = []
    for key, title, meaning in _FIGURES:
        if key in run.metrics:
            value = finite(run.metrics[key])
            out.append((title, "not measured" if value is None else _three(value), meaning))
    for key, title in (("image_best_f1", "Best image F1"), ("pixel_best_f1", "Best pixel F1")):
        best = section(run.metrics, key)
        value, at = finite(best.get("f1")), finite(best.get("threshold"))
        if value is not None:
            where = "" if at is None else f"at threshold {at:.5g}; "
            out.append((title, _three(value), where + "chosen on these very images, so optimistic"))
    return out


def latency_table(run: InspectionRun) -> tuple[list[tuple[str, list[str], str]], list[tuple[str, str]]]:
    """(rows of (what, [p50, p95, p99], n), other figures) of `timing.json`."""
    rows, others = [], []
    for key in sorted(run.timing, key=lambda k: (k != "latency_ms", k)):
        value = run.timing[key]
        if isinstance(value, dict) and any(q in value for q in ("p50", "p95", "p99")):
            cells = [_ms(finite(value.get(q))) for q in ("p50", "p95", "p99")]
            n = finite(value.get("n"))
            rows.append((_title(key), cells, "" if n is None else f"{int(n):,}"))
        elif (figure := finite(value)) is not None:
            others.append((_title(key), f"{figure:,.4g}" if abs(figure) < 1e4 else f"{figure:,.0f}"))
        elif isinstance(value, str) and len(value) <= 200:
            others.append((_title(key), value))
    return rows, others


def drift_table(run: InspectionRun) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """(column names, rows of (measure, cells)) of the drift per measure."""
    measures = {k: v for k, v in section(section(run.report, "drift"), "per_measure").items() if isinstance(v, dict)}
    columns = list(dict.fromkeys(key for values in measures.values() for key in values))
    return [_title(c) for c in columns], [(_title(k), [_cell(v.get(c)) for c in columns]) for k, v in measures.items()]


def threshold_table(run: InspectionRun, decimals: int) -> list[tuple[str, str, str, str]]:
    """(name, in use, from held-out good images, from training images) for image and pixel thresholds."""
    out = []
    for kind in ("image", "pixel"):
        values = [finite(run.thresholds.get(f"{kind}_threshold{suffix}")) for suffix in ("", "_heldout", "_train")]
        cells = ["–" if value is None else number(value, max(decimals, 2)) for value in values]
        out.append((f"{kind.capitalize()} threshold", cells[0], cells[1], cells[2]))
    return out


def threshold_words(run: InspectionRun) -> str:
    """Where the thresholds come from, in one sentence."""
    source = run.thresholds.get("source")
    n_good = finite(run.thresholds.get("n_good"))
    of = "good images" if n_good is None else count_word(int(n_good), "good image")
    known = {
        "heldout": f"from the scores of {of} that the model had not seen when it scored them",
        "tune": f"from the scores of {of} given to noescape tune",
        "train": f"from the scores of the {of} that the model was trained on",
    }
    return known.get(str(source), "source not stated" if source is None else f"source: {source}")


def defect_facts(defects: tuple[Json, ...], decimals: int, most: int = 12) -> list[list[str]]:
    """[number, area, box, highest score] of the largest `most` defects of one image."""
    ordered = sorted(defects, key=lambda d: -(finite(d.get("area")) or 0.0))[:most]
    out = []
    for defect in ordered:
        area, peak = finite(defect.get("area")), finite(defect.get("max_anomaly_value"))
        box = finite_list(defect.get("bbox"))
        out.append(
            [
                _cell(defect.get("component_id")),
                "–" if area is None else f"{int(area):,}",
                ", ".join(f"{v:g}" for v in box) if len(box) == 4 else "–",
                "–" if peak is None else number(peak, decimals),
            ]
        )
    return out


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def _cell(value: object) -> str:
    as_number = finite(value)
    return (
        f"{as_number:,.4g}".replace("-", "−", 1)
        if as_number is not None
        else "–"
        if value is None
        else visible(str(value)[:80])
    )


def _title(key: str) -> str:
    words = key.removesuffix("_ms").replace("_", " ").strip()
    return (words[:1].upper() + words[1:]) or key
