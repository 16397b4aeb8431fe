"""Small pictures of defects on a striped surface, their folders, and an embedder that needs no network."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.quality.features import PatchReader
from noescape.imaging import png_bytes

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
SIDE, CELLS = 224, 28


class Plain:
    """Mean, spread and slope of each cell of 8 x 8 pixels: [784, 9]."""

    precision = "f32"

    def __call__(self, rgb: U8) -> npt.NDArray[np.float32]:
        cells = rgb.astype(np.float32).reshape(CELLS, 8, CELLS, 8, 3) / 255
        slope = np.abs(np.diff(cells, axis=3)).mean(axis=(1, 3))
        found = np.concatenate([cells.mean(axis=(1, 3)), 4 * cells.std(axis=(1, 3)), 8 * slope], axis=2)
        return found.reshape(CELLS * CELLS, -1) - np.repeat(np.float32([0.55, 0.1, 0.2]), 3)


def plain_reader() -> PatchReader:
    return PatchReader(Plain(), SIDE, (CELLS, CELLS), "plain")


def surface(seed: int, side: int = 128) -> U8:
    """A grey surface with stripes and grain of its own."""
    rng = np.random.default_rng((7, seed))
    stripes = cv2.GaussianBlur(rng.normal(0, 9, (1, side)).astype(np.float32), (0, 0), 1)
    grain = cv2.GaussianBlur(rng.normal(0, 22, (side, side)).astype(np.float32), (0, 0), 1)
    return np.repeat(np.clip(140 + stripes + grain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def defect(kind: str, seed: int, side: int = 128) -> tuple[U8, Bool, U8]:
    """A dark blotch with texture of its own ("spot") or a bright line ("line"): picture, mask, the clean surface."""
    rng = np.random.default_rng((11, seed))
    clean = surface(1000 + seed, side)
    mask = np.zeros((side, side), np.uint8)
    at = [int(v) for v in rng.integers(side // 3, side - side // 3, 2)]
    if kind == "spot":
        axes = tuple(int(v) for v in rng.integers(10, 18, 2))
        cv2.ellipse(mask, at, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    else:
        turn = rng.uniform(0, np.pi)
        reach = np.array([np.cos(turn), np.sin(turn)]) * 30
        ends = [tuple(int(v) for v in np.array(at) + sign * reach) for sign in (-1, 1)]
        cv2.line(mask, *ends, 1, 5)
    inner = cv2.GaussianBlur(rng.normal(0, 280, (side, side)).astype(np.float32), (0, 0), 2)
    value = np.clip((80 if kind == "spot" else 205) + inner, 0, 255).astype(np.uint8)
    image = clean.copy()
    image[mask > 0] = value[mask > 0][:, None]
    return image, mask > 0, clean


def moved_copy(seed: int, turn: int, flip: bool, size: float, light: float) -> tuple[U8, Bool]:
    """The defect of `seed` as a copy: turned, mirrored, scaled, lit otherwise, put on another surface."""
    image, mask, _ = defect("spot", seed)
    ys, xs = np.nonzero(mask)
    at = slice(ys.min() - 6, ys.max() + 7), slice(xs.min() - 6, xs.max() + 7)
    cut, label = image[at], mask[at].astype(np.uint8)
    cut, label = (np.rot90(np.flip(p, 1) if flip else p, turn) for p in (cut, label))
    new = tuple(round(s * size) for s in label.shape[::-1])
    cut = cv2.resize(np.ascontiguousarray(cut), new, interpolation=cv2.INTER_AREA).astype(np.float32)
    label = cv2.resize(np.ascontiguousarray(label), new, interpolation=cv2.INTER_NEAREST)
    out, out_mask = surface(77).astype(np.float32), np.zeros((128, 128), np.bool_)
    out[40 : 40 + new[1], 30 : 30 + new[0]] = cut
    out_mask[40 : 40 + new[1], 30 : 30 + new[0]] = label > 0
    return np.clip(out * light, 0, 255).astype(np.uint8), out_mask


def put(path: Path, picture: npt.NDArray[np.generic]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = picture.astype(np.uint8) * 255 if picture.dtype == np.bool_ else picture.astype(np.uint8)
    path.write_bytes(png_bytes(np.ascontiguousarray(array)))
    return path


def anomalygen(root: Path, kinds: dict[str, range]) -> Path:
    """A data set of texture "tile" with the defects of these seeds, and two clean surfaces."""
    for kind, seeds in kinds.items():
        for seed in seeds:
            image, mask, _ = defect(kind, seed)
            put(root / f"tile/anomaly_image/{kind}/{seed}.png", image)
            put(root / f"tile/mask/{kind}/{seed}_mask.png", mask)
    for seed in (1, 2):
        put(root / f"tile/clean_image/{seed}.png", surface(seed))
    return root


def output_tree(root: Path, rows: list[tuple[str, U8, Bool, U8]]) -> Path:
    """What `generate` writes, as far as scoring reads it."""
    told, table = [], ["output_filename,anomaly_type,source"]
    for number, (kind, image, mask, clean) in enumerate(rows):
        name = f"tile+{kind}_{number:05d}.png"
        for folder, picture in (("reconstructed_image", image), ("original_mask", mask), ("original_image", clean)):
            put(root / folder / name, picture)
        table.append(f"{name},tile+{kind},{'original' if number else 'round_2'}")
        told.append({"output_filename": name, "parts": [{"exemplar": "100.png"}], "widening_px": 1, "ncc": 0.2})
    (root / "SDG_result.csv").write_text("\n".join(table) + "\n")
    (root / "provenance.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    return root
