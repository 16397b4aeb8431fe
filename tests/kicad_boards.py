"""Small boards in KiCad's published formats, written by hand: 20 x 10 mm with chips, an SOT-23 and a header."""

from __future__ import annotations

from pathlib import Path

LAYERS_6 = (
    '(0 "F.Cu" signal) (31 "B.Cu" signal) (34 "B.Paste" user) (35 "F.Paste" user) (36 "B.SilkS" user "B.Silkscreen")'
    '(37 "F.SilkS" user "F.Silkscreen") (38 "B.Mask" user) (39 "F.Mask" user) (44 "Edge.Cuts" user)'
    '(47 "F.CrtYd" user) (49 "F.Fab" user)'
)
LAYERS_9 = (
    '(0 "F.Cu" signal) (2 "B.Cu" signal) (13 "F.Paste" user) (15 "B.Paste" user) (5 "F.SilkS" user "F.Silkscreen")'
    '(7 "B.SilkS" user "B.Silkscreen") (1 "F.Mask" user) (3 "B.Mask" user) (25 "Edge.Cuts" user)'
    '(31 "F.CrtYd" user) (35 "F.Fab" user)'
)
VERSIONS = {5: 20171130, 6: 20211014, 7: 20221018, 8: 20240108, 9: 20241229}
RIM = ((100, 50), (120, 50), (120, 60), (100, 60))


class Dialect:
    """What one version of KiCad writes differently from the others."""

    def __init__(self, version: int = 6) -> None:
        self.version = version
        self.head = "module" if version < 6 else "footprint"

    def mark(self) -> str:
        return '(uuid "0e1d2f3a-0000-4000-8000-000000000001")' if self.version >= 8 else "(tstamp 5F0A1B2C)"

    def pen(self, width: float) -> str:
        return f"(stroke (width {width}) (type solid))" if self.version >= 7 else f"(width {width})"

    def layers(self) -> str:
        if self.version < 6:  # copper layers by the user's own names
            return LAYERS_6.replace('"F.Cu"', "Composant").replace('"B.Cu"', "Cuivre").replace('"', "")
        return LAYERS_9 if self.version >= 9 else LAYERS_6

    def line(self, a: tuple[float, float], b: tuple[float, float], layer: str = "Edge.Cuts", width: float = 0.1) -> str:
        return f'(gr_line (start {a[0]} {a[1]}) (end {b[0]} {b[1]}) (layer "{layer}") {self.pen(width)} {self.mark()})'

    def texts(self, ref: str, value: str, layer: str = "F.SilkS", angle: float = 0, mirror: str = "") -> str:
        effects = f"(effects (font (size 1 1) (thickness 0.15)){mirror})"
        if self.version >= 8:
            return (
                f'(property "Reference" "{ref}" (at 0 -2 {angle}) (layer "{layer}") {self.mark()} {effects})'
                f'(property "Value" "{value}" (at 0 2 {angle}) (layer "F.Fab") (hide yes) {self.mark()} {effects})'
            )
        return (
            f'(fp_text reference "{ref}" (at 0 -2 {angle}) (layer "{layer}") {effects} {self.mark()})'
            f'(fp_text value "{value}" (at 0 2 {angle}) (layer "F.Fab") hide {effects} {self.mark()})'
        )

    def smd(
        self, name: str, x: float, y: float, w: float, h: float, angle: float = 0, side: str = "F", more: str = ""
    ) -> str:
        layers = f'"{side}.Cu" "{side}.Paste" "{side}.Mask"'
        return f'(pad "{name}" smd rect (at {x} {y} {angle}) (size {w} {h}) (layers {layers}) {more} {self.mark()})'

    def part(
        self, name: str, ref: str, x: float, y: float, angle: float, pads: str, side: str = "F", more: str = ""
    ) -> str:
        layer = "Composant" if self.version < 6 and side == "F" else f"{side}.Cu"
        mirror = " (justify mirror)" if side == "B" else ""
        texts = self.texts(ref, "100nF", f"{side}.SilkS", angle, mirror)
        place = f"{self.mark()} (at {x} {y} {angle}) (attr smd)"
        return f'({self.head} "{name}" (layer "{layer}") {place} {texts} {more} {pads})'

    def chip(self, ref: str, x: float, y: float, angle: float = 0, side: str = "F") -> str:
        pads = self.smd("1", -0.775, 0, 0.9, 0.95, angle, side) + self.smd("2", 0.775, 0, 0.9, 0.95, angle, side)
        return self.part("Capacitor_SMD:C_0603_1608Metric", ref, x, y, angle, pads, side)

    def rim(self, corners: tuple[tuple[float, float], ...] = RIM) -> str:
        return "".join(self.line(a, b) for a, b in zip(corners, (*corners[1:], corners[0])))

    def board(self, body: str, *, layers: str = "", setup: str = "") -> str:
        return (
            f"(kicad_pcb (version {VERSIONS[self.version]}) (generator pcbnew) (general (thickness 1.6))"
            f'(layers {layers or self.layers()}) (setup (pad_to_mask_clearance 0.05) {setup}) (net 0 "")\n{body}\n)\n'
        )

    def full(self) -> str:
        """All kinds of things at once."""
        sot = "".join(self.smd(n, x, y, 1.0, 0.6) for n, x, y in (("1", -1, -0.95), ("2", -1, 0.95), ("3", 1, 0)))
        pins = "".join(
            f'(pad "{k + 1}" thru_hole circle (at 0 {2.54 * k} 0) (size 1.7 1.7) (drill 1) '
            f'(layers "*.Cu" "*.Mask") {self.mark()})'
            for k in range(2)
        )
        signal = "Composant" if self.version < 6 else "F.Cu"
        zone = (
            f'(zone (net 0) (net_name "") (layer "{signal}") {self.mark()} (hatch edge 0.5) (min_thickness 0.2) '
            "(filled_areas_thickness no) (fill yes) (polygon (pts (xy 113 51) (xy 119 51) (xy 119 53)))"
            f"(filled_polygon {'' if self.version < 6 else f'(layer {signal})'} "
            "(pts (xy 113 51) (xy 119 51) (xy 119 53) (xy 113 53))))"
        )
        return self.board(
            self.rim()
            + f'(gr_circle (center 117 57) (end 118 57) (layer "Edge.Cuts") {self.pen(0.1)} {self.mark()})'
            + self.chip("C1", 103, 53, 90)
            + self.part("Package_TO_SOT_SMD:SOT-23", "Q1", 108, 55, 0, sot)
            + self.part("Connector_PinHeader_2.54mm:PinHeader_1x02_P2.54mm_Vertical", "J1", 112, 55, 0, pins)
            + self.chip("C2", 105, 57, 30, "B")
            + f'(segment (start 103 55) (end 107 55) (width 0.25) (layer "{signal}") (net 0) {self.mark()})'
            + f'(via (at 110 52) (size 0.8) (drill 0.4) (layers "{signal}" "B.Cu") (net 0) {self.mark()})'
            + zone
        )


def write(folder: Path, text: str, name: str = "small.kicad_pcb") -> Path:
    """The board as a file."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path
