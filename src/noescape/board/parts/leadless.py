"""Parts without leads: QFN and DFN with pads under their rim, BGA and chip-scale packages on balls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noescape.board.parts import materials as m
from noescape.board.parts.glyphs import RAISE, text
from noescape.board.parts.kit import Kit, Plan
from noescape.board.parts.leaded import Lead, leads
from noescape.board.parts.model import PAD_TOP, SEAT, Package
from noescape.board.parts.moulded import moulding, value_word
from noescape.board.parts.solids import ball, cylinder, moved, rounded_box


def leadless(plan: Plan) -> Package:
    """A flat moulded body whose terminals show as bright ends along its lower rim."""
    rows, middle, (cx, cy) = leads(plan.spots)
    half_x, half_y = _half(plan, rows)
    height = plan.height or (0.85 if min(half_x, half_y) > 0.7 else 0.55)
    kit = Kit()
    for r in rows:
        half = half_x if r.angle in (0, 180) else half_y
        out, inner, wide = half + 0.015, max(half - 0.4, min(0.75 * half, r.reach - r.long)), 0.9 * r.wide
        turn = math.radians(r.angle)
        c, s = round(math.cos(turn)), round(math.sin(turn))
        ends = [(c * u - s * v, s * u + c * v) for u in (inner, out) for v in (r.aside - wide / 2, r.aside + wide / 2)]
        low = (min(e[0] for e in ends), min(e[1] for e in ends), SEAT)
        high = (max(e[0] for e in ends), max(e[1] for e in ends), SEAT + 0.22)
        kit.metal(r.spot.key, rounded_box(low, high, 0.03), low, high)
    for spot in middle:
        low = (spot.x - cx - 0.48 * spot.w, spot.y - cy - 0.48 * spot.h, SEAT)
        high = (spot.x - cx + 0.48 * spot.w, spot.y - cy + 0.48 * spot.h, SEAT + 0.1)
        kit.metal(spot.key, rounded_box(low, high, 0.02), low, high)
    kit.add("Body", moulding(half_x, half_y, SEAT + 0.02, SEAT + height), m.MOLD)
    first = next((r for r in rows if r.spot.key == "1"), rows[0])
    corner = (math.copysign(half_x, first.spot.x - cx), math.copysign(half_y, first.spot.y - cy))
    _marks(kit, plan, corner, half_x, half_y, SEAT + height)
    family = f"{plan.kind}{len(rows)}"
    return kit.package(family=family, name=f"{plan.kind}-{len(rows)}", klass="ic", polarised=True, x=cx, y=cy)


def _half(plan: Plan, rows: Sequence[Lead]) -> tuple[float, float]:
    if plan.body:
        return plan.body[0] / 2, plan.body[1] / 2
    half_x = min((r.reach - 0.4 * r.long for r in rows if r.angle in (0, 180)), default=0.0)
    half_y = min((r.reach - 0.4 * r.long for r in rows if r.angle in (90, 270)), default=0.0)
    run = max(abs(r.aside) + r.wide for r in rows)
    return half_x or run, half_y or run


def on_balls(plan: Plan) -> Package:
    """A laminate with a moulded cap, standing on a ball over every pad."""
    items = plan.spots
    cx = (min(s.x for s in items) + max(s.x for s in items)) / 2
    cy = (min(s.y for s in items) + max(s.y for s in items)) / 2
    pitch = min((math.hypot(s.x - items[0].x, s.y - items[0].y) for s in items[1:]), default=1.0)
    half_x = plan.body[0] / 2 if plan.body else max(s.x for s in items) - cx + 0.9 * pitch
    half_y = plan.body[1] / 2 if plan.body else max(s.y for s in items) - cy + 0.9 * pitch
    kit = Kit()
    land = plan.kind == "LGA"
    stand = SEAT + 0.03 if land else PAD_TOP + 0.42 * pitch
    for s in items:
        radius = 0.5 * min(s.w, s.h) if land else min(0.62 * min(s.w, s.h), 0.36 * pitch)
        x, y = s.x - cx, s.y - cy
        z = min(stand, PAD_TOP + 2 * radius)
        metal = (
            cylinder(x, y, radius, SEAT, stand + 0.02, steps=12)
            if land
            else ball(x, y, radius, max(PAD_TOP - 0.2 * radius, 0.0), steps=12)
        )
        kit.metal(
            s.key, metal, (x - 0.7 * radius, y - 0.7 * radius, SEAT), (x + 0.7 * radius, y + 0.7 * radius, z), m.SOLDER
        )
    board = stand + 0.28
    small = min(half_x, half_y)
    inset = 0.04 * small if small > 3 else 0.0
    kit.add("Substrate", rounded_box((-half_x, -half_y, stand), (half_x, half_y, board), 0.03), m.LAMINATE)
    top = board + (plan.height or (0.75 if small > 3 else 0.4))
    kit.add("Body", moved(moulding(half_x - inset, half_y - inset, 0, top - board), z=board), m.MOLD)
    first = next((s for s in items if s.key.upper() in ("A1", "1")), items[0])
    corner = (math.copysign(half_x - inset, first.x - cx), math.copysign(half_y - inset, first.y - cy))
    _marks(kit, plan, corner, half_x - inset, half_y - inset, top)
    return kit.package(
        family=f"{plan.kind}{len(items)}", name=f"{plan.kind}-{len(items)}", klass="ic", polarised=True, x=cx, y=cy
    )


def _marks(kit: Kit, plan: Plan, corner: tuple[float, float], half_x: float, half_y: float, top: float) -> None:
    small = min(half_x, half_y)
    at = [math.copysign(abs(c) - 0.24 * small, c) for c in corner]
    kit.add("Dimple", cylinder(at[0], at[1], min(0.45, 0.11 * small), top - 0.01, top + RAISE / 2), m.DIMPLE)
    words = value_word(plan.value, "IC")
    letters = text(words, x=0, y=0, z=top, height=min(0.45 * small, 1.8), room=1.3 * max(half_x, half_y))
    if letters is not None:
        kit.add("Marking", moved(letters, angle=90.0 if half_y > 1.05 * half_x else 0.0), m.MARK_GREY)
