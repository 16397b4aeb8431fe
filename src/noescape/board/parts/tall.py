"""Parts that stand out: electrolytic cans, crystals and oscillators, power inductors, push buttons."""

from __future__ import annotations

import math

from noescape.board.parts import materials as m
from noescape.board.parts.glyphs import RAISE, text
from noescape.board.parts.kit import Kit, Plan, Spot, pair
from noescape.board.parts.model import SEAT, Package, Solid
from noescape.board.parts.moulded import value_word
from noescape.board.parts.solids import box, cylinder, prism, rounded_box, turn_z


def can(plan: Plan) -> Package:
    """A surface-mount electrolytic: aluminium can on a black base with two cut corners at the plus; the black segment
    on its lid is the minus, over pad 2."""
    two = pair(plan.spots)
    across, tall = plan.body or (max(0.62 * two.span, 3.0), 0.0)  # names give diameter x height
    radius, half = across / 2, across / 2 + 0.15
    height = tall or plan.height or 0.9 * across
    kit = Kit()
    for key, side in ((two.first, -1.0), (two.second, 1.0)):
        inner, outer = max(0.5 * two.gap, 0.2 * across), min(half + 0.35, 0.47 * two.span)
        ends = sorted((side * inner, side * max(outer, half + 0.1)))
        wide = min(0.7 * two.breadth, 0.35 * across)
        low, high = (ends[0], -wide / 2, SEAT), (ends[1], wide / 2, SEAT + 0.25)
        kit.metal(key, rounded_box(low, high, 0.05), low, high)
    cut = 0.22 * across
    base = [
        (half, -half),
        (half, half),
        (-half + cut, half),
        (-half, half - cut),
        (-half, -half + cut),
        (-half + cut, -half),
    ]
    kit.add("Base", prism(base, SEAT + 0.05, SEAT + 0.14 * across), m.PLASTIC_BLACK)
    top = SEAT + height
    kit.add("Body", cylinder(0, 0, radius, SEAT + 0.12 * across, top, bevel=0.09 * across, steps=40), m.ALUMINIUM)
    kit.add("Marking", _segment(0.86 * radius, 0.42 * radius, top), m.MARK_BLACK)
    word = text(value_word(plan.value, "100"), x=-0.22 * radius, y=0, z=top, height=0.34 * radius, room=0.95 * radius)
    kit.add("Lettering", word, m.MARK_BLACK)
    family = f"ECAP{across:g}".replace(".", "_")
    return kit.package(family=family, name=f"can {across:g} mm", klass="electrolytic", polarised=True,
                       angle=two.angle, x=two.x, y=two.y)  # fmt: skip


def _segment(radius: float, start: float, top: float) -> Solid:
    """The part of a disc right of x = start."""
    turn = math.acos(start / radius)
    arc = [(radius * math.cos(a), radius * math.sin(a)) for a in [turn * (k / 8 - 1) for k in range(17)]]
    return prism(arc, top - 0.01, top + RAISE)


def radial_can(plan: Plan) -> Package:
    """A through-hole electrolytic: sleeved can, a pale stripe down the side of its minus (pad 2)."""
    two = pair(plan.spots)
    across = min(plan.body) if plan.body else max(1.6 * (two.span + two.gap) / 2, 4.0)
    height = plan.height or 1.6 * across
    kit = Kit()
    _wires(kit, plan.spots, two.x, two.y, two.angle, 0.3)
    kit.add("Sleeve", cylinder(0, 0, across / 2, 0.15, height, bevel=0.07 * across, steps=40), m.MARK_BLACK)
    kit.add("Body", cylinder(0, 0, 0.4 * across, height - 0.05, height + 0.05, steps=32), m.ALUMINIUM)
    stripe = rounded_box(
        (0.44 * across, -0.16 * across, 0.3), (0.515 * across, 0.16 * across, height - 0.05 * across), 0.03
    )
    kit.add("Marking", stripe, m.MARK_WHITE)
    return kit.package(family=f"ECAPTH{across:g}".replace(".", "_"), name=f"radial {across:g} mm", klass="electrolytic",
                       polarised=True, angle=two.angle, x=two.x, y=two.y)  # fmt: skip


def crystal(plan: Plan) -> Package:
    """A ceramic crystal or oscillator under a metal lid; the dimple is pin 1."""
    items = plan.spots
    cx, cy, half_x, half_y = around(plan, 0.88)
    height = plan.height or (0.85 if max(half_x, half_y) < 2 else 1.2)
    kit = Kit()
    for s in items:
        _pad_foot(kit, s, cx, cy, half_x, half_y, SEAT + 0.45)
    kit.add(
        "Substrate",
        rounded_box((-half_x, -half_y, SEAT + 0.03), (half_x, half_y, SEAT + 0.6 * height), 0.08),
        m.CERAMIC_GREY,
    )
    inset = 0.1 + 0.03 * min(half_x, half_y)
    top = SEAT + height
    kit.add(
        "Body",
        rounded_box((inset - half_x, inset - half_y, SEAT + 0.5 * height), (half_x - inset, half_y - inset, top), 0.06),
        m.STEEL,
    )
    word = text(value_word(plan.value, "16.000"), x=0, y=0, z=top, height=0.5 * half_y, room=1.4 * half_x)
    kit.add("Marking", word, m.MARK_BLACK)
    first = next((s for s in items if s.key == "1"), items[0])
    spot = ((half_x - 2.2 * inset) * (1 if first.x > cx else -1), (half_y - 2.2 * inset) * (1 if first.y > cy else -1))
    kit.add("Dimple", cylinder(*spot, 0.09 * min(half_x, half_y) + 0.05, top - 0.01, top + RAISE), m.MARK_BLACK)
    size = f"{round(20 * half_x):02d}{round(20 * half_y):02d}"
    return kit.package(
        family=f"XTAL{size}", name=f"crystal {size}", klass="crystal", polarised=len(items) > 2, x=cx, y=cy
    )


def power_inductor(plan: Plan) -> Package:
    """A shielded power inductor: a dark ferrite block with a round winding sunk in its top."""
    two = pair(plan.spots)
    across = min(plan.body) if plan.body else max(0.9 * two.span, 2.0)
    half, height = across / 2, plan.height or max(0.42 * across, 1.0)
    kit = Kit()
    for key, side in ((two.first, -1.0), (two.second, 1.0)):
        ends = sorted((side * 0.6 * half, side * (half + 0.06)))
        wide = min(0.9 * two.breadth, 1.2 * half)
        low, high = (ends[0], -wide / 2, SEAT), (ends[1], wide / 2, SEAT + 0.45 * height)
        kit.metal(key, rounded_box(low, high, 0.05), low, high)
    top = SEAT + height
    kit.add("Body", rounded_box((-half, -half, SEAT + 0.05), (half, half, top), 0.14 * half), m.FERRITE)
    kit.add("Winding", cylinder(0, 0, 0.7 * half, top - 0.1, top + 0.02, steps=36), m.CERAMIC_GREY)
    word = text(
        value_word(plan.value, "100").replace("uH", "").replace("µH", ""),
        x=0,
        y=0,
        z=top + 0.02,
        height=0.5 * half,
        room=0.95 * half,
    )
    kit.add("Marking", word, m.MARK_WHITE)
    size = f"{round(10 * across):02d}"
    return kit.package(family=f"LPOWER{size}", name=f"inductor {across:g} mm", klass="inductor",
                       angle=two.angle, x=two.x, y=two.y)  # fmt: skip


def button(plan: Plan) -> Package:
    """A push button: steel cover, dark round key."""
    cx, cy, half_x, half_y = around(plan, 0.72)
    height = plan.height or 1.8
    kit = Kit()
    for s in plan.spots:
        if s.hole > 0:
            _wires(kit, (s,), cx, cy, 0.0, 0.35)
        else:
            _pad_foot(kit, s, cx, cy, half_x, half_y, SEAT + 0.25)
    kit.add(
        "Substrate", rounded_box((-half_x, -half_y, SEAT + 0.03), (half_x, half_y, 0.7 * height), 0.1), m.PLASTIC_BLACK
    )
    kit.add(
        "Cover",
        box((-0.94 * half_x, -0.94 * half_y, 0.69 * height), (0.94 * half_x, 0.94 * half_y, 0.78 * height)),
        m.STEEL,
    )
    kit.add("Body", cylinder(0, 0, 0.55 * min(half_x, half_y), 0.7 * height, 1.25 * height, bevel=0.1), m.PLASTIC_BLACK)
    return kit.package(family="SWITCH", name="push button", klass="other", x=cx, y=cy)


def around(plan: Plan, share: float) -> tuple[float, float, float, float]:
    """Centre of the pads' bounding box and half the body's size: from the name, laid the way the pads lie, or `share`
    of the box."""
    x0, x1 = min(s.x - s.w / 2 for s in plan.spots), max(s.x + s.w / 2 for s in plan.spots)
    y0, y1 = min(s.y - s.h / 2 for s in plan.spots), max(s.y + s.h / 2 for s in plan.spots)
    half_x, half_y = share * (x1 - x0) / 2, share * (y1 - y0) / 2
    if plan.body:
        long, short = max(plan.body) / 2, min(plan.body) / 2
        half_x, half_y = (long, short) if x1 - x0 >= y1 - y0 else (short, long)
    return (x0 + x1) / 2, (y0 + y1) / 2, max(half_x, 0.3), max(half_y, 0.3)


def _pad_foot(kit: Kit, s: Spot, cx: float, cy: float, half_x: float, half_y: float, top: float) -> None:
    """A metal foot where a pad lies under the body's rim, showing by a hair outside it."""
    x, y = s.x - cx, s.y - cy
    x0, x1 = max(x - 0.42 * s.w, -half_x - 0.02), min(x + 0.42 * s.w, half_x + 0.02)
    y0, y1 = max(y - 0.42 * s.h, -half_y - 0.02), min(y + 0.42 * s.h, half_y + 0.02)
    if x1 - x0 < 0.1 or y1 - y0 < 0.1:  # the pad lies wholly outside the body: a plate on it
        x0, x1, y0, y1, top = x - 0.4 * s.w, x + 0.4 * s.w, y - 0.4 * s.h, y + 0.4 * s.h, SEAT + 0.15
    kit.metal(s.key, rounded_box((x0, y0, SEAT), (x1, y1, top), 0.04), (x0, y0, SEAT), (x1, y1, top))


def _wires(kit: Kit, items: tuple[Spot, ...], cx: float, cy: float, angle: float, top: float) -> None:
    """Round wires standing in the holes, in a frame turned by `angle`."""
    back = turn_z(-angle)
    for s in items:
        x, y = (back[:2, :2] @ [s.x - cx, s.y - cy]).tolist()
        radius = 0.4 * s.hole if s.hole > 0 else 0.3
        wire = cylinder(x, y, radius, -0.8, top, steps=12)
        kit.metal(s.key, wire, (x - radius, y - radius, 0.0), (x + radius, y + radius, top))
