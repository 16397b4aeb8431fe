"""Import of ELPV (Deitsch, Buerhop-Lutz et al.): electroluminescence images of solar cells, from its PyPI package."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.datasets.elpv_modules import MODULES, module_of_cells
from noescape.datasets.splits import check_split, draw_training
from noescape.datasets.write import ImportResult, Placement, write_mvtec
from noescape.files import contained
from noescape.imaging import read_picture
from noescape.records import GOOD_TYPE, UNCERTAIN_TYPE, DataError, UsageError

CELL_TYPES = ("mono", "poly", "all")
TERMS = (
    "CC BY-NC-SA 4.0: no commercial use, share alike, name the authors: S. Deitsch, C. Buerhop-Lutz and others, "
    "'Automatic classification of defective photovoltaic module cells in electroluminescence images', "
    "Solar Energy 185 (2019), and 'A benchmark for visual identification of defective solar cells' (2018)."
)
SOURCE = "https://github.com/zae-bayern/elpv-dataset (Python package elpv-dataset)"
RANDOM_COST = (
    "--split random puts cells of one module on both sides, so brightness and contrast of every test module were seen "
    "in training: plain PaDiM then shows an AUROC of about .95 where it reaches about .67 (mono) and .83 (poly) on "
    "new modules. Use it only to compare with published random splits."
)


@dataclass(frozen=True, kw_only=True)
class _Cell:
    path: Path
    probability: float
    type: str


def import_elpv(
    out: Path,
    *,
    split: str = "group",
    seed: int = 42,
    train_fraction: float = 0.6,
    cell_type: str = "all",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ImportResult, ...]:
    """Import the cells of the installed `elpv_dataset` to `<out>/mono` and `<out>/poly` (or one of them).

    Probability 0 is good, 1 a defect, 1/3 and 2/3 go to `test/uncertain`; there are no masks. `split="group"` draws
    `train_fraction` of the modules: their good cells train, and their other cells are left out, so that every tested
    cell comes from a module that training never saw. `split="random"` draws good cells and tests all the rest.
    Same seed: same bytes. Cost: about 5 CPU-s. UsageError when the package is not installed.
    """
    check_split(split=split, fraction=train_fraction)
    if cell_type not in CELL_TYPES:
        raise UsageError(f"--cell-type: expected {', '.join(CELL_TYPES)}, got {cell_type!r}")
    cells = _read_labels(package_data())
    modules = module_of_cells([c.type for c in cells], lambda i: _grey(cells[i].path))
    found = Counter(t for _, t in set(zip(modules, (c.type for c in cells))))
    if dict(found) != MODULES:
        raise DataError(f"elpv_dataset: expected {MODULES} modules as published, found {dict(found)}; another version?")
    return tuple(
        _import_type(out, kind, cells, modules, split=split, seed=seed, fraction=train_fraction, progress=progress)
        for kind in MODULES
        if cell_type in (kind, "all")
    )


def package_data() -> Path:
    """The data folder of the installed package, found without running its code."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            "ELPV comes as the Python package elpv-dataset, which is not installed: install the extra 'demo' "
            "(pip install 'noescape[demo]'; 92 MB, CC BY-NC-SA 4.0)"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _import_type(
    out: Path,
    kind: str,
    cells: Sequence[_Cell],
    modules: Sequence[int],
    *,
    split: str,
    seed: int,
    fraction: float,
    progress: Callable[[int, int], None] | None,
) -> ImportResult:
    mine = [i for i, c in enumerate(cells) if c.type == kind]
    group = {i: f"module-{modules[i]:02d}" for i in mine}
    good = [i for i in mine if cells[i].probability == 0]
    if split == "group":
        drawn = draw_training(dict.fromkeys((group[i] for i in good), 1), seed=seed, fraction=fraction)
        training = {i for i in good if group[i] in drawn}
    else:
        drawn = set()
        names = {cells[i].path.name: i for i in good}
        training = {names[n] for n in draw_training(dict.fromkeys(names, 1), seed=seed, fraction=fraction)}
    placed = [i for i in mine if i in training or group[i] not in drawn]
    placements = [
        Placement(
            source=cells[i].path,
            split="train" if i in training else "test",
            kind=_kind(cells[i].probability),
            name=cells[i].path.name,
            group=group[i],
        )
        for i in placed
    ]
    left = Counter(_kind(cells[i].probability) for i in set(mine) - set(placed))
    info: dict[str, Any] = {
        "name": f"ELPV {kind}",
        "category": kind,
        "terms": TERMS,
        "source": SOURCE,
        "split": split,
        "seed": seed,
        "train_fraction": fraction,
        "group": "solar module, derived from the row order of the set",
        "masks": None,
        "left_out": dict(sorted(left.items())),
    }
    notes = [f"{len(set(group.values()))} modules; no masks, so pixel figures stay empty"]
    if left:
        text = ", ".join(f"{n} {name}" for name, n in sorted(left.items()))
        notes.append(f"left out: {text} cells of the training modules, so that only new modules are tested")
    notes += [RANDOM_COST] if split == "random" else []
    return write_mvtec(out, kind, placements, info=info, notes=notes, progress=progress)


def _kind(probability: float) -> str:
    return GOOD_TYPE if probability == 0 else "defect" if probability == 1 else UNCERTAIN_TYPE


def _read_labels(data: Path) -> list[_Cell]:
    path = data / "labels.csv"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the labels of elpv_dataset cannot be read ({error})") from None
    cells = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        try:
            name, probability, kind = parts[0], float(parts[1]), parts[2]
        except (IndexError, ValueError):
            raise DataError(f"{path}, line {number}: expected 'image probability type', got {line[:80]!r}") from None
        if kind not in MODULES or not 0 <= probability <= 1:
            raise DataError(f"{path}, line {number}: expected a probability 0..1 and mono or poly, got {line[:80]!r}")
        cells.append(_Cell(path=contained(data, name), probability=probability, type=kind))
    return cells


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(read_picture(path).rgb[:, :, 0])
