"""Root cause analysis: which KPI samples the model gets wrong or nearly wrong, at which threshold, and why.

    kpi_gaps.parquet            filepath, label, siamese_score, weakness: the weakest samples of each label, per light
    threshold.txt               the threshold, one number; only where it was searched for
    metrics.json                counts and rates at the threshold, weakness per label
    weak_samples_breakdown.txt  how many of each label are kept, wrong, marginal
    unreachable_kpi.txt         only where no threshold on these scores meets the target
    verdicts.csv, thumbnails/   why each kept sample is weak (see verdicts.py); 128 x 128 pictures of the spot check

weakness: score - threshold for PASS, threshold - score for defects; over 0 is wrong. NO_PASS iff score > threshold, so
a defect at the very threshold is missed at weakness 0.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noescape.changenet.kpi import Point
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import load_spec
from noescape.deft.gate import gate
from noescape.deft.hardstop import HardStop
from noescape.deft.parquet import NUMBER, TEXT, write_parquet
from noescape.deft.places import Images
from noescape.deft.rca_text import breakdown, metrics, unreachable
from noescape.deft.scored import Scored, read_scored_csv
from noescape.deft.target import DEFAULT_TARGET, Target, parse_target
from noescape.deft.thumbnails import write_thumbnail
from noescape.deft.verdicts import Finding, judge
from noescape.files import safe_name, write_csv, write_json, write_text
from noescape.records import UsageError

GAPS = "kpi_gaps.parquet"
GAP_TYPES = {"filepath": TEXT, "label": TEXT, "siamese_score": NUMBER, "weakness": NUMBER}
SPOT = 5  # of each class
VERDICT_COLUMNS = (
    "filepath", "golden", "label", "object_name", "siamese_score", "weakness", "misclassified", "verdict", "reason",
    "thumbnail", "golden_thumbnail",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rca:
    """`samples` weak ones of `target_labels` (capitals) in `kpi_gaps`; `point` holds the counts at `threshold`.

    `reachable`: some threshold on these scores meets the target. `verdicts` counts samples by verdict.
    """

    out: Path
    kpi_gaps: Path
    threshold: float
    swept: bool
    point: Point
    target_labels: tuple[str, ...]
    samples: int
    misclassified: int
    reachable: bool
    verdicts: dict[str, int]
    unscored: int
    decisions: str


def rca(
    inference_csv: Path,
    train_spec: Path | Spec,
    out: Path,
    *,
    threshold: float = -1.0,
    min_recall: float = 1.0,
    top_k: int = 50,
    media_path: str = "",
    workspace: Path | None = None,
    target: Target | None = None,
    decisions: Path | None = None,
) -> Rca:
    """Analyse `inference_csv` and write the files above to `out`.

    A negative `threshold` is searched for: highest F1 at a recall of at least `min_recall`. `media_path` is where the
    CSV's paths start (default: the spec's images_dir for inference, test or validation). `target` is what
    unreachable_kpi.txt is about. HardStop reference_missing without CSV or spec. Cost: two decodes per kept sample.
    """
    _checked(threshold, min_recall, top_k)
    spec = train_spec if isinstance(train_spec, Spec) else load_spec(existing(train_spec, "the training spec"))
    images = Images.of(spec.dataset.classify, media_path or kpi_images_dir(spec), workspace)
    scored = read_scored_csv(existing(inference_csv, "the inference CSV"), decisions=decisions, images=images)
    swept = threshold < 0
    point = scored.best(min_recall) if swept else scored.at(threshold)
    weakness = np.where(scored.defect, point.threshold - scored.scores, scored.scores - point.threshold)
    kept = weakest(scored, weakness, top_k)
    findings = judge(scored.rows, kept, images)
    wanted = target or parse_target(DEFAULT_TARGET)
    best = scored.best(wanted.recall)
    reachable = gate(best, wanted).met
    shutil.rmtree(out / "thumbnails", ignore_errors=True)
    _write_gaps(out / GAPS, scored, kept, weakness, images)
    _write_verdicts(out, scored, kept, weakness, point, findings, images)
    if swept:
        write_text(out / "threshold.txt", f"{point.threshold!r}\n")
    write_json(out / "metrics.json", metrics(scored, weakness, point))
    write_text(out / "weak_samples_breakdown.txt", breakdown(scored, weakness, point, kept, top_k))
    (out / "unreachable_kpi.txt").unlink(missing_ok=True)
    if not reachable:
        write_text(out / "unreachable_kpi.txt", unreachable(scored, best, wanted))
    labels = scored.kinds()
    return Rca(
        out=out,
        kpi_gaps=out / GAPS,
        threshold=point.threshold,
        swept=swept,
        point=point,
        target_labels=tuple(sorted({labels[i] for i in kept})),
        samples=len(kept),
        misclassified=sum(wrong(scored, point, i) for i in kept),
        reachable=reachable,
        verdicts=dict(sorted(Counter(f.verdict for f in findings).items())),
        unscored=len(scored.lost),
        decisions=scored.fixed.said if scored.fixed else "",
    )


def weakest(scored: Scored, weakness: Any, top_k: int) -> list[int]:
    """Of each label the `top_k` rows with the highest weakness, labels in order, ties in the order of the file."""
    kinds = np.array(scored.kinds())
    out: list[int] = []
    for kind in sorted(set(kinds.tolist())):
        own = np.flatnonzero(kinds == kind)
        out += [int(i) for i in own[np.argsort(-weakness[own], kind="stable")][:top_k]]
    return out


def wrong(scored: Scored, point: Point, place: int) -> bool:
    """Whether the threshold gives this row the wrong class."""
    return bool((scored.scores[place] > point.threshold) != scored.defect[place])


def existing(path: Path, what: str) -> Path:
    """`path`, or HardStop reference_missing where there is no such file."""
    if not path.is_file():
        raise HardStop("reference_missing", f"{path}: {what} is not there")
    return path


def kpi_images_dir(spec: Spec) -> str:
    """Where the paths of KPI rows start by the spec."""
    data = spec.dataset.classify
    for part in (data.infer_dataset, data.test_dataset, data.validation_dataset):
        if part.images_dir:
            return part.images_dir
    raise UsageError(
        "the spec names no images_dir for infer_dataset, test_dataset or validation_dataset; give the folder"
    )


def _checked(threshold: float, min_recall: float, top_k: int) -> None:
    if not np.isfinite(threshold):
        raise UsageError(f"threshold: expected a number (negative: search for it), got {threshold}")
    if not 0 < min_recall <= 1:
        raise UsageError(f"min_recall: expected a share over 0 and at most 1, got {min_recall}")
    if top_k < 1:
        raise UsageError(f"top_k: expected at least 1, got {top_k}")


def _write_gaps(path: Path, scored: Scored, kept: list[int], weakness: Any, images: Images) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in GAP_TYPES}
    labels = scored.kinds()
    for place in kept:
        for name in images.names(scored.rows[place]):
            columns["filepath"].append(name)
            columns["label"].append(labels[place])
            columns["siamese_score"].append(float(scored.scores[place]))
            columns["weakness"].append(float(weakness[place]))
    write_parquet(path, columns, GAP_TYPES)


def _write_verdicts(
    out: Path, scored: Scored, kept: list[int], weakness: Any, point: Point, findings: list[Finding], images: Images
) -> None:
    order = sorted(range(len(kept)), key=lambda k: (-weakness[kept[k]], kept[k]))
    spots = {k for side in (True, False) for k in [k for k in order if scored.defect[kept[k]] == side][:SPOT]}
    table = []
    for number, k in enumerate(order, 1):
        row, place, seen = scored.rows[kept[k]], kept[k], findings[k].look
        stem = f"{number:03d}_{safe_name(row.label)}_{safe_name(row.object_name)}"
        pictures = [seen.rgb, seen.golden] if seen and k in spots else [None, None]
        thumbs = [
            write_thumbnail(out / "thumbnails" / f"{stem}_{side}.jpg", rgb)
            for side, rgb in zip(("input", "golden"), pictures, strict=True)
        ]
        table.append((
            images.names(row)[0], row.golden_path, row.label.strip().upper(), row.object_name,
            float(scored.scores[place]), float(weakness[place]), int(wrong(scored, point, place)),
            findings[k].verdict, findings[k].reason, *thumbs,
        ))  # fmt: skip
    write_csv(out / "verdicts.csv", VERDICT_COLUMNS, table)
