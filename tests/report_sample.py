"""Small made-up inspection runs for the report tests: brushed-metal textures with drawn scratches, stains and pits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from noescape.files import write_bytes, write_json, write_jsonl
from noescape.imaging import find_defects, heat_overlay, jpeg_bytes, png_bytes
from noescape.metrics import evaluate_images

PIXEL_THRESHOLD = 9.0
TYPES = ("scratch", "stain", "pit", "edge chip")

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>.png',
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "a\u202egnp.exe",
    "x" * 300 + ".png",
    "🧲 检测/صورة.png",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "' onmouseover='alert(1)",
    "\ud800\x00\n\u2028.png",
)


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A brushed grey surface with a soft light gradient, RGB uint8."""
    streaks = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), sigmaX=9, sigmaY=0.7)
    light = np.linspace(-14, 14, width, dtype=np.float32)[None] + np.linspace(8, -8, height, dtype=np.float32)[:, None]
    grey = 148 + 70 * streaks + light + rng.normal(0, 2, (height, width))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def add_defect(rng: np.random.Generator, rgb: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Draw one defect into `rgb`; return its float32 footprint 0..1."""
    height, width = rgb.shape[:2]
    footprint = np.zeros((height, width), np.float32)
    x, y = int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.2, 0.8) * height)
    if kind == "scratch":
        end = (int(x + rng.uniform(-0.4, 0.4) * width), int(y + rng.uniform(-0.3, 0.3) * height))
        cv2.line(footprint, (x, y), end, 1.0, max(1, width // 90), cv2.LINE_AA)
    elif kind == "edge chip":
        cv2.circle(footprint, (width - 1, y), max(4, width // 12), 1.0, -1, cv2.LINE_AA)
    else:
        axes = (width // 9, height // 12) if kind == "stain" else (max(2, width // 40), max(2, width // 40))
        cv2.ellipse(footprint, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(footprint, (0, 0), 0.6 if kind != "stain" else 4)
    rgb[:] = np.clip(rgb - (95 * strength * soft)[:, :, None], 0, 255).astype(np.uint8)
    return footprint


def anomaly_map(
    rng: np.random.Generator, footprint: np.ndarray | None, level: float, size: tuple[int, int]
) -> np.ndarray:
    """A smooth map whose largest value is `level`, at the defect if there is one."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 9)
    noise = 4 + 2 * noise / max(float(np.abs(noise).max()), 1e-6)
    if footprint is not None:
        bump = cv2.GaussianBlur(footprint, (0, 0), 5)
        noise = np.maximum(noise, 4 + (level - 4) * np.sqrt(bump / max(float(bump.max()), 1e-6)))
    return (noise + (level - float(noise.max()))).astype(np.float32)


def metrics_of(rows: list[dict[str, Any]], threshold: float) -> dict[str, Any] | None:
    """The figures of a run, in the shape that report.json carries; the pixel ones are made up."""
    judged = [r for r in rows if r.get("gt_label") is not None]
    if {r["gt_label"] for r in judged} != {0, 1}:
        return None
    types = [r["gt_type"] or "" for r in judged]
    pixel = {"pixel_auroc": 0.962, "pixel_ap": 0.481, "pixel_aupro": 0.887}
    best = {"f1": 0.52, "threshold": PIXEL_THRESHOLD, "precision": 0.5, "recall": 0.54}
    return (
        evaluate_images([r["gt_label"] for r in judged], [r["pred_score"] for r in judged], types, threshold)
        | pixel
        | {"pixel_best_f1": best}
    )


def make_row(name: str, score: float, threshold: float, **fields: Any) -> dict[str, Any]:
    """One row of preds.jsonl without pictures."""
    return {
        "image_path": name,
        "model": "patchcore",
        "category": "plate",
        "image_size": [64, 64],
        "gt_label": None,
        "gt_type": None,
        "pred_score": score,
        "image_threshold": threshold,
        "pixel_threshold": PIXEL_THRESHOLD,
        "label": "NG" if score > threshold else "OK",
        "is_anomaly": score > threshold,
        "review": False,
        "num_defects": 0,
        "total_defect_area": 0,
        "defects": [],
        "mask_path": None,
        "overlay_path": None,
        "flags": [],
    } | fields


def write_run(folder: Path, rows: list[dict[str, Any]], *, threshold: float, **fields: Any) -> Path:
    """Write report.json and preds.jsonl for `rows`; `fields` replace or add fields of report.json."""
    judged = [r for r in rows if not r.get("error")]
    ng = sum(r["is_anomaly"] for r in judged)
    report = {
        "model": "patchcore",
        "category": "brushed plate",
        "run_id": "line2-week35",
        "thresholds": {
            "image_threshold": threshold,
            "pixel_threshold": PIXEL_THRESHOLD,
            "image_threshold_train": threshold - 1.1,
            "image_threshold_heldout": threshold,
            "pixel_threshold_train": PIXEL_THRESHOLD - 0.8,
            "pixel_threshold_heldout": PIXEL_THRESHOLD,
            "source": "heldout",
            "review_band": [threshold - 0.6, threshold + 0.6],
            "n_good": 160,
        },
        "num_images": len(rows),
        "num_ng": ng,
        "ng_rate": ng / len(judged) if judged else None,
        "num_review": sum(r["review"] for r in judged),
        "num_errors": len(rows) - len(judged),
        "num_flagged": sum(bool(r["flags"]) for r in judged),
        "created_at": "2026-01-29T15:00:00Z",
        "drift": None,
        "data_digest": "5f2b7c0e" * 8,
        "evaluator_digest": "91d04ac3" * 8,
        "metrics": metrics_of(judged, threshold),
    } | fields
    write_json(folder / "report.json", report)
    write_jsonl(folder / "preds.jsonl", rows)
    return folder


def make_run(
    root: Path, *, good: int, bad: int, threshold: float = 12.02, seed: int = 7, side: int = 96, labelled: bool = True
) -> tuple[Path, Path]:
    """A run folder and its image root with `good` + `bad` pictures, overlays, an unreadable image and timing."""
    rng = np.random.default_rng(seed)
    folder, images = root / "run", root / "images"
    rows: list[dict[str, Any]] = []
    for i in range(good + bad):
        kind = None if i < good else TYPES[int(rng.choice(len(TYPES), p=(0.45, 0.3, 0.2, 0.05)))]
        height, width = side, side * 4 // 3 if i % 9 == 0 else side
        rgb = texture(rng, height, width)
        level = float(rng.gamma(30, 0.28)) if kind is None else float(rng.gamma(9, 2.4))
        footprint = None if kind is None else add_defect(rng, rgb, kind, float(np.clip((level - 6) / 14, 0.08, 1)))
        values = anomaly_map(rng, footprint, level, (height, width))
        score = float(values.max())
        mask, defects = find_defects(values, PIXEL_THRESHOLD, min_area=4)
        name = f"{kind or 'good'}/{i:04d}.png"
        write_bytes(images / name, png_bytes(rgb))
        overlay = f"overlays/{name.replace('/', '_').removesuffix('.png')}.jpg"
        write_bytes(folder / overlay, jpeg_bytes(heat_overlay(rgb, values, (PIXEL_THRESHOLD * 0.8, 26.0), mask)))
        rows.append(
            make_row(
                name,
                score,
                threshold,
                image_size=[height, width],
                gt_label=(None if not labelled else int(kind is not None)),
                gt_type=(kind or "good") if labelled else None,
                review=abs(score - threshold) <= 0.6,
                num_defects=len(defects),
                total_defect_area=int(sum(d.area for d in defects)),
                defects=[
                    {
                        "component_id": d.component_id,
                        "area": d.area,
                        "bbox": list(d.bbox),
                        "centroid": list(d.centroid),
                        "max_anomaly_value": d.max_anomaly_value,
                        "mean_anomaly_value": d.mean_anomaly_value,
                    }
                    for d in defects
                ],
                overlay_path=overlay,
                flags=["brightness"] if i % 61 == 3 else [],
            )
        )
    broken = {"code": "truncated", "reason": "cannot be decoded (image file is truncated)"}
    rows.append({"image_path": "good/torn file.png", "label": None, "error": broken})
    held_out = [float(v) for v in rng.gamma(30, 0.28, 160)]
    drift = {
        "score": 0.31,
        "verdict": "brightness is lower than in training; scores may rise",
        "per_measure": {
            "brightness": {"training": 148.2, "now": 139.5, "shift": -0.8},
            "contrast": {"training": 31.0, "now": 30.2, "shift": -0.1},
            "sharpness": {"training": 212.0, "now": 214.0, "shift": 0.1},
        },
    }
    write_run(folder, rows, threshold=threshold, drift=drift, training_scores={"heldout": held_out})
    latency = {"p50": 8.42, "p95": 10.9, "p99": 14.7, "n": len(rows)}
    timing = {"latency_ms": latency, "decode_ms": {"p50": 2.1, "p95": 3.0, "p99": 4.4, "n": len(rows)}}
    write_json(folder / "timing.json", timing | {"images_per_second": 104.6})
    return folder, images


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The judged rows of a run folder, in file order."""
    rows = [json.loads(line) for line in (folder / "preds.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if not row.get("error")]


def hostile_run(folder: Path) -> Path:
    """A run whose every text from outside attacks the page."""
    rows = []
    for i, name in enumerate(HOSTILE):
        fields = {"gt_label": i % 2, "gt_type": name, "flags": [name], "overlay_path": name}
        defect = {"component_id": name, "area": 5, "bbox": [0, 0, 3, 3], "max_anomaly_value": 2.0}
        rows.append(make_row(name, 1.0 + i, 4.0, defects=[defect], **fields))
    rows += [{"image_path": name, "label": None, "error": {"code": name, "reason": name}} for name in HOSTILE]
    bad = HOSTILE[2]
    drift = {"score": 1.0, "verdict": bad, "per_measure": {bad: {bad: bad}}}
    texts = dict.fromkeys(("model", "category", "run_id", "created_at", "data_digest", "run_dir"), bad)
    # Lone surrogates cannot be written as UTF-8, only as JSON escapes.
    folder.mkdir(parents=True, exist_ok=True)
    write_run(folder, [make_row("placeholder", 1.0, 4.0)], threshold=4.0, drift=drift, **texts)
    (folder / "preds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_json(folder / "timing.json", {bad: bad, "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "n": 9}})
    return folder
