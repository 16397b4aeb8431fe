"""How well photos are laid on renders: drawn boards in two appearances, known poses, photos of other boards.

    python benchmarks/align.py [--only accuracy,gate,turns,fails,itk] [--pairs 48] [--others 96] [--json FILE]

accuracy   2,048 x 2,048; rotation up to 5 degrees, scale up to 5 %, scales apart up to 2 %, shift up to 60 px; the
           photo has other tones, a tenth of the parts gone or changed (harder ones: 30 %, more blur and noise; or
           strong uneven light and gloss), shadows on one side. Error: mean and largest over 9 x 9 places, photo pixels.
gate       768 x 768; the same, and photos of other boards drawn by the same rules: both figures of `peak`.
turns      quarter turns, mirrored photos, photos of other sizes and shapes.
fails      less and less to see: parts, tracks, half of the picture empty, blur, changed parts.
itk        SimpleITK's similarity by Mattes mutual information beside ours, where it is installed, on pairs of its own
           model (no separate scales).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import cv2
import numpy as np

from drawn_boards import Drawn, Rgb, Shot, any_pose, draw, error_px, flat, photograph
from noescape.board.align.config import AlignConfig
from noescape.board.align.lineup import Found, line_up
from noescape.imaging.warp import Pose

KINDS = {
    "usual": Shot(),
    "worn": Shot(blur=4, noise=20, gone=0.3),
    "lit": Shot(light=0.9, blobs=40),
}
PARTS = (60, 30, 100, 15)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One pair: a render, a photo, and the truth (None: another board)."""

    name: str
    render: Rgb
    photo: Rgb
    truth: Pose | None


def cases(count: int, height: int, *, others: int = 0) -> Iterator[Case]:
    """True pairs, or with `others` that many photos of boards of other seeds."""
    for seed in range(others or count):
        rng = np.random.default_rng([seed, 9])
        name, shot = list(KINDS.items())[seed % len(KINDS)]
        board = draw(seed, parts=PARTS[seed % len(PARTS)])
        pose = any_pose(rng, height)
        shown = draw(seed + 5000, parts=PARTS[(seed // 3) % len(PARTS)]) if others else board
        photo = photograph(shown, height, pose, (height, height), seed=seed, shot=shot)
        yield Case(name=name, render=flat(board, height), photo=photo, truth=None if others else pose)


def lined_up(case: Case, config: AlignConfig | None = None) -> tuple[Found, float]:
    start = time.process_time()
    found = line_up(case.render, case.photo, config or AlignConfig())
    return found, time.process_time() - start


def row(case: Case, found: Found, cpu_s: float) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": case.name, "cpu_s": cpu_s, "mi": found.mi_after, "taken": found.peak.stands_out}
    told |= {"sharpness": found.peak.sharpness, "agreement": found.peak.agreement, "windows": found.peak.windows}
    if case.truth is not None:
        mean, most = error_px(found.placed.pose, case.truth, case.render.shape[:2], case.photo.shape[:2])
        told |= {"mean_px": mean, "max_px": most}
    return told


def accuracy(count: int) -> list[dict[str, Any]]:
    return [row(case, *lined_up(case)) for case in cases(count, 2048)]


def gate(count: int, others: int) -> dict[str, list[dict[str, Any]]]:
    return {
        "true": [row(case, *lined_up(case)) for case in cases(count, 768)],
        "other": [row(case, *lined_up(case)) for case in cases(0, 768, others=others)],
    }


def turns(count: int) -> list[dict[str, Any]]:
    """Each of `count` boards turned three ways, in three other sizes, and mirrored."""
    out = []
    for seed in range(count):
        board, rng = draw(seed, wide=4 / 3), np.random.default_rng([seed, 10])
        render = flat(board, 768)
        pose = any_pose(rng, 768)
        for quarter in (1, 2, 3):
            turned = replace(pose, rotation=pose.rotation + quarter * math.pi / 2)
            size = (768, 1024) if quarter == 2 else (1024, 768)
            case = Case(
                name=f"turned {90 * quarter}", render=render, truth=turned,
                photo=photograph(board, 768, turned, size, seed=seed),
            )  # fmt: skip
            out.append(row(case, *lined_up(case)))
        for scale, shape in ((2.0, (1536, 2048)), (0.6, (461, 614)), (1.0, (768, 768))):
            other = replace(pose, sx=pose.sx * scale, sy=pose.sy * scale, tx=pose.tx * scale, ty=pose.ty * scale)
            photo = photograph(board, 768, other, shape, seed=seed)
            case = Case(name=f"photo {shape[1]} x {shape[0]}", render=render, photo=photo, truth=other)
            out.append(row(case, *lined_up(case)))
        mirrored = np.ascontiguousarray(photograph(board, 768, pose, (768, 1024), seed=seed)[:, ::-1])
        found, cpu_s = lined_up(Case(name="mirrored", render=render, photo=mirrored, truth=None))
        out.append({"kind": "mirrored", "cpu_s": cpu_s, "taken": found.peak.stands_out, "named": found.mirrored})
    return out


def fails(count: int) -> list[dict[str, Any]]:
    """Each row: a condition, how many of `count` were taken and right, taken and wrong, refused."""

    def bare(parts: int, tracks: int) -> Drawn:
        return draw(seed, parts=parts, tracks=tracks)

    conditions: dict[str, Any] = {
        "8 parts, 8 tracks": (lambda: bare(8, 8), Shot()),
        "4 parts, 4 tracks": (lambda: bare(4, 4), Shot()),
        "2 parts, no track": (lambda: bare(2, 0), Shot()),
        "nothing but board": (lambda: bare(0, 0), Shot()),
        "half empty": (lambda: draw(seed, filled=0.5), Shot()),
        "three quarters empty": (lambda: draw(seed, filled=0.25), Shot()),
        "60 % of the parts gone or changed": (lambda: draw(seed), Shot(gone=0.6)),
        "all parts gone or changed": (lambda: draw(seed), Shot(gone=1.0)),
        "blur 10 px at 2,048": (lambda: draw(seed), Shot(blur=10)),
        "blur 20 px at 2,048": (lambda: draw(seed), Shot(blur=20)),
        "noise 60": (lambda: draw(seed), Shot(noise=60)),
    }
    out = []
    for name, (make, shot) in conditions.items():
        rows = []
        for seed in range(count):
            rng = np.random.default_rng([seed, 11])
            board, pose = make(), any_pose(rng, 768)
            photo = photograph(board, 768, pose, (768, 768), seed=seed, shot=shot)
            case = Case(name=name, render=flat(board, 768), photo=photo, truth=pose)
            rows.append(row(case, *lined_up(case)))
        right = [r for r in rows if r["taken"] and r["mean_px"] < 1]
        out.append(
            {
                "kind": name, "n": count, "taken_right": len(right),
                "taken_wrong": sum(r["taken"] and r["mean_px"] >= 1 for r in rows),
                "refused": sum(not r["taken"] for r in rows),
                "refused_though_right": sum(not r["taken"] and r["mean_px"] < 1 for r in rows),
                "mean_px": statistics.mean(r["mean_px"] for r in right) if right else None,
            }
        )  # fmt: skip
    return out


def itk(count: int) -> list[dict[str, Any]]:
    """Similarity truths only: SimpleITK has no model with separate scales and no shear."""
    import SimpleITK as sitk  # noqa: N813  (its own name for itself)

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    out = []
    for seed in range(count):
        rng = np.random.default_rng([seed, 12])
        board, pose = draw(seed), any_pose(rng, 2048, apart=0)
        case = Case(
            name="itk", render=flat(board, 2048), truth=pose,
            photo=photograph(board, 2048, pose, (2048, 2048), seed=seed),
        )  # fmt: skip
        greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float32) for one in (case.render, case.photo)]
        start = time.process_time()
        t = _mattes(sitk, *greys)
        cpu_s = time.process_time() - start
        y, x = np.mgrid[0:2047:9j, 0:2047:9j]
        at = np.stack([x.ravel(), y.ravel()], axis=-1)
        m = pose.matrix((2048, 2048), (2048, 2048))
        off = np.linalg.norm([t.TransformPoint(p) for p in at.tolist()] - (at @ m[:, :2].T + m[:, 2]), axis=1)
        ours = row(case, *lined_up(case))
        out.append({"itk_mean_px": float(off.mean()), "itk_max_px": float(off.max()), "itk_cpu_s": cpu_s, **ours})
    return out


def _mattes(sitk: Any, render: Any, photo: Any) -> Any:
    """The settings that were the best of those tried: 5 % of the pixels, levels 8-4-2-1, no pose to start from."""
    fixed, moving = sitk.GetImageFromArray(render), sitk.GetImageFromArray(photo)
    t = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Similarity2DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    r = sitk.ImageRegistrationMethod()
    r.SetMetricAsMattesMutualInformation(50)
    r.SetMetricSamplingStrategy(r.RANDOM)
    r.SetMetricSamplingPercentage(0.05, seed=1)
    r.SetInterpolator(sitk.sitkLinear)
    r.SetOptimizerAsRegularStepGradientDescent(4.0, 1e-4, 200, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-8)
    r.SetOptimizerScalesFromPhysicalShift()
    r.SetInitialTransform(t, inPlace=True)
    r.SetShrinkFactorsPerLevel((8, 4, 2, 1))
    r.SetSmoothingSigmasPerLevel((4, 2, 1, 0))
    r.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    r.Execute(fixed, moving)
    return t


def auc(true: list[float], other: list[float]) -> float:
    wins = [(a > b) + 0.5 * (a == b) for a in true for b in other]
    return statistics.mean(wins)


def told_accuracy(rows: list[dict[str, Any]]) -> None:
    for kind in (*KINDS, "all"):
        some = [r for r in rows if kind in (r["kind"], "all")]
        taken = [r for r in some if r["taken"]]
        if not taken:
            continue
        mean, cpu_s, mi = ([r[key] for r in taken] for key in ("mean_px", "cpu_s", "mi"))
        print(
            f"{kind:6} n={len(some)} taken={len(taken)} wrong={sum(m >= 1 for m in mean)} "
            f"mean px {statistics.mean(mean):.3f} (largest of means {max(mean):.3f}, largest of all "
            f"{max(r['max_px'] for r in taken):.3f}), CPU-s median {statistics.median(cpu_s):.1f} "
            f"max {max(cpu_s):.1f}, mutual information {min(mi):.2f}..{max(mi):.2f}",
            flush=True,
        )


def told_gate(pairs: dict[str, list[dict[str, Any]]]) -> None:
    for key in ("sharpness", "agreement", "mi"):
        true, other = ([r[key] for r in pairs[side] if not math.isnan(r[key])] for side in ("true", "other"))
        low, high = np.quantile(true, [0, 0.05]), np.quantile(other, [0.95, 1])
        print(
            f"{key}: true least {low[0]:.3f}, 5 % {low[1]:.3f}; other 95 % {high[0]:.3f}, most {high[1]:.3f}; "
            f"AUROC {auc(true, other):.4f} (n = {len(true)}, {len(other)})"
        )
    for side, rows in pairs.items():
        cpu_s = statistics.median(r["cpu_s"] for r in rows)
        print(f"{side}: taken {sum(r['taken'] for r in rows)} of {len(rows)}, CPU-s median {cpu_s:.1f}", flush=True)


def told_rows(rows: list[dict[str, Any]]) -> None:
    for entry in rows:
        print({key: round(v, 3) if isinstance(v, float) else v for key, v in entry.items()}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="accuracy,gate,turns,fails,itk")
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--others", type=int, default=96)
    parser.add_argument("--each", type=int, default=6, help="boards a condition of turns, fails and itk")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    result: dict[str, Any] = {}
    parts: dict[str, Any] = {
        "accuracy": (lambda: accuracy(args.pairs), told_accuracy),
        "gate": (lambda: gate(args.pairs, args.others), told_gate),
        "turns": (lambda: turns(args.each), told_rows),
        "fails": (lambda: fails(args.each), told_rows),
        "itk": (lambda: itk(args.each), told_rows),
    }
    for name in args.only.split(","):
        measure, tell = parts[name]
        result[name] = measure()
        tell(result[name])
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
