"""The validation of a saved step: a few pictures per type, and how near their defects come to the real ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.datasets.anomalygen import AnomalyGenDataset, DefectType
from noescape.datasets.binary_mask import read_binary_mask
from noescape.defects.generators.base import generator_class
from noescape.defects.generators.checkpoints import DECIDING, Step, pick_step, point
from noescape.defects.generators.exemplar.exemplars import take_apart, traits
from noescape.defects.generators.exemplar.geometry import draw_move, warp_mask
from noescape.defects.generators.recipe import Recipe, checked_types
from noescape.defects.placement.testcase import TestCase, read_testcases
from noescape.defects.quality.features import Patches, open_reader
from noescape.defects.quality.kpi import kpi_rows, write_valid_kpi
from noescape.imaging import png_bytes, read_picture
from noescape.records import NoescapeError

Tell = Callable[[str, int], Callable[[int], None]]
Bool = npt.NDArray[np.bool_]


def validate(
    output: Path, step: Step, dataset: AnomalyGenDataset, recipe: Recipe, *, tell: Tell | None = None
) -> float:
    """Write `valid/<step>/valid_kpi.csv` of a saved step and point `best` at the best one; returns the mean nn_score.

    What is drawn: the test cases that the recipe's `dataloader_val` names, where that file is there; else examples'
    masks moved onto clean images (`exemplar.validation_images` per type). About .1 CPU-s a picture.
    """
    types = checked_types(recipe, dataset)
    generator, reader = generator_class(step.generator).load(step.path), open_reader()
    advance = tell("validating", len(types)) if tell else lambda count: None
    given = _given(recipe)
    real: dict[str, list[Patches]] = {}
    made: dict[str, list[Patches]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(types):
            real[kind.key] = [reader(read_picture(i).rgb, read_binary_mask(m) > 0) for i, m in kind.pairs]
            made[kind.key] = []
            cases = [c for c in given if c.anomaly_type == kind.key] or _moved(
                kind, dataset.clean[kind.texture], recipe.exemplar.validation_images, Path(folder), number
            )
            for case in cases:
                try:
                    drawn = generator.infer(case, np.random.default_rng((number, case.seed)))
                except NoescapeError:
                    continue  # a mask that was moved out of sight, a file that is not there
                made[kind.key].append(reader(drawn.image, drawn.mask > 0))
            advance(number + 1)
    rows = kpi_rows(real, {key: found for key, found in made.items() if found}, reader.name)
    write_valid_kpi(output, step.number, [kind.key for kind in types], rows)
    point(output, "best", pick_step(output))
    scores = list(rows[DECIDING].values())
    return float(np.mean(scores)) if scores else 0.0


def _given(recipe: Recipe) -> Sequence[TestCase]:
    path = Path(recipe.dataloader_val.dataset.input_data_path or "")
    return read_testcases(path) if path.is_file() else ()


def _moved(kind: DefectType, clean: Sequence[Path], count: int, folder: Path, seed: int) -> list[TestCase]:
    rng = np.random.default_rng(seed)
    exemplars = [take_apart(i.name, read_picture(i).rgb, read_binary_mask(m) > 0) for i, m in kind.pairs]
    common = traits(exemplars)
    out = []
    for k in range(count):
        surface, e = clean[int(rng.integers(len(clean)))], exemplars[k % len(exemplars)]
        picture = read_picture(surface)
        size = (picture.height, picture.width)
        mask: Bool = warp_mask(e.mask, draw_move(e, common, size, rng), size)
        path = folder / f"{seed}-{k}.png"
        path.write_bytes(png_bytes(mask.astype(np.uint8) * np.uint8(255)))
        out.append(TestCase(image_filename=str(surface), mask_filename=str(path), anomaly_type=kind.key, seed=k))
    return out
