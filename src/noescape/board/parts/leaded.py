"""Parts with gull-wing leads: SOT, SOIC and its thin kin, QFP, and power packages with a tab."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from noescape.board.parts import materials as m
from noescape.board.parts.glyphs import RAISE, text
from noescape.board.parts.kit import Kit, Plan, Spot
from noescape.board.parts.model import SEAT, Package, Solid
from noescape.board.parts.moulded import moulding, value_word
from noescape.board.parts.solids import cylinder, moved, rounded_box
from noescape.board.parts.strips import gull

# Body along and across the rows of leads' direction (x: towards the leads, y: along a row), height.
SOTS = {
    "SOT23": (1.3, 2.9, 1.1), "SOT23_5": (1.6, 2.9, 1.15), "SOT23_6": (1.6, 2.9, 1.15), "SOT23_8": (1.6, 2.9, 1.15),
    "SOT323": (1.25, 2.0, 0.95), "SOT353": (1.25, 2.0, 0.95), "SOT363": (1.25, 2.0, 0.95), "SOT143": (1.3, 2.9, 1.1),
    "SOT523": (0.8, 1.6, 0.75), "SOT563": (1.2, 1.6, 0.55), "SOT723": (0.8, 1.2, 0.5),
    "SOT223": (3.5, 6.5, 1.65), "SOT89": (2.5, 4.5, 1.5), "TO252": (6.1, 6.6, 2.3), "TO263": (9.2, 10.2, 4.5),
}  # fmt: skip
HEIGHTS = {"SOIC": 1.6, "SOP": 1.75, "SSOP": 1.7, "TSSOP": 1.0, "MSOP": 0.95, "VSSOP": 0.8, "QFP": 1.4}
TRANSISTORS = ("SOT23", "SOT323", "SOT523", "SOT723", "SOT89", "SOT223", "SOT143", "TO252", "TO263")


@dataclass(frozen=True, kw_only=True)
class Lead:
    """A pad with a lead on it: it lies at `angle` from the body, its far edge at `reach`, `aside` along its row."""

    spot: Spot
    angle: int
    reach: float
    aside: float
    long: float
    wide: float


def leads(items: Sequence[Spot]) -> tuple[tuple[Lead, ...], tuple[Spot, ...], tuple[float, float]]:
    """Pads told apart into leads in rows and pads under the middle; and the middle itself.

    A pad belongs to the side whose outermost pads it lines up with; where both would do (corners, small outlines) its
    own longer side points outwards.
    """
    cx = (min(s.x for s in items) + max(s.x for s in items)) / 2
    cy = (min(s.y for s in items) + max(s.y for s in items)) / 2
    far_x, far_y = max(abs(s.x - cx) for s in items), max(abs(s.y - cy) for s in items)
    scale = max(far_x, far_y, 1e-6)
    rows, middle = [], []
    for s in items:
        x, y = s.x - cx, s.y - cy
        if abs(x) < 0.3 * far_x + 1e-6 and abs(y) < 0.3 * far_y + 1e-6 and len(items) > 3:
            middle.append(s)
            continue
        behind = (far_x - abs(x)) - (far_y - abs(y))
        level = behind < 0 if abs(behind) > 0.15 * scale else s.w >= s.h
        if (far_x if level else far_y) < 0.1 * scale:
            level = not level
        angle = (0 if x >= 0 else 180) if level else (90 if y >= 0 else 270)
        out, side = (abs(x), y if x >= 0 else -y) if level else (abs(y), -x if y >= 0 else x)
        long, wide = (s.w, s.h) if level else (s.h, s.w)
        rows.append(Lead(spot=s, angle=angle, reach=out + long / 2, aside=side, long=long, wide=wide))
    return tuple(rows), tuple(middle), (cx, cy)


def leaded(plan: Plan) -> Package:
    """A body with gull-wing leads on two or four sides, wherever the pads are."""
    rows, middle, (cx, cy) = leads(plan.spots)
    level = {r.angle for r in rows} <= {0, 180}
    smallest = min(s.area for s in plan.spots)
    height = plan.height or (SOTS[plan.code][2] if plan.code in SOTS else HEIGHTS.get(plan.kind, 1.4))
    half_x, half_y = _body(plan, rows, level)
    kit = Kit()
    thick = 0.13 if height < 1.2 else 0.2 if height < 2 else 0.4
    for lead in rows:
        half = half_x if lead.angle in (0, 180) else half_y
        if plan.kind == "SOT" and lead.spot.area > 1.9 * smallest and len(rows) < 7 and plan.code not in ("SOT143",):
            _tab(kit, lead, half, height)
        else:
            _lead(kit, lead, half, height, thick)
    for spot in middle:
        half_w, half_h = 0.45 * spot.w, 0.45 * spot.h
        low, high = (
            (spot.x - cx - half_w, spot.y - cy - half_h, SEAT),
            (spot.x - cx + half_w, spot.y - cy + half_h, SEAT + 0.1),
        )
        kit.metal(spot.key, rounded_box(low, high, 0.02), low, high)
    kit.add("Body", moulding(half_x, half_y, SEAT + 0.06, SEAT + height), m.MOLD)
    _marks(kit, plan, rows, half_x, half_y, SEAT + height)
    count = len(plan.spots) - len(middle)
    family = plan.code or f"{plan.kind}{count}"
    klass = "transistor" if plan.code in TRANSISTORS else "ic"
    return kit.package(family=family, name=family.replace("_", "-"), klass=klass, polarised=True, x=cx, y=cy)


def _body(plan: Plan, rows: Sequence[Lead], level: bool) -> tuple[float, float]:
    """Half the body's size: from the table or the name, laid so that it fits between the rows; else from the pads."""
    inner_x = min((r.reach - r.long for r in rows if r.angle in (0, 180)), default=math.inf)
    inner_y = min((r.reach - r.long for r in rows if r.angle in (90, 270)), default=math.inf)
    size = SOTS[plan.code][:2] if plan.code in SOTS else plan.body
    if size and plan.code in SOTS:
        return (size[0] / 2, size[1] / 2) if level else (size[1] / 2, size[0] / 2)
    if size:
        straight = max(size[0] / 2 - inner_x, size[1] / 2 - inner_y)
        across = max(size[1] / 2 - inner_x, size[0] / 2 - inner_y)
        return (size[0] / 2, size[1] / 2) if straight <= across else (size[1] / 2, size[0] / 2)
    walls = [max(r.reach - 0.25 * r.long - 1.6 * _foot(r), 0.3) for r in rows]
    half_x = min((w for w, r in zip(walls, rows, strict=True) if r.angle in (0, 180)), default=0.0)
    half_y = min((w for w, r in zip(walls, rows, strict=True) if r.angle in (90, 270)), default=0.0)
    run = max(abs(r.aside) + r.wide for r in rows)
    return half_x or run, half_y or run


def _foot(lead: Lead) -> float:
    return min(0.42 * lead.long, 0.6)


def _lead(kit: Kit, lead: Lead, wall: float, height: float, thick: float) -> None:
    end = max(lead.reach - 0.25 * lead.long, wall + 0.15)
    foot = min(_foot(lead), 0.75 * (end - wall))
    wide = 0.7 * lead.wide
    metal = gull(foot_end=end, foot=foot, root=wall, root_z=SEAT + 0.45 * height, width=wide, thickness=thick, z0=SEAT)
    _place(kit, lead, metal, (end - foot, end), wide, SEAT + thick)


def _tab(kit: Kit, lead: Lead, wall: float, height: float) -> None:
    """The wide terminal of a power package: a plate that reaches from under the body out over its pad."""
    tall, wide = min(0.5, 0.25 * height), 0.84 * lead.wide
    end = max(lead.reach - 0.12 * lead.long, wall + 0.3)
    start = min(0.5 * wall, end - 0.5)
    plate = rounded_box((start, -wide / 2, SEAT), (end, wide / 2, SEAT + tall), 0.05)
    _place(kit, lead, plate, (max(wall * 0.9, start), end), wide, SEAT + tall)


def _place(kit: Kit, lead: Lead, metal: Solid, across: tuple[float, float], wide: float, top: float) -> None:
    turn = math.radians(lead.angle)
    c, s = round(math.cos(turn)), round(math.sin(turn))
    ends = [(c * u - s * (lead.aside + v), s * u + c * (lead.aside + v)) for u in across for v in (-wide / 2, wide / 2)]
    low, high = [min(e[k] for e in ends) for k in (0, 1)], [max(e[k] for e in ends) for k in (0, 1)]
    shifted = moved(metal, x=-s * lead.aside, y=c * lead.aside, angle=lead.angle)
    kit.metal(lead.spot.key, shifted, (*low, SEAT), (*high, top))


def _marks(kit: Kit, plan: Plan, rows: Sequence[Lead], half_x: float, half_y: float, top: float) -> None:
    """Pin 1's dimple and the type, printed the way that the body is longer."""
    small = min(half_x, half_y)
    first = next((r for r in rows if r.spot.key.upper() in ("1", "A1")), rows[0])
    corner = _first_corner(first, half_x, half_y)
    if plan.kind != "SOT":
        radius = min(0.5, 0.16 * small)
        kit.add("Dimple", cylinder(*corner, radius, top - 0.01, top + RAISE / 2), m.DIMPLE)
    words = value_word(plan.value, {"SOT": "1AM"}.get(plan.kind, "IC"))
    letters = text(words, x=0, y=0, z=top, height=min(0.55 * small, 1.6), room=1.5 * max(half_x, half_y))
    if letters is not None:
        kit.add("Marking", moved(letters, angle=90.0 if half_y > half_x else 0.0), m.MARK_GREY)


def _first_corner(first: Lead, half_x: float, half_y: float) -> tuple[float, float]:
    turn = math.radians(first.angle)
    c, s = round(math.cos(turn)), round(math.sin(turn))
    x, y = c * first.reach - s * first.aside, s * first.reach + c * first.aside
    inset = 0.3 * min(half_x, half_y)
    return math.copysign(half_x - inset, x), math.copysign(half_y - inset, y if abs(y) > 1e-6 else 1.0)
