"""Tiny workspaces, and stand-in stages that behave like the real ones: files in, files out, the same every time."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.best import write_best
from noescape.deft.hardstop import HardStop
from noescape.deft.loop import Loop
from noescape.deft.loop_settings import Settings, first_state
from noescape.deft.loop_stages import Fields, Setting, Stages
from noescape.deft.state import write_state
from noescape.deft.workspace import Run, Workspace
from noescape.files import write_csv, write_text

FARS = {"baseline": 9.0, "iter1": 6.34, "iter2": 3.11, "iter3": 1.5}
SPEC = """\
task: classify
train: {num_epochs: 2, classify: {loss: ce}}
model: {classify: {difference_module: learnable}}
dataset: {classify: {num_input: 1, image_ext: .png, image_width: 32, image_height: 32, workers: 1}}
noescape: {registration: none}
"""


def picture(seed: int, size: int = 32) -> np.ndarray[Any, Any]:
    """A picture like no other: blobs of its own seed."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 255, (8, 8, 3), np.uint8)
    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_CUBIC)


def defective(rgb: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """The same with a dark or light square in it."""
    out = rgb.copy()
    rng = np.random.default_rng(seed)
    y, x = (int(v) for v in rng.integers(2, rgb.shape[0] - 14, 2))
    out[y : y + 12, x : x + 12] = 0 if out[y : y + 12, x : x + 12].mean() > 127 else 255
    return out


def save(path: Path, rgb: np.ndarray[Any, Any]) -> None:
    """As PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[:, :, ::-1])


def boards(folder: Path, *, count: int = 6, good: int = 4, kinds: Sequence[str] = ("bridge", "missing")) -> Path:
    """Folders of pictures as `deft init --from folders` reads them: `count` boards with PASS and defective parts.

    A defect of the kind `faint` cannot be seen.
    """
    for b in range(count):
        home = folder / f"board {b}"
        for n in range(good + len(kinds)):
            seed = 1000 * b + n
            rgb = picture(seed)
            save(home / "golden" / f"C{n}.png", rgb)
            noisy = np.clip(rgb.astype(int) + np.random.default_rng(seed + 7).integers(-6, 7, rgb.shape), 0, 255)
            label = "PASS" if n < good else kinds[n - good]
            seen = noisy.astype(np.uint8)
            shown = seen if label in ("PASS", "faint") else defective(seen, seed)
            save(home / label / f"C{n}.png", shown)
    return folder


def bare_workspace(root: Path) -> Workspace:
    """CSVs and a spec without pictures: enough for stand-ins."""
    for name in ("train/base/training_set.csv", "train/base/validation_set.csv", "kpi/testing_set.csv",
                 "augmentation/mining_pool/mining_pool.csv"):  # fmt: skip
        rows = [("a", "g", label, f"{label}{n}", *[""] * 10) for n in range(2) for label in ("PASS", "bridge")]
        write_csv(root / name, COLUMNS, rows)
    (root / "kpi/images").mkdir(parents=True, exist_ok=True)
    write_text(root / "specs/baseline_spec.yaml", SPEC)
    return Workspace.open(root)


def new_run(workspace: Workspace, *, name: str = "run_20260129_150000", **given: Any) -> Run:
    """A run with its first state."""
    run = Run(folder=workspace.root / "results" / name, stamp=name.removeprefix("run_"))
    settings = Settings(**given)
    write_state(run.state, first_state(workspace, run, settings, workspace.spec(settings.spec_overrides(workspace))))
    return run


def standins(
    fars: Mapping[str, float] = FARS,
    *,
    hard: tuple[str, str] | None = None,
    fail: dict[tuple[str, str], int] | None = None,
) -> Stages:
    """Stages that write small files and find `fars`. `hard`: (iteration, stage) that hard-stops. `fail`: how often a
    stage fails before it works."""

    def guard(at: Setting, stage: str) -> None:
        if hard == (at.name, stage):
            raise HardStop("leakage", "planted")
        left = (fail or {}).get((at.name, stage), 0)
        if left:
            assert fail is not None
            fail[at.name, stage] = left - 1
            raise OSError(28, "No space left on device", "somewhere")

    def put(at: Setting, name: str, text: str) -> str:
        path = at.out / name
        write_text(path, f"{at.name} {text}\n")
        return at.told(path)

    def train(at: Setting) -> Fields:
        guard(at, "train")
        for name in ("status.json", "experiment.yaml"):
            put(at, f"train/{name}", "train")
        return {"best_ckpt_path": put(at, "train/model_epoch_001_step_00010.safetensors", "w"), "val_loss": 0.25}

    def evaluate(at: Setting) -> Fields:
        guard(at, "evaluate")
        put(at, "inference/latest/inference.csv", "scores")
        csv = put(at, "inference/best_val/inference.csv", "scores")
        far = fars[at.name]
        return {"best_ckpt_kind": "best_val", "far_pct": far, "threshold": far / 10, "inference_csv": csv}

    def rca(at: Setting) -> Fields:
        guard(at, "rca")
        folder = f"rca_results/{at.run.stamp}"
        put(at, f"{folder}/threshold.txt", "t")
        put(at, f"{folder}/weak_samples_breakdown.txt", "w")
        gaps = put(at, f"{folder}/kpi_gaps.parquet", "gaps")
        return {
            "rca_target_defects": ("BRIDGE", "PASS"),
            "rca_gaps_parquet": gaps,
            "rca_threshold": 0.5,
            "status": "complete",
        }

    def routing(at: Setting) -> Fields:
        guard(at, "routing")
        folder = f"routing_results/{at.run.stamp}"
        put(at, f"{folder}/anomalygen_gaps.parquet", "none")
        put(at, f"{folder}/routing_summary.txt", "all")
        return {"routing_mining_parquet": put(at, f"{folder}/mining_gaps.parquet", "gaps")}

    def anomalygen(at: Setting) -> Fields:
        guard(at, "anomalygen")
        put(at, "anomalygen/ingest_summary.json", "summary")
        return {"anomalygen_ingest": {"manifest": "m", "counts": {"real_rows": 4, "sdg_rows": 2}}}

    def data_mining(at: Setting) -> Fields:
        guard(at, "data_mining")
        for name in ("mining_pool.csv", "knn_summary.csv", "target_embeddings.parquet", "mining_summary.txt"):
            put(at, f"mining_filter/{name}", f"budget {at.budget}")
        n = at.number
        put(at, f"dataset/train_combined_iter{n}_provenance.csv", "p")
        put(at, f"dataset/train_combined_iter{n}.csv", "c")
        return {"mining_mined_parquet": put(at, "mining_filter/mined.parquet", "m"), "mining_mined_count": 7 * n}

    def pool(at: Setting) -> None:
        guard(at, "pool")
        write_text(at.run.pool / "manifest.json", "{}\n")

    def render(at: Setting) -> None:
        write_text(at.run.folder / "DEFT_Loop_Report.html", f"<p>{len(at.state.iterations)}</p>\n")

    def hand_over(at: Setting) -> None:
        write_best(at.workspace.root, at.run.folder, at.state, at.spec)

    table = {"train": train, "evaluate": evaluate, "rca": rca, "routing": routing, "anomalygen": anomalygen,
             "data_mining": data_mining}  # fmt: skip
    return Stages(by_name=table, pool=pool, render=render, hand_over=hand_over)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below, with its bytes."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")


def _die_before(change: int, watched: str) -> None:
    """Kill this process just before its n-th change of a file under `watched`."""
    count = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        name = args[0] if args and isinstance(args[0], (str, bytes, os.PathLike)) else ""
        if (writes or event in CHANGES) and watched in os.fsdecode(name):
            count += 1
            if count == change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run_killed(workspace: Workspace, run: Run, change: int | None, *, extra: Stages | None = None) -> bool:
    """Run the loop in a child that dies before change number `change`; whether it died."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if change is not None:
                _die_before(change, str(workspace.root / "results"))
            Loop(workspace=workspace, run=run, stages=extra or standins()).go()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False
