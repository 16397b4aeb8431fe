"""The door to the parts library: a footprint's name and pads in, a part that stands on those pads out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from noescape.board.parts.chips import CHIPS, chip
from noescape.board.parts.connectors import axial, connector, dip, disc, half_round, pin_header, round_led
from noescape.board.parts.kit import Plan, Spot, pair, spots
from noescape.board.parts.leaded import leaded, leads
from noescape.board.parts.leadless import leadless, on_balls
from noescape.board.parts.model import Package, Pad
from noescape.board.parts.moulded import melf, moulded
from noescape.board.parts.names import Name, read_name
from noescape.board.parts.tall import button, can, crystal, power_inductor, radial_can

BUILDERS: dict[str, Callable[[Plan], Package]] = {
    "CHIP": chip, "SOD": moulded, "SMX": moulded, "CT": moulded, "MELF": melf, "CAN": can, "RADIAL": radial_can,
    "SOT": leaded, "SOIC": leaded, "SOP": leaded, "SSOP": leaded, "TSSOP": leaded, "MSOP": leaded, "VSSOP": leaded,
    "QFP": leaded, "QFN": leadless, "DFN": leadless, "BGA": on_balls, "LGA": on_balls, "XTAL": crystal,
    "LPOWER": power_inductor, "SW": button, "HEADER": pin_header, "CONN": connector, "AXIAL": axial, "DISC": disc,
    "LEDTH": round_led, "DIP": dip, "TO92": half_round,
}  # fmt: skip
SMALLEST = 0.02  # mm: less copper than that carries nothing
_TWO = ("CHIP", "SOD", "SMX", "CT", "MELF", "CAN", "RADIAL", "AXIAL", "DISC", "LEDTH", "LPOWER")


def package_for(footprint: str, pads: Sequence[Pad], value: str = "", refdes: str = "") -> Package | None:
    """The part for a footprint, in the footprint's frame (y up), standing on its pads.

    `pads` are those on the part's side, in the footprint's frame, turned as it is at 0 degrees. Names that say nothing
    are made up for by the pads; `refdes` (R12, C3) tells sorts apart that share a footprint. None for what carries no
    part: mounting holes, fiducials, test points, footprints without pads. Terminals are keyed by pad name, repeated
    names by `pad_keys`. Same input, same part; 0.2 to 20 ms.
    """
    name = read_name(footprint, refdes)
    items = spots([p for p in pads if p.w >= SMALLEST and p.h >= SMALLEST])
    if name.ignore or not items:
        return None
    kind, code = _settled(name, items)
    build = BUILDERS[kind]
    part = name.part if kind in ("CHIP", "AXIAL") else "D" if kind in ("SOD", "SMX") else name.part
    label = {
        "CHIP": _sort(part),
        "SOD": "D",
        "SMX": "D",
        "CT": "CT",
        "AXIAL": part,
        "MELF": "R" if part == "R" else "D",
    }
    plan = Plan(kind=label.get(kind, kind), code=code, body=name.body, height=name.height, value=value, spots=items)
    package = build(plan)
    if name.part in ("D", "LED") and package.klass in ("ic", "transistor"):  # an outline that transistors have, too
        return replace(package, klass="led" if name.part == "LED" else "diode")
    return package


def _sort(part: str) -> str:
    return part if part in ("C", "R", "L", "D", "LED") else "C"


def _settled(name: Name, items: tuple[Spot, ...]) -> tuple[str, str]:
    """Kind and code: the name's where the pads can carry it, else the pads'."""
    kind, code, count = name.kind, name.code, len(items)
    if count < 2 and kind not in ("CONN", "HEADER"):
        return "CONN", ""
    if kind in _TWO and count < 2:
        kind = ""
    if kind == "CHIP" and count > 3:  # resistor networks and the like
        kind = ""
    if kind in ("SOT", "SOIC", "SOP", "SSOP", "TSSOP", "MSOP", "VSSOP", "QFP", "QFN", "DFN") and count < 3:
        kind = ""
    if not kind:
        kind, code = _by_pads(name, items)
    if kind == "CHIP" and not code:
        code = nearest_chip(items)
    return kind, code


def _by_pads(name: Name, items: tuple[Spot, ...]) -> tuple[str, str]:
    """What pads alone say."""
    count, holes = len(items), sum(s.hole > 0 for s in items)
    if holes * 2 > count:
        if count == 2 and name.part in ("R", "L", "D"):
            return "AXIAL", ""
        if count == 2 and name.part == "C":
            return "DISC", ""
        return "CONN", ""
    if name.part in ("J", "P", "CN", "X", "K", "CON"):
        return "CONN", ""
    if count == 2:
        if name.part == "L" and pair(items).breadth > 2.2:
            return "LPOWER", ""
        if name.part == "Y":
            return "XTAL", ""
        return "CHIP", nearest_chip(items)
    if count in (3, 4) and name.part in ("Y", "X"):
        return "XTAL", ""
    if count == 3 and name.part in ("Q", "D", "U", "T", "VR", "TR", ""):
        return "SOT", "SOT23" if _reach(items) < 3 else "SOT223"
    rows, middle, _ = leads(items)
    if _is_grid(items, len(rows)):
        return "BGA", ""
    sides = {r.angle for r in rows}
    if len(sides) > 2 and count >= 12:
        return ("QFN" if middle and _slender(items) else "QFP"), ""
    if count >= 4 and len(sides) == 2:
        return ("DFN" if middle else "SOIC"), ""
    return "CONN", ""


def _reach(items: tuple[Spot, ...]) -> float:
    return max(max(s.x for s in items) - min(s.x for s in items), max(s.y for s in items) - min(s.y for s in items))


def _slender(items: tuple[Spot, ...]) -> bool:
    return min(max(s.w, s.h) for s in items) < 1.0


def _is_grid(items: tuple[Spot, ...], outer: int) -> bool:
    """Round pads in several rows and columns: balls."""
    round_pads = all(abs(s.w - s.h) < 0.1 * max(s.w, s.h) for s in items)
    columns, rows = len({round(s.x, 2) for s in items}), len({round(s.y, 2) for s in items})
    return round_pads and len(items) >= 9 and columns >= 3 and rows >= 3 and len(items) > 0.4 * columns * rows


def nearest_chip(items: tuple[Spot, ...]) -> str:
    """The chip whose body fits best between the outer edges of two pads."""
    two = pair(items)

    def misfit(code: str) -> float:
        length, width = CHIPS[code][:2]
        return abs(length - 0.69 * two.span) / length + 0.4 * abs(width - 0.87 * two.breadth) / width

    return min(CHIPS, key=misfit)
