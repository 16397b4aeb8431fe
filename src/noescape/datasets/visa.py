"""VisA (Zou et al. 2022): one folder per object, good and anomalous photographs, pixel masks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from noescape.datasets.dataset import Dataset
from noescape.datasets.folder import find_images, printable
from noescape.datasets.splits import check_split, draw_training
from noescape.datasets.write import ImportResult, Placement, refuse_overlap, write_mvtec
from noescape.files import contained
from noescape.records import GOOD_TYPE, DataError, ImageError, PathEscapeError, Sample, UsageError

TERMS = (
    "CC BY 4.0 as published with the set (check your copy). Cite: Y. Zou, J. Jeong, L. Pemula, D. Zhang, O. Dabeer, "
    "'SPot-the-Difference self-supervised pre-training for anomaly detection and segmentation', ECCV 2022."
)
SOURCE = "https://github.com/amazon-science/spot-diff"
ANOMALY = "anomaly"
SPLIT_FILE = Path("split_csv") / "1cls.csv"
COLUMNS = ("object", "split", "label", "image", "mask")


def read_visa(root: Path, category: str, *, seed: int = 42, train_fraction: float = 0.6) -> Dataset:
    """Read one object of VisA: by `split_csv/1cls.csv` when it is there, else with `train_fraction` of the images in
    `<object>/Data/Images/Normal` drawn by `seed` for training.

    All anomalous images have the type `anomaly`; `mask` is None where no mask file is found. DataError lists rows of
    the table that are wrong or point out of `root`.
    """
    check_split(fraction=train_fraction)
    if category not in visa_objects(root):
        raise DataError(
            f"{root}: no object {category!r} of VisA here; found: {', '.join(visa_objects(root)) or 'none'}"
        )
    if (root / SPLIT_FILE).is_file():
        rows = _rows(root, category)
    else:
        rows = _draw(root, category, seed, train_fraction)
    sides = {
        side: tuple(sorted((s for s, where in rows if where == side), key=lambda s: s.key))
        for side in ("train", "test")
    }
    if not sides["train"]:
        raise DataError(f"{root}: no good training image of {category!r}")
    return Dataset(
        root=root / category,
        category=category,
        train=sides["train"],
        test=sides["test"],
        uncertain=(),
        terms=TERMS,
    )


def visa_objects(root: Path) -> list[str]:
    """The objects under `root` (folders with `Data/Images/Normal`), sorted."""
    if not root.is_dir():
        raise DataError(f"{root}: expected the folder of VisA, but there is no such folder")
    return sorted(p.name for p in root.iterdir() if (p / "Data" / "Images" / "Normal").is_dir())


def import_visa(
    src: Path,
    out: Path,
    *,
    category: str | None = None,
    split: str = "group",
    seed: int = 42,
    train_fraction: float = 0.6,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ImportResult, ...]:
    """Import one object of VisA, or all of them, to `<out>/<object>`. The published one-class split is used when its
    table is there; the set names no groups, so that its split is by image."""
    check_split(split=split, fraction=train_fraction)
    refuse_overlap(src, out)
    names = [category] if category else visa_objects(src)
    if not names:
        raise UsageError(f"{src}: expected <object>/Data/Images/Normal of VisA, found no such folder")
    published = (src / SPLIT_FILE).is_file()
    note = "split as published (1cls.csv); " if published else f"split by image, {train_fraction:g} of the good ones; "
    results = []
    for name in names:
        data = read_visa(src, name, seed=seed, train_fraction=train_fraction)
        placements = [
            Placement(source=s.image, split=side, kind=s.defect_type, name=s.image.name, mask=s.mask)
            for side, samples in (("train", data.train), ("test", data.test))
            for s in samples
        ]
        info = {
            "name": f"VisA {name}",
            "category": name,
            "terms": TERMS,
            "source": SOURCE,
            "split": "published" if published else "random",
            "seed": None if published else seed,
            "train_fraction": None if published else train_fraction,
            "group": None,
            "masks": "drawn by the authors of the set",
        }
        notes = [note + "no groups are known, so images of one part may lie on both sides"]
        results.append(write_mvtec(out, name, placements, info=info, notes=notes, progress=progress))
    return tuple(results)


def _draw(root: Path, category: str, seed: int, fraction: float) -> list[tuple[Sample, str]]:
    refused: list[ImageError] = []
    images = root / category / "Data" / "Images"
    good = find_images(images / "Normal", refused)
    bad = find_images(images / "Anomaly", refused) if (images / "Anomaly").is_dir() else []
    if refused:
        raise DataError("\n".join(["VisA folder with files that cannot be used:", *(f"  - {r}" for r in refused)]))
    chosen = draw_training({key: 1 for key, _ in good}, seed=seed, fraction=fraction)
    rows = [(_sample(root, path, None), "train" if key in chosen else "test") for key, path in good]
    for key, path in bad:
        mask = root / category / "Data" / "Masks" / "Anomaly" / Path(key).with_suffix(".png")
        rows.append((_sample(root, path, mask), "test"))
    return rows


def _rows(root: Path, category: str) -> list[tuple[Sample, str]]:
    found: list[tuple[Sample, str]] = []
    problems = []
    path = root / SPLIT_FILE
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            table = csv.DictReader(f)
            if not set(COLUMNS) <= set(table.fieldnames or ()):
                raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {table.fieldnames}")
            for number, row in enumerate(table, 2):
                if row["object"] == category:
                    try:
                        found.append(_row(root, row))
                    except (ValueError, PathEscapeError) as error:
                        problems.append(f"line {number}: {error}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if problems:
        more = [f"  - … and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise DataError("\n".join([f"{path}:", *(f"  - {p}" for p in problems[:20]), *more]))
    return found


def _row(root: Path, row: dict[str, str]) -> tuple[Sample, str]:
    split, label = row["split"], row["label"]
    if split not in ("train", "test") or label not in ("normal", ANOMALY):
        raise ValueError(f"expected train or test and normal or anomaly, got {split!r} and {label!r}")
    if split == "train" and label == ANOMALY:
        raise ValueError("an anomalous image cannot train a model of good parts; is this the table 1cls.csv?")
    image = contained(root, row["image"])
    if not image.is_file():
        raise ValueError(f"{row['image']!r} is not there")
    mask = contained(root, row["mask"]) if row["mask"] else None
    return _sample(root, image, mask if label == ANOMALY else None, label), split


def _sample(root: Path, image: Path, mask: Path | None, label: str | None = None) -> Sample:
    bad = label == ANOMALY or mask is not None
    return Sample(
        key=printable(image.relative_to(root).as_posix()),
        image=image,
        label=int(bad),
        defect_type=ANOMALY if bad else GOOD_TYPE,
        mask=mask if mask is not None and mask.is_file() else None,
    )
