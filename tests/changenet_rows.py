"""Small data sets of pairs on disk: textured parts with a light of their own, some with a planted defect, and specs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dataset_maker import texture
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import parse_spec
from noescape.datasets.changenet_write import COLUMNS
from noescape.files import write_csv
from noescape.imaging import png_bytes

U8 = npt.NDArray[np.uint8]
SIDE = 48


def part(seed: int, side: int = SIDE) -> U8:
    """A coloured part: a body on a textured ground."""
    grey = texture(seed, side, side, 3.0).astype(np.float32) * 0.3 + 70
    rgb = np.stack([grey * f for f in (1.0, 0.9, 0.7)], axis=2)
    cv2.rectangle(rgb, (side // 4, side // 3), (3 * side // 4, 2 * side // 3), (150.0, 160.0, 170.0), -1)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def seen(golden: U8, rng: np.random.Generator, kind: str) -> U8:
    """The part under another light with noise; `kind` other than PASS plants a dark blob or a bright bar."""
    out = golden.astype(np.float32) * float(rng.uniform(0.95, 1.05)) + rng.normal(0, 2, golden.shape)
    side = golden.shape[0]
    x, y = (int(v) for v in rng.integers(side // 4, 3 * side // 4 - 6, 2))
    if kind == "Missing":
        out[y : y + side // 5, x : x + side // 5] = 20
    elif kind != "PASS":
        out[y : y + 4, x - 6 : x + 8] = 245
    return np.clip(out, 0, 255).astype(np.uint8)


def put_rows(
    root: Path,
    name: str,
    labels: Sequence[str],
    *,
    seed: int = 0,
    lights: Sequence[str] = (),
    boards: int = 4,
    side: int = SIDE,
) -> Path:
    """Write `root`/img/… and the 14-column CSV `root`/<name>.csv with one row for each label; the CSV's path."""
    rows = []
    for number, label in enumerate(labels):
        rng = np.random.default_rng([seed, number])
        stem = f"{number:03d}@{name}"
        for light in lights or ("",):
            file = f"{stem}_{light}.png" if light else f"{stem}.png"
            golden = part(1000 * seed + number % 7, side)
            for folder, pixels in (("golden", golden), ("input", seen(golden, rng, label))):
                path = root / "img" / folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png_bytes(pixels))
        board = f"board{number % boards}"
        rows.append(("input", "golden", label, stem, "demo", board, "C", "MPASS", 1, stem, "chip", 2, "", "C"))
    path = root / f"{name}.csv"
    write_csv(path, COLUMNS, rows)
    return path


def mixed(count: int, every: int = 3) -> list[str]:
    """PASS, with every third row a defect of one of two types."""
    return [("Missing" if n % 2 else "Shift") if n % every == 0 else "PASS" for n in range(count)]


def spec_for(root: Path, *, trainer: str = "cached", side: int = 64, **sections: Any) -> Spec:
    """A small spec on `root`/{train,val,test}.csv; `sections` (train, model, classify, noescape) add keys."""
    images = str(root / "img")
    names = {"train_dataset": "train", "validation_dataset": "val", "test_dataset": "test", "infer_dataset": "test"}
    rows = {key: {"csv_path": str(root / f"{name}.csv"), "images_dir": images} for key, name in names.items()}
    present = {key: value for key, value in rows.items() if Path(value["csv_path"]).is_file()}
    ours = {"trainer": trainer, "strengths": [1.0, 0.1, 0.01], **sections.get("noescape", {})}
    train = {"classify": {"loss": "ce", "cls_weight": [1, 10]}, "num_epochs": 2, **sections.get("train", {})}
    model = {
        "classify": {"difference_module": "learnable", "eval_margin": 0.5, **sections.get("head", {})},
        "decode_head": {"decoder_params": {"embed_dim": 8}},
    }
    data = {"image_width": side, "image_height": side, "workers": 1, "batch_size": 4, "fpratio_sampling": 1.0}
    classify = {**data, **present, **sections.get("classify", {})}
    value = {"results_dir": str(root / "results"), "train": train, "model": model, "noescape": ours}
    return parse_spec({**value, "dataset": {"classify": classify}}, "test")
