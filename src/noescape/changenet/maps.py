"""The map network as a trainer for rows: whole pairs with boxes in, one checkpoint out; scored by its highest place."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from noescape.changenet.checkpoint import checkpoint_name, write_checkpoint
from noescape.changenet.heat import heat_scale
from noescape.changenet.images import LoadedPair
from noescape.changenet.lines import Progress
from noescape.changenet.mapnet.folder import load_net
from noescape.changenet.mapnet.model import MapModel
from noescape.changenet.mapnet.net import MapNet
from noescape.changenet.mapnet.recipe import MapRecipe
from noescape.changenet.mapnet.train import train_mapnet
from noescape.changenet.pairs import Pair
from noescape.changenet.rows import Files, Row, listed
from noescape.changenet.spec import Spec
from noescape.changenet.trained import Epoch
from noescape.changenet.training import Job
from noescape.files import read_csv
from noescape.imaging import read_picture, resize_rgb
from noescape.records import Box, BundleError, DataError, UsageError, WorkError

SMALL = 96  # px: a NO_PASS image of at most this side counts as defective all over where no box is given
SCALE_ROWS = 200  # held-out rows that measure the loss
Float = npt.NDArray[np.float32]
Key = tuple[str, str]


class MapScorer:
    """Scores are the chance at the map's highest place, as trained (where half of all crops held a defect)."""

    heat_share = 0.0
    kind = "mapnet"

    def __init__(
        self, path: Path, tensors: dict[str, Tensor], card: dict[str, Any], spec: Spec, images_dir: str | Path
    ) -> None:
        self.heat_scale = (float(card["heat_scale"][0]), float(card["heat_scale"][1]))
        self.recipe = MapRecipe.from_json(card["recipe"])
        nets = [_net(tensors, n, self.recipe.width, path) for n in range(self.recipe.nets)]
        self.model = MapModel(nets, self.recipe, card["trained_on"])
        self.files = Files.of(spec.dataset.classify, images_dir)
        _one_light(spec)

    def load(self, row: Row) -> LoadedPair:
        """Both images at their own size; a golden of another size is resized to the input."""
        image = read_picture(self.files.inputs(row)[0]).rgb
        golden = read_picture(self.files.goldens(row)[0][0]).rgb
        if golden.shape != image.shape:
            golden = resize_rgb(golden, *image.shape[:2])
        return LoadedPair(input=image, goldens=golden[None])

    def score(self, pairs: Sequence[LoadedPair]) -> list[float]:
        """Chances between 0 and 1."""
        return [float(np.exp(-np.logaddexp(0.0, -float(self.heat(pair).max())))) for pair in pairs]

    def heat(self, pair: LoadedPair) -> Float:
        """The map, logits `[ceil(H/8), ceil(W/8)]`."""
        return self.model.score(pair.goldens[0], pair.input).map


def fit_maps(job: Job) -> list[Epoch]:
    """Train on `job`; one checkpoint. DataError where a NO_PASS row has neither boxes nor a small image."""
    _one_light(job.spec)
    ours = job.spec.noescape
    kind = "blocks" if ours.registration == "auto" else ours.registration
    recipe = MapRecipe(nets=ours.nets, steps=ours.steps, width=ours.width, registration=kind, seed=job.spec.train.seed)
    pairs = _pairs(job)
    progress = Progress(job.on_line, "map network, steps", recipe.nets * recipe.steps)
    folder = job.out / "mapnet"
    model = train_mapnet(pairs, recipe, folder, lambda done, total, loss: progress.step(done))
    tensors = {
        f"net{n}.{name}": value
        for n in range(recipe.nets)
        for name, value in load_net(folder, n, recipe.width).state_dict().items()
    }
    name = checkpoint_name(0, recipe.nets * recipe.steps)
    card = {"recipe": recipe.to_json(), "trained_on": model.trained_on, "heat_scale": [0.0, 1.0]}
    write_checkpoint(job.out / name, "mapnet", tensors, card)
    scorer = MapScorer(job.out / name, tensors, card, job.spec, job.train.images_dir)
    card["heat_scale"] = heat_scale(scorer, job.train.rows)
    write_checkpoint(job.out / name, "mapnet", tensors, card)
    epoch = Epoch(epoch=0, step=recipe.nets * recipe.steps, file=name, train_loss=None, val_loss=_loss(job, scorer))
    job.epoch_done(epoch, 1)
    return [epoch]


def read_boxes(path: Path) -> dict[Key, list[tuple[Box, str]]]:
    """The boxes of each row by (input_path, object_name), half-open, px; DataError names the line that is wrong."""
    out: dict[Key, list[tuple[Box, str]]] = {}
    try:
        table = read_csv(path)
    except csv.Error as error:
        raise DataError(f"{path}: {error}") from None
    for number, cells in enumerate(table, 1):
        try:
            x0, y0, x1, y1 = (int(cells[name]) for name in ("x0", "y0", "x1", "y1"))
            key = (cells["input_path"], cells["object_name"])
        except (KeyError, ValueError) as error:
            raise DataError(
                f"{path}, row {number}: expected input_path, object_name, x0, y0, x1, y1 in whole pixels ({error})"
            ) from None
        if x0 >= x1 or y0 >= y1:
            raise DataError(f"{path}, row {number}: box {x0} {y0} {x1} {y1} holds nothing")
        out.setdefault(key, []).append(((x0, y0, x1, y1), cells.get("type", "")))
    return out


def _pairs(job: Job) -> list[Pair]:
    given = job.spec.noescape.boxes
    boxes = read_boxes(Path(given)) if given else {}
    files = Files.of(job.spec.dataset.classify, job.train.images_dir)
    pairs, problems, errors = [], [], {}
    for place, row in enumerate(job.train.rows):
        found = boxes.get((row.input_path, row.object_name), []) if row.is_defect else []
        try:
            seen, wanted = files.inputs(row)[0], files.goldens(row)[0][0]
            image, other = read_picture(seen).rgb, read_picture(wanted).rgb
        except (WorkError, OSError) as error:
            errors[place] = str(error)
            continue
        height, width = image.shape[:2]
        if row.is_defect and not found:
            if max(height, width) > SMALL:
                problems.append(f"row {row.number}: {row.label}, {width}x{height} px, no box")
                continue
            found = [((0, 0, width, height), row.label)]
        # Paths where the pair fits together as it is: images are then read when they are needed.
        same = other.shape == image.shape
        pairs.append(
            Pair(
                key=f"{row.input_path}/{row.object_name}",
                golden=wanted if same else resize_rgb(other, height, width),
                test=seen if same else image,
                boxes=tuple(box for box, _ in found),
                types=tuple(kind for _, kind in found),
                group=row.fields.get("boardname", ""),
            )
        )
    if problems:
        title = f"{job.train.csv}: trainer mapnet needs to know where defects are (noescape.boxes); without:"
        raise DataError(listed(title, problems))
    job.skip(job.train, errors)
    return pairs


def _loss(job: Job, scorer: MapScorer) -> float | None:
    rows = job.validation.rows[:SCALE_ROWS]
    losses = []
    scorer.files = Files.of(job.spec.dataset.classify, job.validation.images_dir)
    for place, row in enumerate(rows):
        try:
            logit = float(scorer.heat(scorer.load(row)).max())
        except (WorkError, OSError) as error:
            job.skip(job.validation, {place: str(error)})
            continue
        losses.append(float(np.logaddexp(0.0, -logit if row.is_defect else logit)))
    return float(np.mean(losses)) if losses else None


def _net(tensors: dict[str, Tensor], number: int, width: float, path: Path) -> MapNet:
    own = {n.removeprefix(f"net{number}."): t for n, t in tensors.items() if n.startswith(f"net{number}.")}
    net = MapNet(width)
    try:
        net.load_state_dict(own)
    except RuntimeError as error:
        raise BundleError(
            f"{path}: does not hold map network {number} ({' '.join(str(error).split())[:200]})"
        ) from None
    return net.eval()


def _one_light(spec: Spec) -> None:
    data = spec.dataset.classify
    if len(data.lights) > 1 or data.num_golden > 1:
        raise UsageError("trainer mapnet takes one light and one golden; use cached or finetune")
