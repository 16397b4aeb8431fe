"""The diffusion generator: adapters on an inpainting model, drawn in a window around the mask and pasted back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import cv2
import numpy as np

from noescape.datasets.anomalygen import AnomalyGenDataset
from noescape.datasets.binary_mask import read_binary_mask
from noescape.defects.generators.base import Generated, OnStep
from noescape.defects.generators.checkpoints import open_step
from noescape.defects.generators.diffusion.needs import require_extra
from noescape.defects.generators.diffusion.window import U8, cut_pair, paste, widening, window_of_case
from noescape.defects.generators.diffusion.world import joined, world_of
from noescape.defects.generators.labels import instances_of
from noescape.defects.generators.moved_mask import moved_mask
from noescape.defects.generators.recipe import Recipe, checked_types
from noescape.defects.placement.testcase import TestCase
from noescape.imaging import read_picture
from noescape.records import BundleError, DataError, ImageError

if TYPE_CHECKING:
    from noescape.defects.generators.diffusion.adapters import Adapters

require_extra()  # who asks for this generator hears at once what is missing

MODEL_VARIABLE = "NOESCAPE_DIFFUSION_MODEL"


class DiffusionGenerator:
    """See `base.Generator`. One picture at a time: the model uses the whole device."""

    name: ClassVar[str] = "diffusion"
    parallel: ClassVar[bool] = False

    def __init__(self, adapters: Adapters, size: int) -> None:
        self.adapters, self.size = adapters, size

    @property
    def types(self) -> tuple[str, ...]:
        """The keys that it can draw."""
        return self.adapters.types

    @property
    def examples(self) -> None:
        """None: adapters keep no pictures to score against."""

    @classmethod
    def finetune(cls, dataset: AnomalyGenDataset, recipe: Recipe, output: Path, on_step: OnStep) -> Path:
        """Train adapters, in all processes that torchrun started; only the first of them writes and reports steps."""
        from noescape.defects.generators.diffusion.training import train

        types = checked_types(recipe, dataset)
        with joined() as world:
            return train(types, recipe, output, on_step, world)

    @classmethod
    def load(cls, step: Path) -> Self:
        """Open a saved step and the model under it, which the variable NOESCAPE_DIFFUSION_MODEL may name where it lies
        elsewhere than it did for the training. BundleError when it is another model."""
        from noescape.defects.generators.diffusion.adapters import Adapters
        from noescape.defects.generators.diffusion.backbone import load_backbone
        from noescape.defects.generators.diffusion.state import load_options, restore

        opened = open_step(step)
        if opened.generator != cls.name:
            raise BundleError(f"{step}: a checkpoint of the {opened.generator} generator, not of {cls.name}")
        options, training = load_options(opened.meta)
        options = options.model_copy(update={"model": os.environ.get(MODEL_VARIABLE) or options.model})
        types, size = [str(t) for t in training["anomaly_types"]], int(training["image_size"])
        backbone = load_backbone(options, [options.words(t) for t in types], world_of().device())
        if backbone.fingerprint != training["model_fingerprint"]:
            raise BundleError(
                f"{step}: was trained on another model than {options.model!r} is; name it in {MODEL_VARIABLE}"
            )
        adapters = Adapters(backbone, options, types, seed=0)
        restore(step, adapters, None)
        return cls(adapters, size)

    def infer(self, case: TestCase, rng: np.random.Generator) -> Generated:
        """Draw the type's defect into the case's mask, part by part (all at once where it has more parts than
        `iteration_generation_max_instance`), each in its own window of `crop_ratio`, with `num_steps` of the sampler
        and `guidance`. ImageError or DataError: this row cannot be drawn."""
        import torch

        from noescape.defects.generators.diffusion.denoise import draw

        if case.anomaly_type not in self.types:
            raise DataError(f"unknown type {case.anomaly_type!r}; the checkpoint has {', '.join(self.types)}")
        clean = read_picture(case.image).rgb
        mask = _asked_mask(case, clean)
        kind, image, windows = self.types.index(case.anomaly_type), clean, []
        for part in _parts(mask, case.iteration_generation_max_instance):
            window = window_of_case(part, case)
            view, hole = cut_pair(image, part, window, self.size)
            try:
                drawn = draw(self.adapters, kind, view, hole, guidance=case.guidance, steps=case.num_steps, rng=rng)
            except torch.OutOfMemoryError:
                raise MemoryError("the device has not enough memory to draw at the checkpoint's image_size") from None
            image = paste(image, drawn, part, window, poisson=case.poisson_blend)
            windows.append(window)
        told = {
            "model_fingerprint": self.adapters.backbone.fingerprint,
            "windows_xys": [[w.x, w.y, w.side] for w in windows],
            "widening_px": max(widening(w) for w in windows),
            "guidance": case.guidance,
            "num_steps": case.num_steps,
        }
        return Generated(
            image=image, mask=mask, clean=clean, instances=instances_of(mask, case.anomaly_type), provenance=told
        )


def _asked_mask(case: TestCase, clean: U8) -> U8:
    marked = read_binary_mask(case.mask)
    if marked.shape != clean.shape[:2]:
        size = f"{marked.shape[1]}x{marked.shape[0]}, its image {clean.shape[1]}x{clean.shape[0]}"
        raise ImageError(case.mask, "size", f"is {size}")
    if not marked.any():
        raise ImageError(case.mask, "mask_blank", "marks nothing: expected a mask with white where the defect comes")
    return (moved_mask(marked > 0, case) * np.uint8(255)).astype(np.uint8)


def _parts(mask: U8, most: int) -> list[U8]:
    count, labels = cv2.connectedComponents((mask > 0).astype(np.uint8), connectivity=8)
    if count - 1 > most:
        return [mask]
    return [((labels == i) * np.uint8(255)).astype(np.uint8) for i in range(1, count)]
