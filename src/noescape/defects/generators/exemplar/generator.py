"""The exemplar generator: a checkpoint from a few examples in seconds, a picture in a few hundredths of a second."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import cv2
import numpy as np
import numpy.typing as npt

from noescape.datasets.anomalygen import AnomalyGenDataset
from noescape.defects.generators.base import Generated, OnStep
from noescape.defects.generators.checkpoints import open_step, point, save_step
from noescape.defects.generators.exemplar.bank import Bank, TypeBank, bank_files, read_bank
from noescape.defects.generators.exemplar.draw import Drawing, draw_into
from noescape.defects.generators.exemplar.fit import fit_bank, marking_mask
from noescape.defects.generators.exemplar.given import Stock
from noescape.defects.generators.exemplar.jitter import jitter_all
from noescape.defects.generators.exemplar.logdomain import Bool
from noescape.defects.generators.labels import instances_of
from noescape.defects.generators.moved_mask import moved_mask
from noescape.defects.generators.recipe import Recipe, checked_types
from noescape.defects.placement.testcase import TestCase
from noescape.imaging import read_picture
from noescape.records import BundleError, DataError, ImageError

USUAL_GUIDANCE = 7.0
U8 = npt.NDArray[np.uint8]

if TYPE_CHECKING:
    from noescape.defects.quality.judge import Example


class ExemplarGenerator:
    """See `base.Generator`."""

    name: ClassVar[str] = "exemplar"
    parallel: ClassVar[bool] = True

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self._stocks: dict[str, Stock] = {key: bank.stock(key) for key in bank.types}
        self._gallery, self._names = bank.gallery

    @property
    def types(self) -> tuple[str, ...]:
        """The keys that it can draw."""
        return tuple(self.bank.types)

    @classmethod
    def finetune(cls, dataset: AnomalyGenDataset, recipe: Recipe, output: Path, on_step: OnStep) -> Path:
        """Fit a bank and save it as one step: `exemplar.step` of the recipe, else its `trainer.max_iter`.

        Same data set and recipe: same bytes, so that it may be killed and run again. About .1 CPU-s per example.
        """
        types = checked_types(recipe, dataset)
        textures = {t.texture for t in types}
        total = sum(len(t.pairs) for t in types) + sum(len(dataset.clean.get(t, ())) for t in textures)
        done = 0

        def one() -> None:
            nonlocal done
            done += 1
            on_step(done, total)

        bank = fit_bank(dataset, types, recipe.exemplar, one)
        number = recipe.exemplar.step or recipe.trainer.max_iter
        step = save_step(output, number, cls.name, bank_files(bank), {"anomaly_types": list(bank.types)})
        point(output, "best", number)
        return step

    @classmethod
    def load(cls, step: Path) -> Self:
        """Open the folder of one step; about .1 CPU-s per example."""
        opened = open_step(step)
        if opened.generator != cls.name:
            raise BundleError(f"{step}: a checkpoint of the {opened.generator} generator, not of {cls.name}")
        return cls(read_bank(step))

    def examples(self) -> list[Example]:
        """The pieces of the bank: what refining and the filter score against."""
        from noescape.defects.quality.judge import Example  # brings the backbone's libraries

        return [
            Example(kind=kind.key, rgb=piece.rgb, mask=piece.mask > 0)
            for kind in self.bank.types.values()
            for piece in kind.pieces
        ]

    def infer(self, case: TestCase, rng: np.random.Generator) -> Generated:
        """Draw the type's defect into the case's mask; `guidance` scales its contrast (7: as in the exemplar).

        A mask of several parts gets an exemplar for each, up to `iteration_generation_max_instance` parts; beyond that,
        and for types that always come in several parts, one exemplar for all. The crop's and the sampler's values mean
        nothing here. ImageError or DataError: this row cannot be drawn.
        """
        kind = self.bank.types.get(case.anomaly_type)
        if kind is None:
            raise DataError(f"unknown type {case.anomaly_type!r}; the checkpoint has {', '.join(self.types)}")
        clean = read_picture(case.image).rgb
        mask = moved_mask(marking_mask(case.mask), case)
        if mask.shape != clean.shape[:2]:
            size = f"{mask.shape[1]}x{mask.shape[0]}, its image {clean.shape[1]}x{clean.shape[0]}"
            raise ImageError(case.mask, "size", f"is {size}")
        low, high = self.bank.options["strength"]
        drawing = Drawing(
            stock=self._stocks[case.anomaly_type], arms=kind.arms,
            strength=(low * case.guidance / USUAL_GUIDANCE, high * case.guidance / USUAL_GUIDANCE),
            board=_board(case.image, clean.shape[:2]) if "missing" in kind.arms else None,
        )  # fmt: skip
        image, label, told = draw_into(drawing, clean, _parts(mask, kind, case), rng)
        if self.bank.options["jitter"]:
            image, clean, label = jitter_all(image, clean, label, rng)
            told["jitter"] = True
        like = self._gallery.likest(image, label > 0)
        told |= {"ncc": like.ncc, "most_like": self._names[like.example]} if like else {}
        return Generated(
            image=image, mask=label, clean=clean, instances=instances_of(label, case.anomaly_type), provenance=told
        )


def _parts(mask: Bool, kind: TypeBank, case: TestCase) -> list[Bool]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    if kind.scattered or count - 1 > case.iteration_generation_max_instance:
        return [mask]
    return [labels == i for i in range(1, count)]


def _board(image: Path, size: tuple[int, int]) -> Bool | None:
    """Where the CAD mask of a clean image shows bare board (nothing drawn); None without one of the same size."""
    folder = image.parent.parent / "cad_mask"
    for name in (f"{image.stem}.png", f"{image.stem}_cad_mask.png"):
        if (folder / name).is_file():
            try:
                cad = read_picture(folder / name).rgb
            except ImageError:
                return None
            return (cad.max(axis=2) == 0) if cad.shape[:2] == size else None
    return None
