"""A workspace of the loop in a folder: drawn cells with goldens, KPI, training and pool rows, generated pairs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.datasets.changenet_write import COLUMNS
from noescape.imaging import jpeg_bytes, png_bytes

U8 = npt.NDArray[np.uint8]
LIGHT = "SolderLight"
SPEC = """\
task: classify
train: {classify: {loss: ce}}
model: {classify: {difference_module: learnable}}
dataset:
  classify:
    train_dataset: {csv_path: train/base/training_set.csv, images_dir: .}
    validation_dataset: {csv_path: train/base/validation_set.csv, images_dir: kpi/images}
    test_dataset: {csv_path: kpi/testing_set.csv, images_dir: kpi/images}
    infer_dataset: {csv_path: kpi/testing_set.csv, images_dir: kpi/images}
    num_input: 1
    input_map: {SolderLight: 0}
    image_ext: .png
    image_width: 48
    image_height: 48
noescape: {backbone: efficientnet_lite0}
"""


def cell(seed: int, side: int = 48) -> U8:
    """Traces and pads with grain; each seed another picture."""
    rng = np.random.default_rng(seed)
    out = np.full((side, side, 3), 60, np.uint8)
    for _ in range(5):
        a, b = rng.integers(0, side, 2), rng.integers(0, side, 2)
        cv2.line(out, tuple(map(int, a)), tuple(map(int, b)), tuple(map(int, rng.integers(90, 250, 3))), 3)
    noise = rng.normal(0, 6, out.shape)
    return np.asarray(np.clip(out + noise, 0, 255), np.uint8)


def spoilt(rgb: U8, seed: int) -> U8:
    """The same with a blot."""
    out = rgb.copy()
    rng = np.random.default_rng(seed)
    cv2.circle(out, tuple(map(int, rng.integers(12, 36, 2))), 6, (250, 250, 20), -1)
    return out


def save(path: Path, rgb: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(rgb) if path.suffix == ".png" else jpeg_bytes(rgb, quality=92))


def write_rows(path: Path, rows: Iterable[dict[str, object]], columns: Sequence[str] = COLUMNS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as f:
        out = csv.DictWriter(f, columns, restval="", extrasaction="ignore")
        out.writeheader()
        out.writerows(rows)
    return path


@dataclass(frozen=True, kw_only=True)
class World:
    """A workspace and its spec."""

    home: Path

    @property
    def spec(self) -> Path:
        return self.home / "specs" / "baseline_spec.yaml"

    def pair(self, folder: str, name: str, rgb: U8, golden: U8, *, under: str = "kpi/images") -> dict[str, object]:
        """Save input and golden; the row that names them relative to `under`."""
        save(self.home / under / folder / f"{name}_{LIGHT}.png", rgb)
        save(self.home / "kpi/images" / f"golden_{folder}" / f"{name}_{LIGHT}.png", golden)
        return {"input_path": folder, "golden_path": f"golden_{folder}", "object_name": name}

    def rows(
        self, folder: str, labels: Sequence[str], *, seed: int, board: str = "", under: str = "kpi/images"
    ) -> list[dict[str, object]]:
        """One drawn pair per label; a defect has a blot."""
        out = []
        for i, label in enumerate(labels):
            golden = cell(1000 * seed + i)
            grain = np.random.default_rng(seed + i).integers(-3, 4, golden.shape)
            rgb = np.asarray(np.clip(golden.astype(int) + grain, 0, 255), np.uint8)
            rgb = rgb if label.strip().upper() == "PASS" else spoilt(rgb, 1000 * seed + i)
            row = self.pair(folder, f"C{i}@{seed}", rgb, golden, under=under)
            out.append(row | {"label": label, "boardname": board or f"board-{folder}", "comp_type_1": "resistor"})
        return out

    def scored(self, rows: Sequence[dict[str, object]], scores: Sequence[float], path: str = "inference.csv") -> Path:
        """An inference.csv of them."""
        table = [row | {"siamese_score": s} for row, s in zip(rows, scores, strict=True)]
        return write_rows(self.home / path, table, [*COLUMNS, "siamese_score"])


def make_world(home: Path) -> World:
    world = World(home=home)
    world.spec.parent.mkdir(parents=True, exist_ok=True)
    world.spec.write_text(SPEC, "utf-8")
    return world


def full_world(home: Path) -> World:
    """With a base set, a validation set, KPI rows, a pool of six and three generated pairs."""
    world = make_world(home)
    write_rows(home / "train/base/training_set.csv", world.rows("base", ["PASS", "PASS", "Bridge ", "Missing"], seed=1))
    write_rows(home / "train/base/validation_set.csv", world.rows("val", ["PASS", "Bridge"], seed=2))
    write_rows(home / "kpi/testing_set.csv", world.rows("kpi", ["PASS", "PASS", "PASS", "Bridge", "Missing"], seed=3))
    pool = world.rows("pool", ["PASS", "PASS", "PASS", "Bridge", "Bridge", "Shift"], seed=4,
                      under="augmentation/mining_pool/images")  # fmt: skip
    pool = [row | {"input_path": f"images/pool/{row['object_name']}_{LIGHT}.png"} for row in pool]  # file-style
    write_rows(home / "augmentation/mining_pool/mining_pool.csv", pool)
    for i, kind in enumerate(("IC+bridge", "IC+bridge", "IC+missing")):
        generated(home, f"{kind}_{i:05d}", 50 + i)
    return world


def generated(home: Path, stem: str, seed: int, *, ng: str = ".png", ok: str = ".jpg") -> None:
    """One generated pair; partners have different suffixes."""
    clean = cell(seed)
    save(home / "augmentation/anomalygen/reconstructed_image" / f"{stem}{ng}", spoilt(clean, seed))
    save(home / "augmentation/anomalygen/original_image" / f"{stem}{ok}", clean)
