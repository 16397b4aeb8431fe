"""Two-terminal parts: chip capacitors, resistors, inductors, chip diodes and LEDs."""

from __future__ import annotations

from noescape.board.parts import materials as m
from noescape.board.parts.glyphs import stroke, text
from noescape.board.parts.kit import Kit, Pair, Plan, pair
from noescape.board.parts.model import SEAT, Package, Solid
from noescape.board.parts.solids import box, merged, rounded_box

# Imperial code: length, width, height of a capacitor, height of a resistor, length of a terminal.
CHIPS = {
    "01005": (0.4, 0.2, 0.2, 0.13, 0.1), "0201": (0.6, 0.3, 0.3, 0.23, 0.15), "0402": (1.0, 0.5, 0.5, 0.35, 0.25),
    "0603": (1.6, 0.8, 0.8, 0.45, 0.35), "0805": (2.0, 1.25, 0.95, 0.5, 0.45), "1206": (3.2, 1.6, 1.15, 0.55, 0.5),
    "1210": (3.2, 2.5, 1.6, 0.55, 0.5), "1806": (4.5, 1.6, 1.5, 0.6, 0.5), "1812": (4.5, 3.2, 1.6, 0.6, 0.6),
    "2010": (5.0, 2.5, 1.6, 0.6, 0.6), "2220": (5.7, 5.0, 2.0, 0.7, 0.7), "2512": (6.3, 3.2, 1.8, 0.6, 0.7),
}  # fmt: skip
KLASS = {"C": "capacitor", "R": "resistor", "L": "inductor", "D": "diode", "LED": "led"}


def chip(plan: Plan) -> Package:
    """A chip: ceramic, glazed, ferrite or lensed body between two end caps that are tinned all round."""
    two = pair(plan.spots)
    length, width, tall, low, cap = CHIPS[plan.code]
    scale = min(1.0, two.span / length) if two.span < length else 1.0  # never longer than its own pads
    length, cap = length * scale, cap * scale
    kind = plan.kind
    height = low if kind in ("R", "D") else 0.75 * tall if kind == "LED" else 0.9 * tall if kind == "L" else tall
    if plan.height is not None:
        height = plan.height
    kit = Kit()
    _end_caps(kit, two, length, width, height, cap)
    {"R": _resistor, "LED": _led, "D": _diode, "L": _ferrite}.get(kind, _ceramic)(kit, length, width, height, cap, plan)
    polarised = kind in ("D", "LED")
    return kit.package(family=f"{kind}{plan.code}", name=plan.code, klass=KLASS[kind], polarised=polarised,
                       angle=two.angle, x=two.x, y=two.y)  # fmt: skip


def _end_caps(kit: Kit, two: Pair, length: float, width: float, height: float, cap: float) -> None:
    round_by = min(0.06, 0.14 * height)
    for key, side in ((two.first, -1.0), (two.second, 1.0)):
        inner, outer = side * (length / 2 - cap), side * length / 2
        low = (min(inner, outer), -width / 2, SEAT)
        high = (max(inner, outer), width / 2, SEAT + height)
        kit.metal(key, rounded_box(low, high, round_by), low, high)


def _between(length: float, width: float, height: float, cap: float, slim: float, lower: float) -> Solid:
    """The body between the caps, `slim` narrower on each side and `lower` under their top; it reaches into both."""
    x = length / 2 - 0.5 * cap
    return rounded_box((-x, -width / 2 + slim, SEAT + slim), (x, width / 2 - slim, SEAT + height - lower), 0.03 * width)


def _ceramic(kit: Kit, length: float, width: float, height: float, cap: float, plan: Plan) -> None:
    kit.add("Body", _between(length, width, height, cap, 0.015, 0.015), m.CERAMIC_TAN)


def _ferrite(kit: Kit, length: float, width: float, height: float, cap: float, plan: Plan) -> None:
    kit.add("Body", _between(length, width, height, cap, 0.015, 0.015), m.CERAMIC_GREY)


def _resistor(kit: Kit, length: float, width: float, height: float, cap: float, plan: Plan) -> None:
    top = SEAT + height - 0.035
    kit.add("Substrate", _between(length, width, height, cap, 0.01, 0.035), m.ALUMINA)
    x, y = length / 2 - 0.85 * cap, width / 2 - 0.04 * width
    kit.add("Body", rounded_box((-x, -y, top - 0.02), (x, y, top + 0.03), 0.02), m.RESISTOR_GLAZE)
    if width >= 0.7:
        room = 2 * x * 0.8
        kit.add(
            "Marking",
            text(resistor_code(plan.value), x=0, y=0, z=top + 0.03, height=0.55 * width, room=room),
            m.MARK_WHITE,
        )


def resistor_code(value: str) -> str:
    """The digits printed on a chip resistor: `10k` is 103, `4.7k` is 472, `0` is 0; 103 where the value is not read."""
    digits = value.strip().upper().replace("Ω", "R").replace("OHM", "R").split("/")[0].split()
    try:
        word = digits[0]
        factor = next((f for sign, f in (("K", 1e3), ("M", 1e6), ("R", 1.0)) if sign in word), 1.0)
        for sign in "KMR":
            word = word.replace(sign, ".")
        ohm = float(word.strip(".") or "0") * factor
    except (IndexError, ValueError):
        return "103"
    if not 0 < ohm < 1e9:
        return "0"
    if ohm < 10:
        return f"{ohm:.1f}".replace(".", "R")
    power = len(str(int(ohm))) - 2
    return f"{round(ohm / 10**power):02d}{power}"


def _led(kit: Kit, length: float, width: float, height: float, cap: float, plan: Plan) -> None:
    base = 0.4 * height
    x, y = length / 2 - 0.5 * cap, width / 2 - 0.02
    kit.add("Substrate", box((-x, -y, SEAT + 0.02), (x, y, SEAT + base)), m.PLASTIC_WHITE)
    x = length / 2 - 0.75 * cap
    red = any(w in plan.value.lower() for w in ("red", "rot", "rouge"))
    lens = rounded_box((-x, -y, SEAT + base - 0.02), (x, y, SEAT + height + 0.05), 0.12 * width)
    kit.add("Body", lens, m.LENS_RED if red else m.LENS)
    z, half = SEAT + height + 0.05, 0.26 * width  # a green arrow's tail and bar at the cathode, which is pad 1
    bars = [
        stroke((-0.62 * x, -half), (-0.62 * x, half), 0.14 * width, z),
        stroke((-0.6 * x, 0), (0.05 * x, 0), 0.14 * width, z),
    ]
    kit.add("Marking", merged(bars), m.MARK_GREEN)


def _diode(kit: Kit, length: float, width: float, height: float, cap: float, plan: Plan) -> None:
    kit.add("Body", _between(length, width, height + 0.1, cap, 0.01, 0.0), m.MOLD)
    x = length / 2 - cap
    kit.add(
        "Marking",
        stroke((-0.6 * x, -0.4 * width), (-0.6 * x, 0.4 * width), 0.22 * width, SEAT + height + 0.1),
        m.MARK_WHITE,
    )
