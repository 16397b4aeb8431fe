"""Small data sets in the AnomalyGen layout for tests of generators: striped metal with spots and scratches, a board."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.placement.testcase import TestCase, write_testcases
from noescape.imaging import png_bytes

U8 = npt.NDArray[np.uint8]
SIZE = (96, 128)
BOARD, PART = (40, 90, 50), (150, 150, 155)


def metal(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> U8:
    """Grey, with vertical stripes."""
    stripes = rng.normal(0, 12, (1, size[1])) + rng.normal(0, 3, size)
    grey = np.clip(120 + cv2.GaussianBlur(stripes, (0, 0), 0.8), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def spot(size: tuple[int, int], rng: np.random.Generator) -> U8:
    """The mask of one round spot."""
    mask = np.zeros(size, np.uint8)
    at = (int(rng.integers(25, size[1] - 25)), int(rng.integers(25, size[0] - 25)))
    cv2.ellipse(mask, at, (int(rng.integers(5, 9)), int(rng.integers(4, 8))), 0, 0, 360, 255, -1)
    return mask


def scratch(size: tuple[int, int], rng: np.random.Generator) -> U8:
    """The mask of one thin line."""
    mask = np.zeros(size, np.uint8)
    x, y = int(rng.integers(20, size[1] - 50)), int(rng.integers(20, size[0] - 20))
    cv2.line(mask, (x, y), (x + 30, y + int(rng.integers(-8, 9))), 255, 3)
    return mask


def write(path: Path, picture: U8) -> Path:
    """A PNG and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(picture))
    return path


def metal_set(root: Path, *, examples: int = 3, clean: int = 3, seed: int = 0) -> Path:
    """`metal` with the types `dark spot` (dark) and `scratch` (bright)."""
    rng = np.random.default_rng(seed)
    for kind, shape, factor in (("dark spot", spot, 0.45), ("scratch", scratch, 1.6)):
        for k in range(examples):
            mask, picture = shape(SIZE, rng), metal(rng)
            soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.7)[..., None]
            blotches = cv2.GaussianBlur(rng.normal(1, 2.5, SIZE), (0, 0), 2)[..., None]  # no two defects look alike
            drawn = np.clip(picture * (1 + (factor - 1) * soft * np.clip(blotches, 0.3, 1.7)), 0, 255).astype(np.uint8)
            write(root / "metal" / "anomaly_image" / kind / f"{k}.png", drawn)
            write(root / "metal" / "mask" / kind / f"{k}_mask.png", mask)
    for k in range(clean):
        write(root / "metal" / "clean_image" / f"good {k}.png", metal(rng))
    return root


def board_set(root: Path) -> Path:
    """`board` in colour with one grey component per image, its CAD mask, and the type `missing`."""
    rng = np.random.default_rng(1)
    for k in range(2):
        picture = np.clip(np.array(BOARD) + rng.normal(0, 3, (*SIZE, 3)), 0, 255).astype(np.uint8)
        cad = np.zeros((*SIZE, 3), np.uint8)
        picture[30:60, 40:80] = PART
        cad[30:60, 40:80] = (255, 0, 0)
        write(root / "board" / "clean_image" / f"{k}.png", picture)
        write(root / "board" / "cad_mask" / f"{k}.png", cad)
        gone = picture.copy()
        gone[30:60, 40:80] = BOARD
        write(root / "board" / "anomaly_image" / "missing" / f"{k}.png", gone)
        write(root / "board" / "mask" / "missing" / f"{k}_mask.png", cad.max(axis=2))
    return root


def cases(root: Path, folder: Path, count: int = 6, **values: object) -> Path:
    """A testcase.jsonl for the metal set: types take turns, each mask drawn anew."""
    rng = np.random.default_rng(7)
    rows = []
    for k in range(count):
        kind, shape = (("dark spot", spot), ("scratch", scratch))[k % 2]
        mask = write(folder / "masks" / f"{k}.png", shape(SIZE, rng))
        clean = root / "metal" / "clean_image" / f"good {k % 3}.png"
        rows.append(
            TestCase.model_validate(
                {"image_filename": str(clean), "mask_filename": str(mask), "anomaly_type": f"metal+{kind}", "seed": k}
                | values
            )
        )
    write_testcases(folder / "testcase.jsonl", rows)
    return folder / "testcase.jsonl"


def tree_bytes(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the times."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "timing_summary.json")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}
