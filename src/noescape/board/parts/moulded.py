"""Two-terminal parts in a moulded body: power diodes (SMA), small ones (SOD), tantalum capacitors; and glass MELF."""

from __future__ import annotations

import numpy as np

from noescape.board.parts import materials as m
from noescape.board.parts.glyphs import stroke, text
from noescape.board.parts.kit import Kit, Pair, Plan, pair
from noescape.board.parts.model import SEAT, Package, Solid
from noescape.board.parts.solids import circle_outline, loft, moved, quarter, rounded_outline
from noescape.board.parts.strips import bent, strip

# Length, width and height of the body, overall length over the leads, width of a lead.
BODIES = {
    "SMA": (4.3, 2.6, 2.2, 5.1, 1.45), "SMB": (4.5, 3.6, 2.3, 5.4, 2.0), "SMC": (6.9, 5.9, 2.3, 7.9, 3.0),
    "SOD123": (2.7, 1.6, 1.1, 3.7, 0.6), "SOD323": (1.7, 1.25, 0.95, 2.5, 0.35), "SOD523": (1.2, 0.8, 0.6, 1.6, 0.3),
    "SOD923": (0.8, 0.6, 0.4, 1.0, 0.25), "2012": (2.0, 1.25, 1.1, 2.0, 0.9), "3216": (3.2, 1.6, 1.6, 3.2, 1.2),
    "3528": (3.5, 2.8, 1.9, 3.5, 2.2), "6032": (6.0, 3.2, 2.5, 6.0, 2.2), "7343": (7.3, 4.3, 2.8, 7.3, 2.4),
}  # fmt: skip
MELF = {"MELF": (5.0, 2.4), "MINIMELF": (3.5, 1.5), "MICROMELF": (2.0, 1.2)}  # length, diameter


def moulded(plan: Plan) -> Package:
    """A moulded body with a flat lead at each end; the bar marks pad 1: a diode's cathode, a capacitor's plus."""
    two = pair(plan.spots)
    length, width, height, over, lead = BODIES[plan.code]
    tantalum = plan.kind == "CT"
    thick = 0.15 if width > 1.3 else 0.1
    kit = Kit()
    if tantalum or plan.code.startswith("SM"):
        _wrapped_leads(kit, two, over / 2, lead, thick, 0.5 * height, length)
        wall = over / 2 - thick - 0.02 if tantalum else length / 2
    else:
        _foot_leads(kit, two, length / 2, over / 2, lead, thick, 0.4 * height)
        wall = length / 2
    body = m.TANTALUM if tantalum else m.MOLD
    kit.add("Body", moulding(wall, width / 2, SEAT + 0.06, SEAT + height), body)
    bar = 0.16 * length
    kit.add("Marking", stroke((-wall + 0.1 * length + bar / 2, -0.42 * width + bar / 2),
    (-wall + 0.1 * length + bar / 2, 0.42 * width - bar / 2),
                              bar, SEAT + height), m.BROWN_BAR if tantalum else m.MARK_WHITE)  # fmt: skip
    word = text(value_word(plan.value, "226C" if tantalum else "A7"), x=0.16 * length, y=0, z=SEAT + height,
                height=0.34 * width, room=0.5 * length)  # fmt: skip
    kit.add("Lettering", word, m.BROWN_BAR if tantalum else m.MARK_GREY)
    family, klass = (f"CT{plan.code}", "capacitor") if tantalum else (plan.code, "diode")
    return kit.package(family=family, name=plan.code, klass=klass, polarised=True, angle=two.angle, x=two.x, y=two.y)


def moulding(half_x: float, half_y: float, z0: float, z1: float) -> Solid:
    """A moulded body: walls that lean in from the parting line to both lids, softly rounded edges."""
    draft = min(0.12, 0.09 * (z1 - z0), 0.2 * min(half_x, half_y))
    soft = min(0.08, 0.15 * (z1 - z0))
    middle = z0 + 0.45 * (z1 - z0)
    rim = [(draft + inset, z) for inset, z in quarter(soft, z1 - soft, up=True)]
    outline = rounded_outline(-half_x, -half_y, half_x, half_y, min(0.15, 0.2 * min(half_x, half_y)) + draft + soft)
    return loft(outline, [(draft, z0), (0.0, middle), *rim])


def _wrapped_leads(kit: Kit, two: Pair, outer: float, lead: float, thick: float, root_z: float, length: float) -> None:
    """Leads bent down the end walls and in under the body."""
    low, edge = SEAT + thick / 2, outer - thick / 2
    wall = edge - 0.12 - (outer - length / 2)
    path = bent([(wall, root_z), (edge, root_z), (edge, low), (edge - 0.22 * length, low)], thick)
    for key, side in ((two.first, 180.0), (two.second, 0.0)):
        sign = 1.0 if side == 0 else -1.0
        box = (sign * (edge - 0.22 * length), -lead / 2, SEAT), (sign * outer, lead / 2, root_z)
        kit.metal(key, moved(strip(path, lead, thick), angle=side), *box)


def _foot_leads(kit: Kit, two: Pair, wall: float, outer: float, lead: float, thick: float, root_z: float) -> None:
    """Leads that leave the end walls, step down and lie flat on the pads."""
    low, heel = SEAT + thick / 2, wall + 0.35 * (outer - wall)
    path = bent([(wall - 0.08, root_z), (wall + 0.02, root_z), (heel, low), (outer, low)], 0.6 * thick)
    for key, side in ((two.first, 180.0), (two.second, 0.0)):
        sign = 1.0 if side == 0 else -1.0
        box = (sign * heel, -lead / 2, SEAT), (sign * outer, lead / 2, SEAT + thick)
        kit.metal(key, moved(strip(path, lead, thick), angle=side), *box)


def melf(plan: Plan) -> Package:
    """A glass (diode) or lacquered (resistor) cylinder lying between two metal caps."""
    two = pair(plan.spots)
    length, across = MELF[plan.code]
    kit = Kit()
    cap, radius = 0.13 * length, across / 2
    for key, side in ((two.first, -1.0), (two.second, 1.0)):
        x0, x1 = sorted((side * (length / 2 - cap), side * length / 2))
        kit.metal(key, lying(x0, x1, radius, 0.06), (x0, -radius, SEAT), (x1, radius, SEAT + across))
    diode = plan.kind == "D"
    kit.add("Body", lying(-length / 2 + 0.9 * cap, length / 2 - 0.9 * cap, 0.93 * radius, 0.01, SEAT + radius),
            m.GLASS if diode else m.RESISTOR_BEIGE)  # fmt: skip
    for at in (-0.26,) if diode else (-0.26, -0.1, 0.06, 0.24):
        band = lying((at - 0.045) * length, (at + 0.045) * length, 0.945 * radius, 0.005, SEAT + radius)
        kit.add("Marking", band, m.MARK_BLACK if diode else m.BROWN_BAR)
    return kit.package(family=plan.code, name=plan.code, klass="diode" if diode else "resistor", polarised=diode,
                       angle=two.angle, x=two.x, y=two.y)  # fmt: skip


def lying(x0: float, x1: float, radius: float, bevel: float, z: float | None = None) -> Solid:
    """A cylinder along x whose axis lies at height `z` (None: it rests on the solder)."""
    height = SEAT + radius if z is None else z
    levels = [*quarter(bevel, x0 + bevel, up=False, steps=2), *quarter(bevel, x1 - bevel, up=True, steps=2)]
    upright = loft(circle_outline(0, 0, radius), levels)
    points = np.roll(upright.points, 1, axis=1)  # z becomes x, x becomes y, y becomes z
    points[:, 2] += height
    return Solid(points, upright.faces, None if upright.normals is None else np.roll(upright.normals, 1, axis=1))


def value_word(value: str, otherwise: str) -> str:
    """The first word of a part's value, six signs at most, as a maker would print it."""
    words = value.replace(",", " ").split()
    return words[0][:6] if words and words[0] not in ("~", "DNP") else otherwise
