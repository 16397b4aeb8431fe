"""Draw the demo boards that ship with noescape, as KiCad 6 files. Ours alone: no design of anyone else was looked at.

    python tools/draw_boards.py            write src/noescape/assets/cookbooks/pcb/*/board.kicad_pcb anew
    python tools/draw_boards.py --check    exit 1 when a shipped file differs from what is drawn

`0603_H100`: 150 small parts of 23 families all over a 54 x 44 mm board, most of them 0603.
`1152819000`: one LQFP-100 in the middle of a dense board of 0402 and 0603 chips, connectors at the rim.
Takes about ten seconds; same bytes every time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from boards.placing import Block, Kind, Names, Part, shelves
from boards.wiring import wire
from boards.writing import Sheet, kicad_text

HOME = Path(__file__).resolve().parent.parent / "src" / "noescape" / "assets" / "cookbooks" / "pcb"
C, R = ("100n", "1u", "22p", "10n"), ("10k", "4k7", "100", "22", "1k", "330")
KINDS = {
    k.land: k
    for k in (
        Kind(land="C_0402", letter="C", values=C), Kind(land="C_0603", letter="C", values=C),
        Kind(land="C_0805", letter="C", values=("10u", "4u7")), Kind(land="C_1206", letter="C", values=("22u",)),
        Kind(land="R_0402", letter="R", values=R), Kind(land="R_0603", letter="R", values=R),
        Kind(land="R_0805", letter="R", values=("0R5", "2k2")), Kind(land="R_1206", letter="R", values=("1R0", "120")),
        Kind(land="L_0603", letter="L", values=("600R", "2u2")), Kind(land="D_0603", letter="D", values=("4148",)),
        Kind(land="LED_0603", letter="D", values=("green", "red")), Kind(land="LED_0805", letter="D", values=("red",)),
        Kind(land="D_SOD-323", letter="D", values=("BAT54", "5V1")),
        Kind(land="D_SOD-123", letter="D", values=("T4", "B0530")),
        Kind(land="CP_EIA-3216", letter="C", values=("106A",)), Kind(land="CP_EIA-3528", letter="C", values=("476C",)),
        Kind(land="SOT-23", letter="Q", values=("1AM", "2N7")), Kind(land="SOT-323", letter="Q", values=("K5X",)),
        Kind(land="SOT-23-5", letter="U", values=("LB3A", "A33")), Kind(land="SOT-363", letter="Q", values=("6CT",)),
        Kind(land="SOIC-8_3.9x4.9mm", letter="U", values=("N358",)),
        Kind(land="QFN-16_3x3mm", letter="U", values=("N16A",)),
        Kind(land="Crystal_SMD_3225", letter="Y", values=("16.000",)),
        Kind(land="LQFP-100_14x14mm", letter="U", values=("NE-100",)),
        Kind(land="TSSOP-16_4.4x5mm", letter="U", values=("N595",)), Kind(land="SOT-223", letter="U", values=("N117",)),
        Kind(land="CP_Elec_4x5.4", letter="C", values=("47",)),
        Kind(land="L_Power_6.3x6.3", letter="L", values=("100",)),
        Kind(land="D_SMA", letter="D", values=("SS14",)),
        Kind(land="PinHeader_2x05_P2.54mm", letter="J", values=("DEBUG",)),
        Kind(land="Conn_JST_1x04", letter="J", values=("BUS",)),
        Kind(land="SW_Push_4x4", letter="S", values=("RESET",)),
    )
}  # fmt: skip


def row(land: str, count: int, angle: int = 0, *, stacked: bool = False) -> Block:
    """`count` parts of a land pattern in a line."""
    return Block(kind=KINDS[land], count=count, angle=angle, stacked=stacked)


def small_parts() -> Sheet:
    """The board with the shape of 0603_H100: small parts everywhere, 23 families."""
    blocks = [
        row("C_0603", 5), row("R_0603", 4), row("R_0402", 3), row("LED_0603", 4),
        row("R_0603", 5, 90), row("SOIC-8_3.9x4.9mm", 1), row("C_0603", 3, stacked=True), row("SOT-23", 2),
        row("C_0805", 3), row("R_1206", 1, 90),
        row("C_0402", 4), row("C_0603", 6), row("D_SOD-323", 2), row("R_0603", 3),
        row("R_0805", 3), row("SOT-23-5", 2), row("CP_EIA-3528", 1), row("R_0603", 4, 90), row("L_0603", 2),
        row("C_1206", 1, 90),
        row("C_0603", 5, 90), row("QFN-16_3x3mm", 1), row("R_0402", 3, stacked=True), row("Crystal_SMD_3225", 1),
        row("C_0402", 2, stacked=True), row("SOT-323", 2), row("LED_0805", 2), row("D_SOD-123", 1),
        row("R_0603", 6), row("C_0603", 4), row("L_0603", 3), row("D_0603", 1),
        row("SOT-363", 2), row("C_0805", 3, 90), row("R_0603", 4, 180), row("CP_EIA-3216", 2), row("SOT-23", 2, 90),
        row("R_0805", 2, 90), row("LED_0603", 1, 90),
        row("C_0603", 5), row("D_SOD-123", 2), row("R_0402", 4), row("C_0402", 3),
        row("C_1206", 2), row("R_0603", 5, 90), row("C_0603", 4, 270), row("R_1206", 2), row("D_SOD-323", 2),
        row("C_0805", 2, 90),
        row("R_0603", 4), row("C_0402", 3, 90), row("C_0603", 3), row("L_0603", 1), row("LED_0603", 1, 180),
        row("D_0603", 1), row("SOT-23", 1, 180),
    ]  # fmt: skip
    width, height = 54.0, 44.0
    parts = shelves(blocks, (1.2, 3.6), (width - 1.2, height - 3.2), Names())
    holes = ((3.0, 2.4, 2.2), (width - 3.0, 2.4, 2.2), (3.0, height - 2.2, 2.2), (width - 3.0, height - 2.2, 2.2))
    words = (("NOESCAPE 0603 H100", 27.0, 1.7, 1.2), ("REV A", 39.0, 1.7, 0.9))
    return sheet("0603_H100", width, height, parts, holes, ((7.0, 2.0), (width - 7.0, 2.0), (7.0, height - 2.0)), words)


def one_chip() -> Sheet:
    """The board with the shape of 1152819000: one large IC in the middle, close ranks of chips round it."""
    width, height, names = 52.0, 55.0, Names()
    middle = KINDS["LQFP-100_14x14mm"]
    refdes, value = names.take(middle)
    parts = [Part(refdes=refdes, value=value, land=middle.land, x=26.0, y=27.0, angle=0)]
    above = [
        row("PinHeader_2x05_P2.54mm", 1, 90), row("C_0603", 4), row("SOT-223", 1), row("CP_Elec_4x5.4", 1),
        row("L_Power_6.3x6.3", 1),
        row("R_0603", 5, 90), row("C_0805", 2, 90), row("C_0402", 10, 90), row("R_0402", 8, 90),
        row("C_0603", 4, 90), row("R_0402", 2),
    ]  # fmt: skip
    below = [
        row("C_0402", 10, 90), row("R_0402", 8, 90), row("R_0603", 5, 90), row("C_0402", 3),
        row("Conn_JST_1x04", 1), row("TSSOP-16_4.4x5mm", 1), row("SW_Push_4x4", 1), row("D_SMA", 1),
        row("LED_0603", 4, 90), row("SOT-23-5", 1),
        row("R_0603", 4), row("C_0603", 4), row("R_0402", 3), row("SOT-23", 1),
    ]  # fmt: skip
    left = [
        row("C_0402", 7, stacked=True), row("R_0603", 6, stacked=True), row("C_0603", 6, stacked=True),
        row("R_0402", 6, stacked=True),
        row("Crystal_SMD_3225", 1), row("C_0402", 2), row("SOT-23", 1), row("R_0402", 3),
    ]  # fmt: skip
    right = [
        row("R_0402", 7, stacked=True), row("C_0603", 5, stacked=True), row("R_0603", 5, stacked=True),
        row("C_0402", 6, stacked=True),
        row("QFN-16_3x3mm", 1), row("C_0805", 2, 90), row("L_0603", 1),
    ]  # fmt: skip
    parts += shelves(above, (1.2, 36.4), (width - 1.2, height - 2.6), names)
    parts += shelves(left, (1.2, 17.6), (15.4, 36.2), names)
    parts += shelves(right, (36.6, 17.6), (width - 1.2, 36.2), names)
    parts += shelves(below, (1.2, 2.5), (width - 1.2, 17.4), names)
    holes = ((2.4, 2.2, 2.2), (width - 2.4, 2.2, 2.2), (2.4, height - 2.2, 2.2), (width - 2.4, height - 2.2, 2.2))
    words = (("NOESCAPE 115 2819 000", 26.0, 1.4, 1.2), ("REV A", 38.0, 1.4, 0.9))
    return sheet(
        "1152819000", width, height, parts, holes, ((6.0, 1.6), (width - 6.0, 1.6), (6.0, height - 1.6)), words
    )


def sheet(
    title: str, width: float, height: float, parts: list[Part], holes: tuple[tuple[float, float, float], ...],
    fiducials: tuple[tuple[float, float], ...], words: tuple[tuple[str, float, float, float], ...],
) -> Sheet:  # fmt: skip
    """The parts, wired."""
    keep_out = [(x, y, d / 2 + 0.3) for x, y, d in holes] + [(x, y, 1.0) for x, y in fiducials]
    return Sheet(title=title, width=width, height=height, parts=tuple(parts),
    copper=wire(parts, width, height, keep_out),
                 holes=holes, fiducials=fiducials, words=words)  # fmt: skip


BOARDS = {"0603_H100": small_parts, "1152819000": one_chip}


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description="Draw the demo boards.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a shipped board differs")
    args = parser.parse_args()
    differs = []
    for name, draw in BOARDS.items():
        path, drawn = HOME / name / "board.kicad_pcb", draw()
        text = kicad_text(drawn)
        if args.check:
            if not path.is_file() or path.read_text("utf-8") != text:
                differs.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"{path}: {len(drawn.parts)} parts, {len(drawn.copper.tracks)} tracks, {len(drawn.copper.vias)} vias")
    for name in differs:
        print(f"{name}: the shipped board is not what this script draws; run python tools/draw_boards.py")
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
