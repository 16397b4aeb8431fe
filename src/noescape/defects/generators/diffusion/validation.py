"""How a step is judged: the loss on views that stay the same, and pictures drawn and held against the real ones."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from noescape.defects.generators.checkpoints import KPI
from noescape.defects.generators.diffusion.adapters import Adapters
from noescape.defects.generators.diffusion.denoise import draw, masked_loss, spread_times
from noescape.defects.generators.diffusion.examples import Cropping, TypeExamples, validation_views
from noescape.defects.generators.diffusion.schedule import DRAWN, NOISE, VALIDATION, stream
from noescape.defects.generators.diffusion.window import cut_pair, paste, window_around
from noescape.defects.generators.diffusion.world import World
from noescape.defects.quality.features import PatchReader, open_reader
from noescape.defects.quality.nearest import Float, nearness

LOSS = "masked_loss"
GUIDANCE, RATIO = 7.0, 2.0
Rows = dict[str, dict[str, float]]
Judge = Callable[[int, int], list[float]]


class Validation:
    """The same views, noise and times at every step, shared out over the processes."""

    def __init__(self, adapters: Adapters, examples: Sequence[TypeExamples], cropping: Cropping, world: World) -> None:
        self._adapters, self._examples, self._cropping, self._world = adapters, examples, cropping, world
        self._reader: PatchReader | None = None
        self._real: dict[int, list[Float]] = {}

    def figures(self) -> Rows:
        """`masked_loss`, `mnn_score` and `nn_score` by type, the same on every process."""
        loss = self._gathered(
            [(k, i) for k, e in enumerate(self._examples) for i in range(len(e.judged))], self._loss, 1
        )
        rows: Rows = {LOSS: {key: values[0] for key, values in loss.items()}}
        count = self._adapters.options.validation_images
        if count:
            asked = [(k, i) for k in range(len(self._examples)) for i in range(count)]
            near = self._gathered(asked, self._nearness, 2)
            rows["mnn_score"] = {key: values[1] for key, values in near.items()}
            rows["nn_score"] = {key: values[0] for key, values in near.items()}
        return rows

    def _gathered(self, asked: list[tuple[int, int]], judge: Judge, width: int) -> dict[str, list[float]]:
        """`judge(kind, i)` of each, done by whom it falls to; the mean per type. A sum of slots of which all but one
        are zero gives every process the same bits."""
        slots = torch.zeros(len(asked), width, dtype=torch.float64)
        for n in self._world.share(range(len(asked))):
            slots[n] = torch.tensor(judge(*asked[n]), dtype=torch.float64)
        backbone = self._adapters.backbone
        table = self._world.add_up(slots.to(backbone.device)).cpu().numpy()
        kinds = np.array([kind for kind, _ in asked])
        return {e.key: [float(v) for v in table[kinds == k].mean(axis=0)] for k, e in enumerate(self._examples)}

    def _loss(self, kind: int, number: int) -> list[float]:
        adapters, examples = self._adapters, self._examples[kind]
        crops = adapters.options.validation_crops
        views = validation_views(examples, self._cropping, kind, number, crops)
        rng = stream(self._cropping.seed, VALIDATION, NOISE, kind, number)
        times = spread_times(crops, adapters.backbone, number, len(examples.judged))
        with adapters.at_work(kind):
            told = adapters.told(kind).times(crops)
            loss = masked_loss(adapters.backbone, views, told, times, rng, adapters.options.outside_weight)
        return [float(loss.double().mean())]

    def _nearness(self, kind: int, number: int) -> list[float]:
        adapters, examples = self._adapters, self._examples[kind]
        image, mask = examples.pairs[examples.judged[number % len(examples.judged)]]
        ys, xs = np.nonzero(mask)
        side = int(max(np.ptp(ys) + 1, np.ptp(xs) + 1) * RATIO)
        window = window_around(mask, min(side, max(mask.shape)))
        view, label = cut_pair(image, mask, window, self._cropping.size)
        steps, rng = adapters.options.validation_steps, stream(self._cropping.seed, DRAWN, kind, number)
        drawn = draw(adapters, kind, view, label, guidance=GUIDANCE, steps=steps, rng=rng)
        self._reader = self._reader or open_reader()
        if kind not in self._real:
            self._real[kind] = [self._reader(i, m > 0).unit for i, m in examples.pairs]
        found = nearness(self._reader(paste(image, drawn, mask, window), mask > 0).unit, self._real[kind])
        return [found.nn_score, found.mnn_score] if found else [0.0, 0.0]


def scores_of(output: Path, last: int) -> dict[int, float]:
    """By step up to `last` (0 left out), a figure that is higher for better: mean nn_score, else minus masked_loss."""
    out = {}
    for path in (output / "valid").glob(f"*/{KPI}"):
        if path.parent.name.isdigit() and 0 < int(path.parent.name) <= last:
            with path.open(encoding="utf-8", newline="") as f:
                rows = {row[0]: float(row[-1]) for row in list(csv.reader(f))[1:] if row}
            out[int(path.parent.name)] = rows["nn_score"] if "nn_score" in rows else -rows.get(LOSS, 0.0)
    return out
