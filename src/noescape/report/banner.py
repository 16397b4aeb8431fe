"""The figures at the top of the page: what the run decided and, where truth is known, how good that was."""

from __future__ import annotations

from dataclasses import dataclass

from noescape.report.run_folder import InspectionRun, finite, finite_list, section
from noescape.report.words import count_word, percent, rate_text

RATES = (
    ("false_alarm_rate", "False alarm rate", "FP / (FP + TN)", "good part", "good parts stopped"),
    ("miss_rate", "Miss rate", "FN / (TP + FN)", "defective part", "defective parts passed"),
    ("escape_rate", "Escape rate", "FN / (TN + FN)", "passed part", "passed parts are defective"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One figure: `value` large, `detail` with its n, `bound` and `claim` in words, `formula` small."""

    title: str
    value: str
    detail: str
    bound: str = ""
    claim: str = ""
    formula: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """Counts at the run's threshold by the rule `score > threshold`; `ng` and `n` are over all images."""

    tp: int
    fp: int
    tn: int
    fn: int
    ng: int
    n: int


def count_confusion(run: InspectionRun) -> Confusion:
    """Count the rows of `run` by truth and verdict."""
    cells = {(truth, ng): 0 for truth in (0, 1, None) for ng in (False, True)}
    for row in run.rows:
        cells[row.truth, row.score > run.threshold] += 1
    return Confusion(
        tp=cells[1, True],
        fp=cells[0, True],
        tn=cells[0, False],
        fn=cells[1, False],
        ng=cells[0, True] + cells[1, True] + cells[None, True],
        n=len(run.rows),
    )


def truth_tiles(run: InspectionRun) -> list[Tile]:
    """The three error rates and the ranking quality, as far as `report.json` holds them."""
    at = section(run.metrics, "at_threshold")
    tiles = []
    for key, title, formula, noun, happened in RATES:
        text = rate_text(section(at, key), noun)
        if text:
            bound = f"With 95% confidence {text.bound}." if text.bound and text.bound != "at most 100%" else ""
            tiles.append(
                Tile(
                    title=title,
                    value=text.value,
                    detail=f"{text.count} {happened}" if text.value != "–" else text.count,
                    bound="" if text.claim else bound,
                    claim=text.claim,
                    formula=formula,
                )
            )
    auroc = finite(run.metrics.get("image_auroc"))
    if auroc is not None:
        bounds = finite_list(run.metrics.get("image_auroc_bounds"))
        n = section(run.metrics, "n")
        good, defect = finite(n.get("good")), finite(n.get("defect"))
        known = good is not None and defect is not None
        tiles.append(
            Tile(
                title="Image AUROC",
                value=f"{auroc:.3f}",
                detail=f"{int(defect or 0):,} defective against {int(good or 0):,} good" if known else "",
                bound=f"With 95% confidence at least {bounds[0]:.3f}." if len(bounds) == 2 else "",
                formula="P(defective scores above good)",
            )
        )
    return tiles


def count_tiles(run: InspectionRun, counts: Confusion) -> list[Tile]:
    """What was decided, with or without truth: NG share, review, unreadable, unusual inputs."""
    judged, tried = len(run.rows), len(run.rows) + len(run.errors)
    review = sum(row.review for row in run.rows)
    flagged = sum(bool(row.flags) for row in run.rows)
    return [
        Tile(
            title="NG",
            value=percent(counts.ng / judged) if judged else "–",
            detail=f"{counts.ng:,} of {count_word(judged, 'judged image')}",
        ),
        Tile(title="For review", value=f"{review:,}", detail=_band(run)),
        Tile(
            title="Without a verdict",
            value=f"{len(run.errors):,}",
            detail=f"of {count_word(tried, 'image')} could not be read",
            tone="warn" if run.errors else "",
        ),
        Tile(
            title="Unusual input",
            value=f"{flagged:,}",
            detail="unlike the training images",
            tone="warn" if flagged else "",
        ),
    ]


def _band(run: InspectionRun) -> str:
    band = finite_list(run.thresholds.get("review_band"))
    return f"score from {band[0]:.4g} to {band[1]:.4g}" if len(band) == 2 else "no review band was set"
