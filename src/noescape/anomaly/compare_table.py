"""A comparison as a Markdown table: every figure with its n and bound; bold only where a paired interval decides."""

from __future__ import annotations

from typing import Any

from noescape.metrics import percent

Json = dict[str, Any]
NOT_KNOWN = "–"
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*[]|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def markdown(report: Json) -> str:
    """The text of comparison_table.md. Names from outside cannot leave their cell or become markup."""
    a, b = report["a"], report["b"]
    names = [cell(side["label"]) for side in (a, b)]
    n = report["n"]
    one, two = (f"{cell(s['model'])}, run {cell(s['run_id'])}" for s in (a, b))
    out = [f"# {names[0]} and {names[1]}: {cell(a['category'])}", ""]
    left_out = n["unreadable_in_a_or_b"]
    without = f"; {left_out} unreadable, left out of differences" if left_out else ""
    out += [
        f"{n['good']} good and {n['defect']} defective test images{without}.",
        f"{names[0]}: {one}. {names[1]}: {two}.",
        "",
    ]
    out += _table(["figure", *names, "difference (paired 95% interval)", "n"], _whole(report))
    out += [
        "",
        "**Bold**: better, because the interval of the difference on the same images excludes 0. Where nothing is "
        "bold, these images do not show which is better, or no paired interval is computed. Bounds are one-sided 95%.",
        "",
    ]
    types = _types(report)
    if types:
        head = ["type", "n", *(f"{name} AUROC" for name in names), "difference (paired 95% interval)"]
        head += [f"{name} missed" for name in names] + [f"{name} AUPRO" for name in names]
        out += ["## By type of defect", "", *_table(head, types), ""]
    out += ["## What these images allow to say", "", *(f"- {cell(line)}" for line in report["what_n_allows"]), ""]
    out += [f"Data {report['data_digest'][:16]}, evaluator {report['evaluator_digest'][:16]} (the same for both).", ""]
    return "\n".join(out)


def cell(text: object) -> str:
    """Text that Markdown and HTML show as it is, on one line."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return shown.translate(_SPECIAL)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _whole(report: Json) -> list[list[str]]:
    both = [report["a"]["metrics"], report["b"]["metrics"]]
    found = {row["figure"]: row for row in report["differences"]}
    images = [f"{m['n']['good']} + {m['n']['defect']}" for m in both]
    n = images[0] if images[0] == images[1] else " / ".join(images)
    auroc = found.get("image_auroc")
    rows = [
        _line("image AUROC", [_with_bounds(m) for m in both], auroc, n),
        _line("image AP", [_number(m.get("image_ap")) for m in both], None, n),
        _line("image best F1", [_number((m.get("image_best_f1") or {}).get("f1")) for m in both], None, n),
    ]
    regions = both[0]["n"].get("pixel_regions")
    for key, name in (("pixel_auroc", "pixel AUROC"), ("pixel_ap", "pixel AP"), ("pixel_aupro", "AUPRO to 30% FPR")):
        if any(m.get(key) is not None for m in both):
            rows.append(_line(name, [_number(m.get(key)) for m in both], None, f"{regions} regions"))
    at = [m["at_threshold"] for m in both]
    for key, name in (("false_alarm_rate", "false alarms FP/(FP+TN)"), ("miss_rate", "missed defects FN/(TP+FN)")):
        rows.append(_line(f"{name}, own threshold", [_rate(p[key]) for p in at], found.get(key), _n(at[0][key])))
    rows += _at_recalls(both)
    for key, name in (
        ("fit_wall_s", "fit, s"),
        ("fit_cpu_s", "fit, CPU s"),
        ("infer_ms_p50", "inference, ms an image (median)"),
        ("latency_ms_p50", "with reading and writing, ms an image (median)"),
    ):
        times = [report[side]["timing"].get(key) for side in "ab"]
        if any(t is not None for t in times):
            rows.append(_line(name, [NOT_KNOWN if t is None else f"{t:.4g}" for t in times], None, ""))
    return rows


def _at_recalls(both: list[Json]) -> list[list[str]]:
    points = [{p["recall"]: p["false_alarm_rate"] for p in m.get("false_alarm_rate_at_recall") or []} for m in both]
    return [
        _line(
            f"false alarms at {recall:.0%} recall", [_rate(p.get(recall)) for p in points], None, _n(points[0][recall])
        )
        for recall in points[0]
    ]


def _types(report: Json) -> list[list[str]]:
    sides = [report[side]["metrics"]["per_type"] for side in "ab"]
    rows = []
    for kind in sorted({*sides[0], *sides[1]}):
        pair = [side.get(kind) or {} for side in sides]
        found = report["per_type"].get(kind)
        line = _line(cell(kind), [_number(p.get("image_auroc")) for p in pair], found, "")
        rows.append(
            [line[0], str(pair[0].get("n", NOT_KNOWN)), *line[1:4]]
            + [_rate(p.get("miss_rate")) for p in pair]
            + [_number(p.get("pixel_aupro")) for p in pair]
        )
    return rows


def _line(name: str, values: list[str], found: Json | None, n: str) -> list[str]:
    winner = found["winner"] if found else None
    shown = [f"**{v}**" if side == winner else v for side, v in zip("ab", values, strict=True)]
    return [name, *shown, _interval(found), n]


def _interval(found: Json | None) -> str:
    if found is None or found["lower"] is None:
        return NOT_KNOWN
    return f"{found['difference']:+.4f} ({found['lower']:+.4f} to {found['upper']:+.4f})".replace("-", "−")


def _with_bounds(metrics: Json) -> str:
    value, bounds = metrics.get("image_auroc"), metrics.get("image_auroc_bounds")
    if value is None:
        return NOT_KNOWN
    return _number(value) + (f" (at least {bounds[0]:.3f})" if bounds else "")


def _number(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.4f}"


def _rate(rate: Json | None) -> str:
    if rate is None or rate.get("value") is None:
        return NOT_KNOWN
    return f"{percent(rate['value'])} ({rate['events']} of {rate['n']}, at most {percent(rate['upper'])})"


def _n(rate: Json) -> str:
    return str(rate["n"])
