"""Speed: CPU milliseconds per image of both sides, in alternating runs of the same images on one thread."""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

from jobs import OURS, PARITY, Runner, Side, Split, evenly, fit_cpu_s
from noescape.features.runtime import cpu_precision
from tables import middle, table

TRAIN, TEST = 60, 40  # images; a smaller bank than that of a whole data set, which favours the slower search
BASE = "anomalib PatchCore"


def speed(runner: Runner, split: Split, repeats: int) -> tuple[dict[str, Any], str]:
    sides = _our_sides() + (list(runner.peer_sides) if runner.peer else [])
    train, test = evenly(split.train, TRAIN), evenly(split.test, TEST)
    runs: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory(prefix="speed-") as scratch:
        for repeat in range(repeats):
            for side in sides if repeat % 2 == 0 else reversed(sides):
                print(f"  {repeat + 1} of {repeats}: {side.name}", file=sys.stderr, flush=True)
                out = Path(scratch) / f"{side.name}-{repeat}"
                runs[side.name].append(runner.run(side, train, test, out, save_maps=False))
    measured = {name: [_figures(timing) for timing in timings] for name, timings in runs.items()}
    counts = {"train": len(train), "test": len(test), "repeats": repeats}
    return {"n": counts, "runs": measured}, _tables(measured, counts)


def _our_sides() -> list[Side]:
    precisions = ["f32"] + (["bf16"] if cpu_precision("auto") == "bf16" else [])
    sides = [
        dataclasses.replace(
            side,
            name=f"{side.name} {precision}",
            options=side.options | {"precision": precision, "backbone_alone": True},
        )
        for side in OURS
        for precision in precisions
    ]
    return [*sides, dataclasses.replace(PARITY, options=PARITY.options | {"backbone_alone": True})]


def _figures(timing: dict[str, Any]) -> dict[str, float]:
    """What one run says, in a few numbers."""
    embed_s, learn_s = fit_cpu_s(timing)
    out = {
        "model_ms": timing["predict_ms"]["model"]["cpu"]["median"],
        "end_to_end_ms": timing["predict_ms"]["end_to_end"]["cpu"]["median"],
        "embed_s": embed_s,
        "learn_s": learn_s,
        "peak_mb": timing["maxrss_mb"],
    }
    if alone := timing.get("alone"):
        model = alone["model"]["cpu_ms"]
        out |= {f"{name}_ms": value["cpu_ms"] for name, value in alone.items() if name != "model"}
        out |= {f"over_{name}": model / value["cpu_ms"] for name, value in alone.items() if name != "model"}
    return out


def _tables(runs: dict[str, list[dict[str, float]]], counts: dict[str, int]) -> str:
    def cells(name: str, key: str, digits: int = 2) -> str:
        values = [run[key] for run in runs[name] if key in run]
        return middle(values, digits) if values else "–"

    def faster(name: str, key: str) -> str:
        if BASE not in runs or name == BASE:
            return "–"
        return middle([b[key] / a[key] for a, b in zip(runs[name], runs[BASE])])

    rows = [
        [
            name,
            cells(name, "model_ms"),
            faster(name, "model_ms"),
            cells(name, "end_to_end_ms"),
            faster(name, "end_to_end_ms"),
            cells(name, "over_backbone"),
            cells(name, "over_backbone_zero_border"),
        ]
        for name in runs
    ]
    header = [
        "model",
        "model CPU ms/image",
        f"{BASE} takes … times as long",
        "end to end CPU ms/image",
        "… times as long",
        "over its backbone alone",
        "over the backbone with zero borders",
    ]
    costs = [[name, *(cells(name, key, 1) for key in ("embed_s", "learn_s", "peak_mb"))] for name in runs]
    return (
        f"Median (lowest–highest) over {counts['repeats']} alternating runs, each the median of {counts['test']} test "
        f"images after learning from {counts['train']}; one thread; ratios run by run.\n\n"
        + table(header, rows)
        + "\n"
        + table(["model", "embed, CPU s", "learn, CPU s", "peak memory of the process, MiB"], costs)
    )
