"""Connectors as boxes with pins, and through-hole bodies: axial and disc parts, DIP, TO-92, round LEDs."""

from __future__ import annotations

import math

from noescape.board.parts import materials as m
from noescape.board.parts.glyphs import RAISE, text
from noescape.board.parts.kit import Kit, Plan, pair
from noescape.board.parts.model import SEAT, Package
from noescape.board.parts.moulded import lying, moulding, value_word
from noescape.board.parts.solids import box, cylinder, dome, moved, prism, rounded_box
from noescape.board.parts.tall import around


def pin_header(plan: Plan) -> Package:
    """Square gilt pins in a black strip."""
    cx, cy, _, _ = around(plan, 1.0)
    kit = Kit()
    socket = plan.code == "SOCKET"
    high = 8.5 if socket else 2.5
    pitch = _pitch(plan)
    for s in plan.spots:
        x, y, half = s.x - cx, s.y - cy, 0.125 * pitch
        top = high - 0.1 if socket else high + 6.0 * pitch / 2.54
        foot = -1.5 if s.hole > 0 else SEAT
        kit.metal(
            s.key,
            box((x - half, y - half, foot), (x + half, y + half, top)),
            (x - half, y - half, 0.0),
            (x + half, y + half, 1.0),
            m.GOLD,
        )
        block = 0.49 * pitch
        kit.add(
            "Body",
            rounded_box((x - block, y - block, 0.15), (x + block, y + block, high), 0.15 * pitch),
            m.PLASTIC_BLACK,
        )
        if socket:
            kit.add("Hole", box((x - half, y - half, high), (x + half, y + half, high + 0.01)), m.DIMPLE)
    return kit.package(family=f"CONN{len(plan.spots)}", name="pin header", klass="connector", x=cx, y=cy)


def connector(plan: Plan) -> Package:
    """A housing over its pads: pins stick out to surface pads, through-hole ones stand in their holes."""
    cx, cy, half_x, half_y = around(plan, 0.9)
    shell = plan.code == "USB"
    height = plan.height or (2.8 if shell else 4.0 if any(s.hole for s in plan.spots) else 2.5)
    kit = Kit()
    for s in plan.spots:
        x, y = s.x - cx, s.y - cy
        if s.hole > 0:
            r = 0.38 * s.hole
            kit.metal(s.key, cylinder(x, y, r, -1.0, 0.6, steps=12), (x - r, y - r, 0.0), (x + r, y + r, 0.6))
        else:
            w, h = 0.38 * s.w, 0.38 * s.h
            kit.metal(
                s.key,
                rounded_box((x - w, y - h, SEAT), (x + w, y + h, SEAT + 0.2), 0.04),
                (x - w, y - h, SEAT),
                (x + w, y + h, SEAT + 0.2),
            )
    inset_x, inset_y = _off_pads(plan, cx, cy, half_x, half_y)
    kit.add(
        "Body",
        rounded_box((-inset_x, -inset_y, 0.25), (inset_x, inset_y, height), 0.25),
        m.STEEL if shell else m.PLASTIC_WHITE,
    )
    if not shell:
        low, high = (-0.8 * inset_x, -0.55 * inset_y, height), (0.8 * inset_x, 0.55 * inset_y, height + RAISE)
        kit.add("Marking", box(low, high), m.MARK_GREY)
    return kit.package(family=f"CONN{len(plan.spots)}", name="connector", klass="connector", x=cx, y=cy)


def _off_pads(plan: Plan, cx: float, cy: float, half_x: float, half_y: float) -> tuple[float, float]:
    """Half the housing: it leaves a rim of the surface pads free, so that their joints are seen."""
    flat = [s for s in plan.spots if s.hole <= 0]
    if not flat:
        return half_x, half_y
    out_y = max(abs(s.y - cy) + s.h / 2 for s in flat)
    out_x = max(abs(s.x - cx) + s.w / 2 for s in flat)
    if half_x >= half_y:
        return half_x, max(min(half_y, out_y - 0.6 * max(s.h for s in flat)), 0.4 * half_y)
    return max(min(half_x, out_x - 0.6 * max(s.w for s in flat)), 0.4 * half_x), half_y


def _pitch(plan: Plan) -> float:
    first = plan.spots[0]
    apart = [max(abs(s.x - first.x), abs(s.y - first.y)) for s in plan.spots[1:]]
    return min((a for a in apart if a > 0.3), default=2.54)


def axial(plan: Plan) -> Package:
    """A lying body on bent wires: resistor with rings, or a glass diode with a band at pad 1."""
    two = pair(plan.spots)
    pitch = (two.span + two.gap) / 2
    length = min(max(plan.body) if plan.body else 6.3, 0.75 * pitch)
    radius = (min(plan.body) if plan.body else 2.5 if plan.kind != "D" else 2.0) / 2
    kit = Kit()
    z = radius + 0.1
    for key, side in ((two.first, -1.0), (two.second, 1.0)):
        x = side * pitch / 2
        x0, x1 = sorted((side * length / 2 * 0.95, x))
        kit.add(f"Wire_{'1' if side < 0 else '2'}", lying(x0, x1, 0.28, 0.02, z), m.TIN)
        kit.metal(key, cylinder(x, 0, 0.28, -1.0, z + 0.2, steps=12), (x - 0.28, -0.28, 0.0), (x + 0.28, 0.28, z))
    diode = plan.kind == "D"
    kit.add(
        "Body", lying(-length / 2, length / 2, radius, 0.35 * radius, z), m.MARK_BLACK if diode else m.RESISTOR_BEIGE
    )
    for at in (-0.3,) if diode else (-0.32, -0.14, 0.02, 0.3):
        band = lying((at - 0.04) * length, (at + 0.04) * length, radius + 0.02, 0.01, z)
        kit.add("Marking", band, m.MARK_WHITE if diode else m.BROWN_BAR)
    kind = {"D": "diode", "L": "inductor", "C": "capacitor"}.get(plan.kind, "resistor")
    return kit.package(
        family=f"{plan.kind}AXIAL", name="axial", klass=kind, polarised=diode, angle=two.angle, x=two.x, y=two.y
    )


def disc(plan: Plan) -> Package:
    """A ceramic disc or film capacitor standing on two wires."""
    two = pair(plan.spots)
    pitch = (two.span + two.gap) / 2
    length, thick = (max(plan.body), min(plan.body)) if plan.body else (1.1 * pitch + 1, 2.5)
    kit = Kit()
    for key, x in ((two.first, -pitch / 2), (two.second, pitch / 2)):
        kit.metal(key, cylinder(x, 0, 0.28, -1.0, 1.0, steps=12), (x - 0.28, -0.28, 0.0), (x + 0.28, 0.28, 1.0))
    top = 0.6 + 0.9 * length
    kit.add(
        "Body", rounded_box((-length / 2, -thick / 2, 0.5), (length / 2, thick / 2, top), 0.45 * thick), m.EPOXY_ORANGE
    )
    return kit.package(family="CDISC", name="disc", klass="capacitor", angle=two.angle, x=two.x, y=two.y)


def round_led(plan: Plan) -> Package:
    """A through-hole LED with a flat rim, from above a lens."""
    two = pair(plan.spots)
    radius = (min(plan.body) if plan.body else 5.0) / 2
    pitch = (two.span + two.gap) / 2
    kit = Kit()
    for key, x in ((two.first, -pitch / 2), (two.second, pitch / 2)):
        kit.metal(
            key, box((x - 0.25, -0.25, -1.0), (x + 0.25, 0.25, 1.0)), (x - 0.25, -0.25, 0.0), (x + 0.25, 0.25, 1.0)
        )
    kit.add("Rim", cylinder(0, 0, 1.15 * radius, 0.6, 1.6, bevel=0.1), m.LENS_RED)
    kit.add("Column", cylinder(0, 0, radius, 1.6, 1.4 * radius + 2.0), m.LENS_RED)
    kit.add("Body", dome(0, 0, radius, 1.4 * radius + 2.0, radius), m.LENS_RED)
    return kit.package(family=f"LEDTH{2 * radius:g}".replace(".", "_"), name="round LED", klass="led", polarised=True,
                       angle=two.angle, x=two.x, y=two.y)  # fmt: skip


def dip(plan: Plan) -> Package:
    """A dual in-line body over two rows of holes."""
    cx, cy, _, _ = around(plan, 1.0)
    far_x, far_y = max(abs(s.x - cx) for s in plan.spots), max(abs(s.y - cy) for s in plan.spots)
    level = far_x < far_y or len(plan.spots) <= 4
    half_x, half_y = (far_x - 0.75, far_y + 1.0) if level else (far_x + 1.0, far_y - 0.75)
    kit = Kit()
    for s in plan.spots:
        x, y = s.x - cx, s.y - cy
        leg = (0.15, 0.25) if level else (0.25, 0.15)
        kit.metal(
            s.key,
            box((x - leg[0], y - leg[1], -1.5), (x + leg[0], y + leg[1], 2.0)),
            (x - leg[0], y - leg[1], 0.0),
            (x + leg[0], y + leg[1], 2.0),
        )
    kit.add("Body", moulding(half_x, half_y, 0.5, 3.8), m.MOLD)
    first = plan.spots[0]
    notch = (
        (0.0, (half_y - 1) * (1 if first.y > cy else -1))
        if level
        else ((half_x - 1) * (1 if first.x > cx else -1), 0.0)
    )
    kit.add("Dimple", cylinder(*notch, 0.7, 3.79, 3.8 + RAISE), m.DIMPLE)
    letters = text(value_word(plan.value, "IC"), x=0, y=0, z=3.8, height=1.6, room=1.3 * max(half_x, half_y))
    if letters is not None:
        kit.add("Marking", moved(letters, angle=90.0 if level else 0.0), m.MARK_GREY)
    return kit.package(
        family=f"DIP{len(plan.spots)}", name=f"DIP-{len(plan.spots)}", klass="ic", polarised=True, x=cx, y=cy
    )


def half_round(plan: Plan) -> Package:
    """TO-92: a moulded half-round on three wires."""
    cx, cy, _, _ = around(plan, 1.0)
    kit = Kit()
    for s in plan.spots:
        x, y = s.x - cx, s.y - cy
        kit.metal(
            s.key, cylinder(x, y, 0.25, -1.0, 1.5, steps=12), (x - 0.25, y - 0.25, 0.0), (x + 0.25, y + 0.25, 1.5)
        )
    arc = [(2.4 * math.cos(a), 2.4 * math.sin(a)) for a in [math.radians(-35 + 250 * k / 20) for k in range(21)]]
    kit.add("Body", prism(arc, 1.2, 5.8), m.MOLD)
    return kit.package(family="TO92", name="TO-92", klass="transistor", polarised=True, x=cx, y=cy)
