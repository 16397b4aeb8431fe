"""What `board import` noted in a stage: size, side, origins, and where each part stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.board.cad.model import Side
from noescape.board.cad.usd import children, read_data
from noescape.records import DataError

ROOT = "/World/PCBA"


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """A part in the stage's frame; `box` (x0, y0, x1, y1) is its body seen from above, in its own frame."""

    refdes: str
    footprint: str
    x: float
    y: float
    angle: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """`origins`: where the CAD's own origins (`page`, `aux`) lie in the stage."""

    side: Side
    size: tuple[float, float]
    px_per_mm: float
    origins: Mapping[str, tuple[float, float]]
    parts: Mapping[str, PartFacts]


def read_facts(path: Path) -> StageFacts:
    """Read them; DataError for a stage that `noescape board import` did not write."""
    if not path.is_file():
        raise DataError(f"{path}: no such stage")
    try:
        facts = json.loads(read_data(path, ROOT)["board"])
        parts: dict[str, PartFacts] = {}
        for name in children(path, f"{ROOT}/Parts"):
            part = _part(json.loads(read_data(path, f"{ROOT}/Parts/{name}")["part"]))
            parts.setdefault(part.refdes, part)
        return StageFacts(
            side="bottom" if facts["side"] == "bottom" else "top",
            size=_pair(facts["size"]),
            px_per_mm=float(facts["px_per_mm"]),
            origins={str(name): _pair(value) for name, value in facts["origins"].items()},
            parts=parts,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{path}: no stage of `noescape board import` (its notes on the board are not there)") from None


def _part(said: dict[str, Any]) -> PartFacts:
    x0, y0, x1, y1 = (float(v) for v in said["box"])
    return PartFacts(refdes=str(said["refdes"]), footprint=str(said["footprint"]), x=float(said["x"]),
                     y=float(said["y"]), angle=float(said["angle"]), box=(x0, y0, x1, y1))  # fmt: skip


def _pair(value: Any) -> tuple[float, float]:
    x, y = value
    return float(x), float(y)
