"""The inspection report: from a run folder to `report.html`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.files import write_text
from noescape.report.banner import RATES, count_confusion, count_tiles, truth_tiles
from noescape.report.choose import choose_cards, worst_cases
from noescape.report.notices import notices
from noescape.report.page import render_page
from noescape.report.run_folder import ImageRow, InspectionRun, finite_list, load_run, section
from noescape.report.tables import (
    defect_facts,
    drift_table,
    figure_table,
    latency_table,
    recall_table,
    threshold_table,
    threshold_words,
    type_table,
)
from noescape.report.thumbs import Shot, load_shots
from noescape.report.words import decimals_for, number, signed, visible

# Bytes of JPEG: 240 cards of two pictures and 32 larger pairs stay under 6 MB with base64 (4/3) and the texts.
_SMALL_TOTAL, _SMALL_LEAST, _SMALL_MOST = 3_000_000, 6_200, 16_000
_LARGE_CASES, _LARGE_BYTES = 32, 16_000
_MAX_ERRORS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One image of the gallery with its pictures and texts; `index` is its row among the judged images."""

    index: int
    row: ImageRow
    original: Shot
    overlay: Shot
    is_ng: bool
    outcome: str
    score: str
    margin: str


def write_inspection_report(folder: Path, *, image_root: Path, gallery_limit: int = 240) -> Path:
    """Write `folder/report.html`, one self-contained file, and return its path.

    Reads `report.json`, `preds.jsonl` and, if there, `timing.json` of `folder`; original pictures lie under
    `image_root` at each row's `image_path`, overlays under `folder` at `overlay_path`. A picture that is gone,
    broken or outside its folder costs one grey card. At most `gallery_limit` images are shown (all are counted).
    Same folder, same bytes. Raises DataError when the folder is no run folder. Costs two image decodes per card;
    about 5 MB of HTML for 240 cards.
    """
    run = load_run(folder)
    decimals = decimals_for([row.score for row in run.rows] + [run.threshold])
    cards, large = _cards(run, image_root, max(0, gallery_limit), decimals)
    html = render_page("inspection.html", _context(run, cards, decimals), _data(run, cards, large, decimals))
    path = folder / "report.html"
    write_text(path, html)
    return path


def _cards(
    run: InspectionRun, image_root: Path, limit: int, decimals: int
) -> tuple[list[Card], dict[int, list[str | None]]]:
    chosen = choose_cards(run.rows, run.threshold, limit)
    worst = worst_cases(run.rows, chosen, run.threshold, _LARGE_CASES)
    small_bytes = min(_SMALL_MOST, max(_SMALL_LEAST, _SMALL_TOTAL // max(1, 2 * len(chosen))))
    cards: list[Card] = []
    large: dict[int, list[str | None]] = {}
    for index in chosen:
        row = run.rows[index]
        large_bytes = _LARGE_BYTES if index in worst else None
        original = load_shots(image_root, row.name, small_bytes=small_bytes, large_bytes=large_bytes)
        overlay = load_shots(run.folder, row.overlay, small_bytes=small_bytes, large_bytes=large_bytes)
        if index in worst:
            large[index] = [shots.large.uri if shots.large else None for shots in (original, overlay)]
        is_ng = row.score > run.threshold
        cards.append(
            Card(
                index=index,
                row=row,
                original=original.small,
                overlay=overlay.small,
                is_ng=is_ng,
                outcome=_outcome(row.truth, is_ng),
                score=number(row.score, decimals),
                margin=signed(row.score - run.threshold, decimals),
            )
        )
    return cards, large


def _outcome(truth: int | None, is_ng: bool) -> str:
    """The same words as the script uses when the threshold moves."""
    if truth is None:
        return ""
    if truth == 1:
        return "caught" if is_ng else "missed"
    return "false call" if is_ng else "passed"


def _context(run: InspectionRun, cards: list[Card], decimals: int) -> dict[str, Any]:
    counts = count_confusion(run)
    report = run.report
    latency_rows, latency_others = latency_table(run)
    drift_columns, drift_rows = drift_table(run)
    return {
        "model": _text(report.get("model"), "model not stated"),
        "category": _text(report.get("category"), "Inspection"),
        "run_id": _text(report.get("run_id"), "–"),
        "created_at": _text(report.get("created_at"), "–"),
        "digests": [(title, _text(report.get(key), "not stated")) for key, title in _DIGESTS if key in report],
        "threshold": number(run.threshold, decimals),
        "threshold_raw": repr(run.threshold),
        "threshold_words": threshold_words(run),
        "threshold_rows": threshold_table(run, decimals),
        "truth_tiles": truth_tiles(run),
        "count_tiles": count_tiles(run, counts),
        "rates": RATES,
        "counts": counts,
        "has_truth": any(row.truth is not None for row in run.rows),
        "has_both": bool(run.with_truth(0) and run.with_truth(1)),
        "n_unknown": sum(row.truth is None for row in run.rows),
        "training_words": _training_words(run),
        "notices": notices(run, counts),
        "recall_rows": recall_table(run, decimals),
        "type_rows": type_table(run),
        "figures": figure_table(run),
        "cards": cards,
        "n_rows": len(run.rows),
        "n_tried": len(run.rows) + len(run.errors),
        "errors": run.errors[:_MAX_ERRORS],
        "n_errors": len(run.errors),
        "latency_rows": latency_rows,
        "latency_others": latency_others,
        "drift_columns": drift_columns,
        "drift_rows": drift_rows,
        "tune_run": _run_argument(report.get("run_dir")),
        "types": sorted({row.defect_type for row in run.rows if row.truth == 1 and row.defect_type}),
    }


_DIGESTS = (("data_digest", "Data"), ("evaluator_digest", "Evaluator"), ("bundle_digest", "Model"))


def _data(run: InspectionRun, cards: list[Card], large: dict[int, list[str | None]], decimals: int) -> dict[str, Any]:
    """What the script needs: every score with its truth, and the larger pictures and defects of the cards."""
    types = sorted({row.defect_type or "(no type)" for row in run.rows if row.truth == 1})
    place = {name: i for i, name in enumerate(types)}
    band = finite_list(run.thresholds.get("review_band"))
    return {
        "threshold": run.threshold,
        "decimals": decimals,
        "band": band if len(band) == 2 else None,
        "scores": [row.score for row in run.rows],
        "truth": "".join("?" if row.truth is None else str(row.truth) for row in run.rows),
        "types": [visible(name) for name in types],
        "typeOf": [place[row.defect_type or "(no type)"] if row.truth == 1 else -1 for row in run.rows],
        "training": _training_scores(run),
        "tuneRun": _run_argument(run.report.get("run_dir")),
        "large": {str(index): uris for index, uris in large.items()},
        "defects": {str(c.index): defect_facts(c.row.defects, decimals) for c in cards if c.row.defects},
    }


def _training_scores(run: InspectionRun) -> list[float]:
    """Scores of good images from fitting, for the outline: held-out ones where they are given."""
    held_out = finite_list(section(run.report, "training_scores").get("heldout"))
    return held_out or finite_list(run.report.get("good_scores"))


def _training_words(run: InspectionRun) -> str:
    """What the outline in the histogram is; empty without one."""
    if not _training_scores(run):
        return ""
    if run.thresholds.get("source") == "heldout" or section(run.report, "training_scores").get("heldout"):
        return "good images at fitting, held out"
    return "good images behind the threshold"


def _run_argument(run_dir: object) -> str:
    """The run folder as a shell would read it, or the placeholder RUN."""
    if isinstance(run_dir, str) and run_dir and visible(run_dir) == run_dir and not run_dir.startswith("-"):
        return shlex.quote(run_dir)
    return "RUN"


def _text(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise
