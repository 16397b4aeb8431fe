"""A trained map network at work: a pair in, a map, a score per cell and boxes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from noescape.changenet.cells import cell_scores
from noescape.changenet.mapnet.channels import channels, inverted
from noescape.changenet.mapnet.folder import load_net, read_card
from noescape.changenet.mapnet.net import STRIDE, MapNet
from noescape.changenet.mapnet.prepared import SHRINK
from noescape.changenet.mapnet.recipe import MapRecipe
from noescape.changenet.pairs import Image
from noescape.changenet.register import Registered, bits, register
from noescape.imaging import find_defects
from noescape.records import Box

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What the network says of a pair.

    `map` float32 `[ceil(H/8), ceil(W/8)]` and `cells` float32 `[rows, columns]` are logits: higher = more like a
    defect, 0 = even odds as trained (where half of all crops held one); a cell has the mean of its 4 largest. `boxes`
    surround what lies over the threshold, in pixels, the highest first, with `box_scores`. `registered` is the golden
    as it was compared.
    """

    map: Float
    cells: Float
    boxes: tuple[Box, ...]
    box_scores: tuple[float, ...]
    registered: Registered


class MapModel:
    """The networks of a folder, opened for reading; safe to call from several threads."""

    def __init__(self, nets: Sequence[MapNet], recipe: MapRecipe, trained_on: dict[str, Any]) -> None:
        self.recipe, self.trained_on = recipe, trained_on
        self._nets = [net.folded() for net in nets]

    def score(self, golden: Image, test: Image, *, threshold: float = 0.0) -> Scored:
        """Compare a pair, uint8 `[H, W]` or RGB, of one size (else DataError); cells of `recipe.cell` pixels.

        `threshold`, a logit, decides about boxes only. Cost for 640x640: about 25 ms for registration and 50 ms for
        each network, on one thread.
        """
        registered = register(golden, test, kind=self.recipe.registration, level=self.recipe.level)
        values = self.map_of(golden, registered.golden, test)
        shape = (test.shape[0], test.shape[1])
        boxes, scores = _boxes(values, threshold, shape)
        return Scored(
            map=values,
            cells=cell_scores(values, shape, stride=STRIDE, side=self.recipe.cell),
            boxes=boxes,
            box_scores=scores,
            registered=registered,
        )

    def map_of(self, golden: Image, placed: Image, test: Image) -> Float:
        """Logits `[ceil(H/8), ceil(W/8)]` for a golden that has been registered: `placed`.

        Every network looks twice: at the pair as it is, and turned by 180 degrees with light and dark swapped.
        """
        level = self.recipe.level
        seen = channels(bits(golden, level), bits(placed, level), bits(test, level))
        height, width = seen.shape[:2]
        seen = np.pad(seen, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")
        values = [self._run(seen), self._run(inverted(seen)[::-1, ::-1])[::-1, ::-1]]
        return np.asarray(np.mean(values, axis=0), np.float32)

    def _run(self, seen: npt.NDArray[np.uint8]) -> Float:
        """The mean map of all networks over channels `[H, W, 9]`."""
        x = torch.from_numpy(np.ascontiguousarray(seen)[None]).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            return np.asarray(torch.stack([net(x)[0] for net in self._nets]).mean(0).numpy(), np.float32)


def load_mapnet(folder: Path) -> MapModel:
    """Open what `train_mapnet` made. BundleError names the file that is missing, altered or of another kind."""
    recipe, trained_on = read_card(folder)
    return MapModel([load_net(folder, n, recipe.width) for n in range(recipe.nets)], recipe, trained_on)


def _boxes(values: Float, threshold: float, shape: tuple[int, int]) -> tuple[tuple[Box, ...], tuple[float, ...]]:
    """Boxes around regions of the map over the threshold, grown by what targets were shrunk."""
    _, regions = find_defects(np.ascontiguousarray(values), threshold)
    boxes = []
    for region in regions:
        x0, y0, x1, y1 = (STRIDE * v for v in region.bbox)
        x0, y0 = max(0, x0 - SHRINK), max(0, y0 - SHRINK)
        boxes.append((x0, y0, min(shape[1], x1 + SHRINK), min(shape[0], y1 + SHRINK)))
    return tuple(boxes), tuple(r.max_anomaly_value for r in regions)
