"""What a reader must know before trusting the figures, in plain words and most serious first."""

from __future__ import annotations

from dataclasses import dataclass

from noescape.metrics import upper_bound
from noescape.report.banner import Confusion
from noescape.report.run_folder import InspectionRun, finite, section
from noescape.report.words import count_word, percent

_EVENTS = (("miss_rate", "defective part", "missed"), ("false_alarm_rate", "good part", "stopped"))
_FEW_PER_TYPE, _FEW_GOOD_SCORES = 10, 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One thing to know; `level` is "warn" (act on it) or "note" (keep it in mind); `commands` (when, what to type)."""

    level: str
    title: str
    text: str
    commands: tuple[tuple[str, str], ...] = ()


def notices(run: InspectionRun, counts: Confusion) -> list[Notice]:
    """Everything worth saying about `run`; an empty list is good news."""
    found = [*_integrity(run, counts), *_inputs(run), *_verdicts(run, counts), *_evidence(run, counts)]
    return sorted(found, key=lambda notice: notice.level != "warn")


def _integrity(run: InspectionRun, counts: Confusion) -> list[Notice]:
    out = []
    differ = sum(row.stored_ng != (row.score > run.threshold) for row in run.rows)
    if differ:
        text = (
            f"{count_word(differ, 'row')} of preds.jsonl {'carries' if differ == 1 else 'carry'} a label that "
            "“score > image threshold” does not give. This page judges by the rule; inspect again to make both agree."
        )
        out.append(Notice(level="warn", title="Labels and threshold disagree", text=text))
    at = section(run.metrics, "at_threshold")
    told = tuple(at.get(key) for key in ("tp", "fp", "tn", "fn"))
    seen = (counts.tp, counts.fp, counts.tn, counts.fn)
    if None not in told and told != seen:
        text = (
            f"report.json counts TP/FP/TN/FN = {'/'.join(map(str, told))}, the rows give {'/'.join(map(str, seen))} "
            f"at threshold {run.threshold:.6g}. They do not belong together; evaluate again."
        )
        out.append(Notice(level="warn", title="Figures and rows disagree", text=text))
    return out


def _inputs(run: InspectionRun) -> list[Notice]:
    out = []
    if run.errors:
        text = f"{count_word(len(run.errors), 'image')} could not be read and {_have(len(run.errors))} no verdict: "
        out.append(
            Notice(level="warn", title="Images without a verdict", text=text + "treat the parts as not inspected.")
        )
    kinds: dict[str, int] = {}
    for row in run.rows:
        for flag in row.flags:
            kinds[flag] = kinds.get(flag, 0) + 1
    if kinds:
        flagged = sum(bool(row.flags) for row in run.rows)
        why = _listed([f"{kind[:40]} ({n:,})" for kind, n in sorted(kinds.items())])
        text = f"{flagged:,} of {count_word(len(run.rows), 'image')} differ from the training images: {why}. "
        out.append(Notice(level="warn", title="Unusual input", text=text + "Their scores are less reliable."))
    out += _drift(run)
    return out


def _drift(run: InspectionRun) -> list[Notice]:
    """Nothing for a run that looks as the training did; a verdict in other words is passed on as it is."""
    drift = section(run.report, "drift")
    verdict, score = drift.get("verdict"), finite(drift.get("score"))
    if not isinstance(verdict, str) or verdict in ("", "as learnt"):
        return []
    known = {
        "watch": "The images as a whole begin to differ from the training images",
        "drifted": "The images as a whole differ from the training images, so thresholds may no longer fit",
    }
    text = known.get(verdict, verdict[:1].upper() + verdict[1:])
    by = "" if score is None else f" (drift score {score:.3g})"
    end = ". The measures are in the record below." if section(drift, "per_measure") else "."
    level = "note" if verdict == "watch" else "warn"
    return [Notice(level=level, title="Drift of the input", text=text.rstrip(".") + by + end)]


def _verdicts(run: InspectionRun, counts: Confusion) -> list[Notice]:
    scores = {row.score for row in run.rows}
    if len(run.rows) > 1 and len(scores) == 1:
        text = "Every image got the same score, so no threshold can tell them apart. Check images and model."
        return [Notice(level="warn", title="One score for all", text=text)]
    if counts.n >= 10 and counts.ng == counts.n:
        text = "Every image is NG. Check that the images come from the trained product, camera and lighting."
        return [Notice(level="warn", title="Everything is NG", text=text)]
    return []


def _evidence(run: InspectionRun, counts: Confusion) -> list[Notice]:
    out = []
    good, bad = counts.tn + counts.fp, counts.tp + counts.fn
    source = run.thresholds.get("source")
    if source == "train":
        text = (
            "The thresholds come from scores of the training images themselves. Those are optimistic: expect more "
            "false alarms on new parts. Held-out scores are the default of noescape fit."
        )
        out.append(Notice(level="warn", title="Threshold from training scores", text=text))
    n_good = finite(run.thresholds.get("n_good"))
    if n_good is not None and 0 < n_good < _FEW_GOOD_SCORES and source in ("train", "heldout", "tune"):
        text = (
            f"The image threshold is a high percentile of only {count_word(int(n_good), 'good score')}, so one or two "
            f"images decide it. More good images (noescape tune) make it steadier; {_FEW_GOOD_SCORES} is a start."
        )
        out.append(Notice(level="note", title="Few good scores behind the threshold", text=text))
    out += _unusual(run)
    if good or bad:
        out += _sizes(good, bad)
        out += _small_types(run)
    return out


def _unusual(run: InspectionRun) -> list[Notice]:
    """Good images that scored far above the other good ones when held out: the threshold follows them."""
    other = section(run.thresholds, "without_unusual")
    limit, names = finite(other.get("image_threshold")), other.get("images")
    if limit is None or not isinstance(names, list) or not names:
        return []
    groups = section(other, "groups")
    of = f" (all of {_listed(list(groups), 3)} among them)" if groups else ""
    counts, instead = section(run.metrics, "without_unusual"), section(run.metrics, "at_threshold")
    told = [
        f"{events:,.0f} of {count_word(int(n), noun)} {happened} instead of {before:,.0f}"
        for key, noun, happened in _EVENTS
        if (events := finite(section(counts, key).get("events"))) is not None
        and (n := finite(section(counts, key).get("n"))) is not None
        and (before := finite(section(instead, key).get("events"))) is not None
    ]
    judged = f", by which these images have {' and '.join(told)} (drag the line there to see which)" if told else ""
    text = (
        f"{count_word(len(names), 'good training image')}{of} scored far above the rest when held out, and the "
        f"threshold follows them: {_listed([str(name) for name in names], 3)}. The others give {limit:.6g} instead of "
        f"{run.threshold:.6g}{judged}. Look at them; RUN/unusual_good.txt names all."
    )
    again = "noescape fit --config RUN/config.yaml --run-id NEW --leave-out RUN/unusual_good.txt"
    commands = (
        ("Not as good parts should be: fit again without them.", again),
        (
            "Good: fit again with more like them, or have them stopped too.",
            f"noescape tune RUN --image-threshold {limit:.6g}",
        ),
    )
    return [Notice(level="warn", title="A few good images let defects pass", text=text, commands=commands)]


def _sizes(good: int, bad: int) -> list[Notice]:
    parts = []
    for n, what, event in ((good, "good part", "false alarm"), (bad, "defective part", "miss")):
        if n == 0:
            parts.append(f"There are no {what}s, so nothing can be said about {event} rates.")
        elif n < 299:
            least = percent(upper_bound(0, n), "up")
            parts.append(f"{count_word(n, what)}: even without one {event} the rate may be as high as {least}.")
    if not parts:
        return []
    return [Notice(level="note", title="What these numbers can carry", text=" ".join(parts))]


def _small_types(run: InspectionRun) -> list[Notice]:
    sizes: dict[str, int] = {}
    for row in run.rows:
        if row.truth == 1 and row.defect_type:
            sizes[row.defect_type] = sizes.get(row.defect_type, 0) + 1
    few = [
        f"{kind[:40]} ({n})" for kind, n in sorted(sizes.items(), key=lambda kv: (kv[1], kv[0])) if n < _FEW_PER_TYPE
    ]
    if not few:
        return []
    text = (
        f"Fewer than {_FEW_PER_TYPE} examples: {_listed(few)}. A good total can hide that such a type is always missed."
    )
    return [Notice(level="note", title="Rare defect types", text=text)]


def _listed(words: list[str], most: int = 8) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _have(n: int) -> str:
    return "has" if n == 1 else "have"
