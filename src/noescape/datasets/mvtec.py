"""The MVTec AD layout on disk, read into a `Dataset`.

<category>/train/good/*               good images to learn from
<category>/test/<type>/*              `good`, `uncertain`, or the name of a defect
<category>/ground_truth/<type>/*      masks: <stem>_mask.png or <stem>.png, non-zero = defect
<category>/groups.json                optional: {"<key>": "<group>"}, what must stay on one side of a split
<category>/dataset.json               optional: where the data come from and their terms
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.datasets.dataset import Dataset
from noescape.datasets.folder import find_images, find_mask, label_of, printable
from noescape.files import read_json_object
from noescape.records import GOOD_TYPE, UNCERTAIN_TYPE, DataError, ImageError, Sample

GROUPS_FILE = "groups.json"
INFO_FILE = "dataset.json"
MAX_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All that is found in a category folder, with the problems instead of an error for the first one.

    `problems` make the folder unusable as it is; `refused` are single files that were left out.
    """

    root: Path
    category: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    uncertain: tuple[Sample, ...]
    info: dict[str, Any]
    problems: tuple[str, ...]
    refused: tuple[ImageError, ...]


def read_mvtec(root: Path, category: str | None = None, *, to_learn: bool = True, name: str | None = None) -> Dataset:
    """Read `<root>/<category>`, or `root` itself when it has `train/` or no category is named.

    `name` is what to call the category where it is `root` itself (a folder with any name; None: the folder's name).

    `to_learn` False asks for no training images, only for some to test: `root` may then have `test/` alone. Defective
    images without a mask are allowed (`mask` None), also where others of their type have one. Raises DataError that
    lists everything that is wrong at once: no training images, masks without image, links that lead out of the
    folder, side files that are not what they should be. Nothing is decoded.
    """
    folder = category_folder(root, category)
    layout = scan_mvtec(folder, to_learn=to_learn, name=name if folder == root else None)
    problems = [*layout.problems, *(str(row) for row in layout.refused)]
    if problems:
        more = [f"… and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
        lines = "\n".join(f"  - {printable(line)}" for line in [*problems[:MAX_LISTED], *more])
        raise DataError(f"{layout.root} is not a usable MVTec AD folder:\n{lines}")
    terms = layout.info.get("terms")
    return Dataset(
        root=layout.root,
        category=layout.category,
        train=layout.train,
        test=layout.test,
        uncertain=layout.uncertain,
        terms=terms if isinstance(terms, str) else None,
    )


def category_folder(root: Path, category: str | None) -> Path:
    """The folder of `category` under `root`; `root` itself if it has `train/` (or `test/`, and no folder of that
    category). Without a category: the only one there is, and `root` itself (whose reading then says what is missing)
    where there are none or several."""
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder in the MVTec AD layout, but there is no such folder")
    if (root / "train").is_dir():
        return root
    if category is None:
        only = categories(root)
        return root / only[0] if len(only) == 1 else root
    folder = root / category
    if (root / "test").is_dir() and not folder.is_dir():
        return root
    if not folder.is_dir() or not folder.resolve().is_relative_to(root.resolve()):
        names = ", ".join(categories(root)) or "none"
        raise DataError(f"{root}: no category {category!r} here; folders with train/ or test/: {names}")
    return folder


def categories(root: Path) -> list[str]:
    """Names of the subfolders of `root` that hold `train/` or `test/`, sorted."""
    try:
        return sorted(
            p.name
            for p in root.iterdir()
            if not p.name.startswith(".") and ((p / "train").is_dir() or (p / "test").is_dir())
        )
    except OSError as error:
        raise DataError(f"{root}: cannot be listed ({error.strerror or error})") from None


def scan_mvtec(root: Path, *, to_learn: bool = True, name: str | None = None) -> Layout:
    """Everything in the category folder `root`, called `name` (None: as the folder is), sorted by key, with all
    problems listed. Decodes nothing.

    That there is nothing to learn from is a problem unless `to_learn` is False.
    """
    problems: list[str] = []
    refused: list[ImageError] = []
    groups = _side_file(root / GROUPS_FILE, problems)
    info = _side_file(root / INFO_FILE, problems)
    samples: dict[str, list[Sample]] = {"train": [], "test": [], UNCERTAIN_TYPE: []}
    if to_learn and not (root / "train" / GOOD_TYPE).is_dir():
        problems.append(_no_training(root))
    for split in ("train", "test"):
        if (root / split).is_dir():
            for sample in _side(root, split, groups, refused, problems):
                samples[UNCERTAIN_TYPE if sample.defect_type == UNCERTAIN_TYPE else split].append(sample)
    if to_learn and (root / "train" / GOOD_TYPE).is_dir() and not samples["train"]:
        problems.append(f"train/{GOOD_TYPE}/ holds no image (PNG, JPEG, BMP, TIFF or WebP)")
    problems.extend(_orphan_masks(root))
    return Layout(
        root=root,
        category=name or root.resolve().name,
        train=tuple(samples["train"]),
        test=tuple(samples["test"]),
        uncertain=tuple(samples[UNCERTAIN_TYPE]),
        info=info,
        problems=tuple(problems),
        refused=tuple(refused),
    )


def _no_training(root: Path) -> str:
    names = categories(root)
    if names:
        return f"no train/{GOOD_TYPE}/ here, but these subfolders look like categories: {', '.join(names[:8])}"
    return f"no folder train/{GOOD_TYPE}/: put images of good parts there, and images to test in test/<type>/"


def _side(
    root: Path, split: str, groups: dict[str, Any], refused: list[ImageError], problems: list[str]
) -> list[Sample]:
    samples, truth = [], root / "ground_truth"
    stray = 0
    for short, path in find_images(root / split, refused):
        key, parts = f"{split}/{short}", short.split("/")
        kind = parts[0]
        if len(parts) < 2 or (split == "train" and kind != GOOD_TYPE):
            stray += 1
            continue
        label = label_of(kind)
        mask = find_mask(truth, "/".join(parts[:-1]), path) if label == 1 else None
        group = groups.get(key)
        samples.append(
            Sample(
                key=key,
                image=path,
                label=label,
                defect_type=kind,
                mask=mask,
                group=None if group is None else str(group),
            )
        )
    if stray:
        where = "train/ outside train/good/" if split == "train" else "test/ outside any test/<type>/ folder"
        problems.append(f"{stray} image(s) in {where}: move them into a folder that says what they are")
    return samples


def _orphan_masks(root: Path) -> list[str]:
    truth = root / "ground_truth"
    if not truth.is_dir():
        return []
    known: set[str] = set()
    for short, _ in find_images(root / "test", []) if (root / "test").is_dir() else []:
        stem = short.rpartition(".")[0]
        known |= {f"{stem}_mask.png", f"{stem}.png"}
    lost = [short for short, _ in find_images(truth, []) if short not in known]
    return [f"ground_truth/{short}: a mask without an image in test/" for short in lost]


def _side_file(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return read_json_object(path, "names and their values")
    except DataError as error:
        problems.append(str(error))
        return {}
