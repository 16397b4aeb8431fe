"""A board as its CAD draws it: flat shapes on layers, pads, parts. Nothing of any file format, nothing of a scene.

The frame: x to the right, y upwards, seen from above, mm; angles in degrees counter-clockwise. Layers have KiCad's
names: F.Cu, F.Mask, F.SilkS, F.Paste, Edge.Cuts and the same with B. for the bottom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Points2 = npt.NDArray[np.float64]  # [N, 2], mm
Side = Literal["top", "bottom"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """A line along `points` as wide as a round pen of `width` mm; `filled`: what it encloses, too."""

    layer: str
    points: Points2
    width: float = 0.0
    filled: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Drill:
    """A hole: round, or as long as the line `points` [2, 2] when its ends differ. `plated`: lined with metal."""

    points: Points2
    diameter: float
    plated: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad:
    """Copper that something is soldered to. `copper` are filled drawings whose union is its shape (layer unused).

    `x`, `y`, `width`, `height`, `angle`: the box it was drawn in, in the frame of the board; `corner`: radius of its
    corners over its shorter side (0 sharp, .5 round). `mask_margin`: how much larger the opening in the solder mask is
    than the copper.
    """

    name: str
    shape: str
    x: float
    y: float
    width: float
    height: float
    angle: float
    copper: tuple[Drawing, ...]
    layers: frozenset[str]
    drill: Drill | None = None
    corner: float = 0.0
    mask_margin: float = 0.0

    def on(self, layer: str) -> bool:
        """Whether it has a shape on `layer`; `*.Cu` and `F&B.Cu` in the file mean both sides."""
        side, _, kind = layer.partition(".")
        return bool({layer, f"*.{kind}"} & self.layers) or (side in "FB" and f"F&B.{kind}" in self.layers)


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A file with the body of a part, as the board names it. `offset` mm, `rotation` degrees as KiCad counts them."""

    path: str
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Footprint:
    """A part's place. `body` and `courtyard` are boxes (x0, y0, x1, y1) in the part's own frame, None if not drawn.

    `angle` turns the part's own frame (as its library draws it) into that of the board seen from the side where it
    stands; `kinds`: KiCad's attributes (smd, through_hole, board_only, exclude_from_pos_files …).
    """

    name: str
    refdes: str
    value: str
    x: float
    y: float
    angle: float
    side: Side
    pads: tuple[Pad, ...] = ()
    models: tuple[ModelRef, ...] = ()
    body: tuple[float, float, float, float] | None = None
    courtyard: tuple[float, float, float, float] | None = None
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """One piece of board: its rim counter-clockwise, and its cut-outs; rings [N, 2] without the first point again."""

    rim: Points2
    holes: tuple[Points2, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """All that a scene of a board is made from.

    `drawings`: copper, mask and silk of both sides that belong to no pad (texts are lines already). `vias`: pads
    without a name. `seen_from`: the side from which the frame is looked at; the "F." layers are always those on top.
    `origins`: points of the file's own frame (`page`, `aux`) in this one, for placement tables. `notices`: what was
    left out or guessed while reading, for people.
    """

    name: str
    outlines: tuple[Outline, ...]
    drawings: tuple[Drawing, ...]
    footprints: tuple[Footprint, ...]
    vias: tuple[Pad, ...]
    thickness: float
    layers: frozenset[str]
    mask_color: Mapping[str, str] = field(default_factory=dict)
    silk_color: Mapping[str, str] = field(default_factory=dict)
    finish: str = ""
    seen_from: Side = "top"
    origins: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the rim, mm."""
        rims = np.concatenate([outline.rim for outline in self.outlines])
        low, high = rims.min(axis=0), rims.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])
