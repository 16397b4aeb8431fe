"""Suspected wrong labels: out to people with pictures, back with a name and a date, and from then on in every figure.

    labels.csv    one row per suspect; fill in `decision`, `by`, `on` (YYYY-MM-DD) and, if you like, `note`
    labels.html   the same with pictures, one file, no remote loads

`decision`: keep, PASS, the type that it really is, or drop (leave the row out of everything).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import load_spec
from noescape.deft.assemble import canonical
from noescape.deft.decisions import Decision, read_decisions
from noescape.deft.labels_page import labels_page
from noescape.deft.looks import look
from noescape.deft.places import Images
from noescape.deft.rca import kpi_images_dir
from noescape.deft.scored import Scored, read_scored_csv
from noescape.deft.thumbnails import data_uri
from noescape.deft.verdicts import MISLABELED, judge
from noescape.files import JsonlAppender, read_csv, write_csv, write_text
from noescape.records import DataError, UsageError

CSV, PAGE = "labels.csv", "labels.html"
COLUMNS = ("image", "filepath", "golden", "label", "siamese_score", "weakness", "verdict", "reason",
           "decision", "by", "on", "note")  # fmt: skip
PICTURE_SIDE = 224
FAR_OFF = 20  # of each class: those that the model contradicts most


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The two files, and how many suspects are in them; `decided` were left out as somebody decided on them before."""

    csv: Path
    page: Path
    suspects: int
    decided: int


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The log, and what this import added to it; `undecided` rows had no decision yet."""

    log: Path
    added: tuple[Decision, ...]
    undecided: int
    repeated: int


def export_labels(
    inference_csv: Path,
    train_spec: Path | Spec,
    out: Path,
    *,
    threshold: float = -1.0,
    media_path: str = "",
    workspace: Path | None = None,
    decisions: Path | None = None,
    most: int = FAR_OFF,
) -> Exported:
    """Write the suspects of an inference.csv to `out`: every misclassified or weak sample whose pictures say that its
    label is wrong (see verdicts.py), and of each class the `most` that the model contradicts most.

    Pictures that were decided on are not asked about again. Cost: two decodes per row that is looked at.
    """
    spec = train_spec if isinstance(train_spec, Spec) else load_spec(train_spec)
    images = Images.of(spec.dataset.classify, media_path or kpi_images_dir(spec), workspace)
    scored = read_scored_csv(inference_csv)
    known = read_decisions(decisions) if decisions else {}
    table, shots = _suspects(scored, images, threshold, most, known)
    decided = len({images.key(row) for row in scored.rows} & known.keys())
    write_csv(out / CSV, COLUMNS, [[row.get(name, "") for name in COLUMNS] for row in table])
    write_text(out / PAGE, labels_page([row | shot for row, shot in zip(table, shots, strict=True)], csv=CSV))
    return Exported(csv=out / CSV, page=out / PAGE, suspects=len(table), decided=decided)


def import_labels(csv: Path, log: Path) -> Imported:
    """Append the decisions in a filled `labels.csv` to the log; rows without a decision are counted and left.

    All that is wrong is reported at once and nothing is written then: DataError names rows without a name or a date,
    and decisions that are none. What the log says already is not repeated. The log is only ever appended to.
    """
    problems: list[str] = []
    new: list[Decision] = []
    undecided = 0
    for number, row in enumerate(read_csv(csv), 2):
        if not row.get("decision", "").strip():
            undecided += 1
            continue
        one = _decision(row, f"line {number}", problems)
        new += [one] if one else []
    if problems:
        raise DataError(f"{csv}: nothing was imported; " + "; ".join(problems[:20]))
    known = read_decisions(log)
    added = [one for one in new if known.get(one.image) != one]
    if added:
        with JsonlAppender(log) as appender:
            for one in added:
                appender.append(asdict(one))
    return Imported(log=log, added=tuple(added), undecided=undecided, repeated=len(new) - len(added))


def _decision(row: dict[str, str], where: str, problems: list[str]) -> Decision | None:
    image, label, by = (row.get(name, "").strip() for name in ("image", "label", "by"))
    text, on = row["decision"].strip(), row.get("on", "").strip()
    lacking = [name for name, value in (("image", image), ("label", label), ("by (a name)", by)) if not value]
    problems += [f"{where}: {', '.join(lacking)} missing"] * bool(lacking)
    try:
        good_date = bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", on)) and bool(date.fromisoformat(on))
    except ValueError:
        good_date = False
    if not good_date:
        problems.append(f"{where}: on is {on!r}, expected a date like 2026-01-29")
    if text.lower() in ("ng", "no_pass", "yes", "no"):
        problems.append(f"{where}: decision {text!r}: expected keep, drop, PASS or the type of the defect")
    if lacking or not good_date:
        return None
    decided: str | None = {"keep": label, "drop": None}.get(text.lower(), canonical(text))
    return Decision(image=image, was=label, label=decided, by=by, on=on, note=row.get("note", "").strip())


def _suspects(
    scored: Scored, images: Images, threshold: float, most: int, known: dict[str, Decision]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    if not len(scored.rows):
        raise UsageError("no row has a score: there is nothing to compare labels with")
    cut = scored.best(1.0).threshold if threshold < 0 else threshold
    best_f1 = scored.best(0.0).threshold if threshold < 0 else threshold
    contradiction = [s - best_f1 if not d else best_f1 - s for s, d in zip(scored.scores, scored.defect, strict=True)]
    order = sorted(range(len(scored.rows)), key=lambda i: (-contradiction[i], i))
    looked = [i for i in order if images.key(scored.rows[i]) not in known and contradiction[i] > 0]
    wanted = {i for side in (True, False) for i in [i for i in looked if scored.defect[i] == side][:most]}
    findings = dict(zip(looked, judge(scored.rows, looked, images), strict=True))
    table, shots = [], []
    for i in looked:
        found, row = findings[i], scored.rows[i]
        if found.verdict != MISLABELED and i not in wanted:
            continue
        weakness = scored.scores[i] - cut if not scored.defect[i] else cut - scored.scores[i]
        table.append({
            "image": images.key(row), "filepath": images.names(row)[0], "golden": row.golden_path, "label": row.label,
            "siamese_score": float(scored.scores[i]), "weakness": float(weakness), "verdict": found.verdict,
            "reason": found.reason, "decision": "", "by": "", "on": "", "note": "",
        })  # fmt: skip
        shots.append(_shots(images, scored, i))
    return table, shots


def _shots(images: Images, scored: Scored, place: int) -> dict[str, str]:
    row = scored.rows[place]
    try:
        seen = look(images.input(row), images.golden(row))
    except DataError:
        return {"input_uri": "", "golden_uri": ""}
    uris: Sequence[str] = ["" if rgb is None else data_uri(rgb, PICTURE_SIDE) for rgb in (seen.rgb, seen.golden)]
    return {"input_uri": uris[0], "golden_uri": uris[1]}
