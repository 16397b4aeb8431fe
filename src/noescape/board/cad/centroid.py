"""Placement tables (centroid, pick and place, CPL) of KiCad, JLC and Altium as parts in one frame.

Ours: mm, x to the right, y upwards, seen from above, in the table's own origin; angle counter-clockwise, as seen from
the side where the part stands. How each format's angle is turned to ours:

    KiCad   the footprint's orientation, counter-clockwise, seen from above also for the bottom: there 180 - angle
    JLC     the same numbers (tools make it from KiCad's or EasyEDA's); what the assembler adds for its reels is unknown
    Altium  counter-clockwise, seen from above also for the bottom: there 180 - angle

`bottom_seen_from="below"` takes the bottom's angles as they stand, for tools that have turned them already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from noescape.board.cad.model import Side
from noescape.board.cad.tables import plain, read_text, rows
from noescape.records import DataError

Format = Literal["kicad", "jlc", "altium"]
FORMATS: tuple[Format, ...] = ("kicad", "jlc", "altium")
UNITS = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "mil": 0.0254, "mils": 0.0254, "thou": 0.0254, "in": 25.4,
         "inch": 25.4, "inches": 25.4, '"': 25.4, "cm": 10.0, "um": 0.001, "µm": 0.001}  # fmt: skip
_COLUMNS = {
    "refdes": ("designator", "ref", "refdes", "reference", "referencedesignator", "component", "part"),
    "x": ("centerx", "midx", "posx", "x", "xmm", "locationx", "positionx", "refx"),
    "y": ("centery", "midy", "posy", "y", "ymm", "locationy", "positiony", "refy"),
    "angle": ("rotation", "rot", "angle", "orientation"),
    "side": ("layer", "side", "tb", "boardside", "mountside"),
    "package": ("package", "footprint", "pattern", "footprintdescription"),
    "value": ("val", "value", "comment", "partnumber"),
}
_NUMBER = re.compile(r"^\s*([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.,+-].*)?$")
_TOP = frozenset({"t", "top", "toplayer", "topside", "f", "fcu", "front", "1", "topcu"})
_BOTTOM = frozenset({"b", "bottom", "bottomlayer", "bottomside", "bcu", "back", "bot", "solder", "bottomcu"})


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A row of the table."""

    refdes: str
    value: str
    package: str
    x: float
    y: float
    angle: float
    side: Side


@dataclass(frozen=True, kw_only=True)
class Centroid:
    """A table that was read; `notices`: rows that were left out, and why."""

    format: Format
    encoding: str
    unit: str
    placements: tuple[Placement, ...]
    notices: tuple[str, ...] = ()


def read_centroid(
    path: Path, format_: Format | None = None, *, bottom_seen_from: Literal["above", "below"] = "above"
) -> Centroid:
    """Read a table; `format_` None tells it by its columns. DataError: no header, an unknown unit, no row that is one.

    A row that cannot be used costs itself, with a notice.
    """
    text, encoding = read_text(path)
    preamble, found, header = rows(text, _COLUMNS, ("refdes", "x", "y"), str(path))
    names = dict(zip(_COLUMNS, header, strict=True))
    kind = format_ or _told(preamble, names)
    unit = _unit(path, preamble, names, found, kind)
    placements, notices, seen = [], [], set()
    for number, row in enumerate(found, 1):
        if not row["refdes"] or row["refdes"].lower().startswith(("##", "end")):
            continue
        try:
            item = _placement(row, UNITS[unit], bottom_seen_from)
        except ValueError as error:
            notices.append(f"row {number} ({row['refdes'][:30]}): {error}")
            continue
        if item.refdes in seen:
            notices.append(f"row {number}: {item.refdes} comes twice; the first counts")
            continue
        seen.add(item.refdes)
        placements.append(item)
    if not placements:
        reason = f"; {notices[0]}" if notices else ""
        raise DataError(f"{path}: a {kind} table without one row that could be used{reason}")
    return Centroid(format=kind, encoding=encoding, unit=unit, placements=tuple(placements), notices=tuple(notices))


def _told(preamble: list[str], names: dict[str, str]) -> Format:
    x = plain(names["x"])
    if x in ("centerx", "refx") or any("altium" in line.lower() or "protel" in line.lower() for line in preamble):
        return "altium"
    return "jlc" if plain(names["refdes"]) == "designator" else "kicad"


def _unit(path: Path, preamble: list[str], names: dict[str, str], found: list[dict[str, str]], kind: Format) -> str:
    """From the header's brackets, the cells' endings, the preamble, else mm for KiCad and JLC."""
    words = [match[1] for name in ("x", "y") if (match := re.search(r"\(([^)]*)\)", names[name]))]
    words += [m[2].strip() for row in found[:5] if (m := _NUMBER.match(row["x"])) and m[2]]
    for line in preamble:
        if match := re.search(r"units?(?: used)?\s*[:=]\s*\"?([A-Za-zµ]+)", line, re.IGNORECASE):
            words.append(match[1])
    for word in words:
        if word.lower() in UNITS:
            return word.lower()
        raise DataError(f"{path}: unknown unit {word!r}; known: {', '.join(UNITS)}")
    if kind == "altium":
        raise DataError(f"{path}: no unit anywhere: neither Center-X(mm) nor (mil) nor a line 'Units used: …'")
    return "mm"


def _placement(row: dict[str, str], scale: float, bottom_seen_from: str) -> Placement:
    side_word = plain(row["side"])
    if side_word and side_word not in _TOP | _BOTTOM:
        raise ValueError(f"which side is {row['side']!r}?")
    side: Side = "bottom" if side_word in _BOTTOM else "top"
    x, y = (_length(row[name], scale) for name in ("x", "y"))
    angle = _length(row["angle"], 1.0, degrees=True) if row["angle"] else 0.0
    if side == "bottom" and bottom_seen_from == "above":
        angle = 180.0 - angle
    return Placement(refdes=row["refdes"], value=row["value"], package=row["package"], x=x, y=y, angle=angle % 360.0,
                     side=side)  # fmt: skip


def _length(word: str, scale: float, *, degrees: bool = False) -> float:
    match = _NUMBER.match(word)
    if match is None:
        raise ValueError(f"{word[:30]!r} is no number")
    ending = (match[2] or "").strip().lower()
    value = float(match[1].replace(",", "."))
    if degrees:
        if ending not in ("", "°", "deg", "degrees"):
            raise ValueError(f"{word[:30]!r} is no angle")
    elif ending:
        if ending not in UNITS:
            raise ValueError(f"{word[:30]!r}: unknown unit {ending!r}")
        scale = UNITS[ending]
    if not abs(value * scale) <= 10_000:
        raise ValueError(f"{word[:30]!r} is out of range")
    return value * scale
