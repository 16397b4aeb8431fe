"""A board as KiCad 6 text. KiCad's y points down: it is turned over here and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

from boards.placing import Part
from boards.wiring import DRILL, GROUND, TRACK, VIA, Copper
from noescape.board.parts.footprints import land
from noescape.board.parts.model import Pad

_LAYERS = (
    (0, "F.Cu", "signal"), (31, "B.Cu", "signal"), (34, "B.Paste", "user"), (35, "F.Paste", "user"),
    (36, "B.SilkS", 'user "B.Silkscreen"'), (37, "F.SilkS", 'user "F.Silkscreen"'), (38, "B.Mask", "user"),
    (39, "F.Mask", "user"), (44, "Edge.Cuts", "user"), (46, "B.CrtYd", 'user "B.Courtyard"'),
    (47, "F.CrtYd", 'user "F.Courtyard"'), (48, "B.Fab", "user"), (49, "F.Fab", "user"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A whole board: size in mm, parts, copper, holes for screws (x, y, diameter), fiducials (x, y), words on it."""

    title: str
    width: float
    height: float
    parts: tuple[Part, ...]
    copper: Copper
    holes: tuple[tuple[float, float, float], ...]
    fiducials: tuple[tuple[float, float], ...]
    words: tuple[tuple[str, float, float, float], ...]  # text, x, y, height


class _Writer:
    """Lines with running ids; same sheet, same text."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.count = sheet, 0
        self.lines: list[str] = []

    def id(self) -> str:
        """The next of a row of ids in the shape of a UUID."""
        self.count += 1
        h = hashlib.sha256(f"{self.sheet.title} {self.count}".encode()).hexdigest()
        return f"(tstamp {h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]})"

    def at(self, x: float, y: float) -> str:
        """A place on the page: the board lies 50 mm from its corner."""
        return f"{_n(50 + x)} {_n(50 + self.sheet.height - y)}"


def kicad_text(sheet: Sheet) -> str:
    """The .kicad_pcb file."""
    w = _Writer(sheet)
    about = "A demonstration board drawn for noescape; Apache-2.0"
    w.lines += [
        "(kicad_pcb (version 20211014) (generator noescape_draw_boards)",
        "  (general (thickness 1.6))",
        '  (paper "A4")',
        f'  (title_block (title "{sheet.title}") (comment 1 "{about}"))',
        "  (layers",
        *(f'    ({number} "{name}" {kind})' for number, name, kind in _LAYERS),
        "  )",
        "  (setup (pad_to_mask_clearance 0.05) (solder_mask_min_width 0.1))",
        '  (net 0 "")',
    ]
    w.lines += [f'  (net {n} "{_net(n)}")' for n in sorted(set(sheet.copper.nets.values()) | {GROUND})]
    for i, part in enumerate(sheet.parts):
        _footprint(w, i, part)
    for k, (x, y, across) in enumerate(sheet.holes):
        _hole(w, k, x, y, across)
    for k, (x, y) in enumerate(sheet.fiducials):
        _fiducial(w, k, x, y)
    _outline(w)
    for text, x, y, high in sheet.words:
        font = _font(high, 0.15 * high)
        w.lines.append(f'  (gr_text "{text}" (at {w.at(x, y)}) (layer "F.SilkS") {w.id()} {font})')
    for net, corners in sheet.copper.tracks:
        for a, b in pairwise(corners):
            way = f"(start {w.at(*a)}) (end {w.at(*b)})"
            w.lines.append(f'  (segment {way} (width {_n(TRACK)}) (layer "F.Cu") (net {net}) {w.id()})')
    for net, x, y in sheet.copper.vias:
        size = f"(size {_n(VIA)}) (drill {_n(DRILL)})"
        w.lines.append(f'  (via (at {w.at(x, y)}) {size} (layers "F.Cu" "B.Cu") (net {net}) {w.id()})')
    _plane(w)
    return "\n".join([*w.lines, ")", ""])


def _n(value: float) -> str:
    """A number as KiCad writes it: at most four decimals, no trailing zeros, no minus zero."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _font(size: float, thickness: float) -> str:
    return f"(effects (font (size {_n(size)} {_n(size)}) (thickness {_n(thickness)})))"


def _net(number: int) -> str:
    return "GND" if number == GROUND else f"N{number:03d}"


def _footprint(w: _Writer, index: int, part: Part) -> None:
    turn = f" {part.angle}" if part.angle else ""
    pads = land(part.land)
    half_x, half_y = max(abs(p.x) + p.w / 2 for p in pads), max(abs(p.y) + p.h / 2 for p in pads)
    up = (half_y if part.angle % 180 == 0 else half_x) + 0.62
    # The reference stands above the part as the board is read; in the footprint's own frame that is a turned way.
    x, y = {0: (0.0, -up), 90: (up, 0.0), 180: (0.0, up), 270: (-up, 0.0)}[part.angle % 360]
    w.lines += [
        f'  (footprint "demo:{part.land}" (layer "F.Cu") {w.id()}',
        f"    (at {w.at(part.x, part.y)}{turn})",
        f"    (attr {'through_hole' if any(p.hole for p in pads) else 'smd'})",
    ]
    _text(w, "reference", part.refdes, f"{_n(x)} {_n(y)}{turn and ' 0'}", '(layer "F.SilkS")')
    _text(w, "value", part.value, f"0 {_n(half_y + 1)}{turn}", '(layer "F.Fab") hide')
    for a, b in _marks(half_x, half_y, len(pads)):
        _line(w, (a[0], -a[1]), (b[0], -b[1]), "F.SilkS", 0.12)
    a, b = half_x + 0.25, half_y + 0.25
    for p, q in pairwise(((-a, -b), (a, -b), (a, b), (-a, b), (-a, -b))):
        _line(w, p, q, "F.CrtYd", 0.05)
    for j, pad in enumerate(pads):
        _pad(w, pad, turn, w.sheet.copper.nets[index, j])
    w.lines.append("  )")


def _text(w: _Writer, kind: str, text: str, place: str, layer: str) -> None:
    w.lines.append(f'    (fp_text {kind} "{text}" (at {place}) {layer} {w.id()} {_font(0.6, 0.1)})')


def _line(w: _Writer, a: tuple[float, float], b: tuple[float, float], layer: str, width: float) -> None:
    way = f"(start {_n(a[0])} {_n(a[1])}) (end {_n(b[0])} {_n(b[1])})"
    w.lines.append(f'    (fp_line {way} (layer "{layer}") (width {_n(width)}) {w.id()})')


def _pad(w: _Writer, pad: Pad, turn: str, net: int) -> None:
    disc = pad.corner >= 0.5 and pad.w == pad.h
    shape = "rect" if pad.corner == 0 else "circle" if disc else "roundrect"
    kind, layers, drill = "smd", '"F.Cu" "F.Paste" "F.Mask"', ""
    if pad.hole:
        kind, layers, drill = "thru_hole", '"*.Cu" "*.Mask"', f" (drill {_n(pad.hole)})"
    rounding = f" (roundrect_rratio {_n(pad.corner)})" if shape == "roundrect" else ""
    place = f"(at {_n(pad.x)} {_n(-pad.y)}{turn}) (size {_n(pad.w)} {_n(pad.h)}){drill}"
    w.lines.append(
        f'    (pad "{pad.name}" {kind} {shape} {place} (layers {layers}){rounding} (net {net} "{_net(net)}") {w.id()})'
    )


def _marks(half_x: float, half_y: float, pads: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Silk lines in the footprint's frame (y up): beside small parts; corners and a bar at pin 1 of others."""
    a, b = half_x + 0.2, half_y + 0.2
    if pads == 2:
        inner = 0.25 * half_x
        return [((-inner, half_y + 0.02), (inner, half_y + 0.02)), ((-inner, -half_y - 0.02), (inner, -half_y - 0.02))]
    short = min(0.8, 0.4 * half_x)
    lines = [((a - short, b), (a, b)), ((a, b), (a, b - short)), ((a, -b + short), (a, -b)), ((a, -b), (a - short, -b)),
             ((-a + short, -b), (-a, -b)), ((-a, -b), (-a, -b + short))]  # fmt: skip
    return [*lines, ((-a, b), (-a + 0.45, b)), ((-a, b - 0.02), (-a, b - 0.3))]


def _hole(w: _Writer, k: int, x: float, y: float, across: float) -> None:
    d = _n(across)
    size = f"(at 0 0) (size {d} {d}) (drill {d})"
    _mark(w, f"MountingHole_{d}mm", f"H{k + 1}", "(attr exclude_from_pos_files exclude_from_bom)", x, y)
    w.lines += [f'    (pad "" np_thru_hole circle {size} (layers "*.Cu" "*.Mask") {w.id()})', "  )"]


def _fiducial(w: _Writer, k: int, x: float, y: float) -> None:
    size = "(at 0 0) (size 1 1)"
    _mark(w, "Fiducial_1mm", f"FID{k + 1}", "(attr smd exclude_from_pos_files exclude_from_bom)", x, y)
    w.lines += [f'    (pad "" smd circle {size} (layers "F.Cu" "F.Mask") (solder_mask_margin 0.5) {w.id()})', "  )"]


def _mark(w: _Writer, name: str, refdes: str, attributes: str, x: float, y: float) -> None:
    """The head of a footprint that carries no part."""
    w.lines += [f'  (footprint "demo:{name}" (layer "F.Cu") {w.id()}', f"    (at {w.at(x, y)})", f"    {attributes}"]
    _text(w, "reference", refdes, "0 -1.8", '(layer "F.Fab") hide')


def _outline(w: _Writer, radius: float = 2.0) -> None:
    """A rectangle with round corners on Edge.Cuts."""
    x1, y1, r = w.sheet.width, w.sheet.height, radius
    tail = '(layer "Edge.Cuts") (width 0.1)'
    for a, b in (((r, 0), (x1 - r, 0)), ((x1, r), (x1, y1 - r)), ((x1 - r, y1), (r, y1)), ((0, y1 - r), (0, r))):
        w.lines.append(f"  (gr_line (start {w.at(*a)}) (end {w.at(*b)}) {tail} {w.id()})")
    m = r * (1 - 0.5**0.5)
    for a, mid, b in (((x1 - r, 0), (x1 - m, m), (x1, r)), ((x1, y1 - r), (x1 - m, y1 - m), (x1 - r, y1)),
                      ((r, y1), (m, y1 - m), (0, y1 - r)), ((0, r), (m, m), (r, 0))):  # fmt: skip
        w.lines.append(f"  (gr_arc (start {w.at(*a)}) (mid {w.at(*mid)}) (end {w.at(*b)}) {tail} {w.id()})")


def _plane(w: _Writer) -> None:
    """Ground on the whole bottom side."""
    x1, y1 = w.sheet.width - 0.5, w.sheet.height - 0.5
    corners = " ".join(f"(xy {w.at(x, y)})" for x, y in ((0.5, 0.5), (x1, 0.5), (x1, y1), (0.5, y1)))
    w.lines += [
        f'  (zone (net {GROUND}) (net_name "GND") (layer "B.Cu") {w.id()} (hatch edge 0.508)',
        "    (connect_pads (clearance 0.3))",
        "    (min_thickness 0.25) (filled_areas_thickness no)",
        "    (fill yes (thermal_gap 0.3) (thermal_bridge_width 0.3))",
        f"    (polygon (pts {corners}))",
        f'    (filled_polygon (layer "B.Cu") (pts {corners}))',
        "  )",
    ]
