"""Parts: closed solids, packages that stand on their pads, marks that tell which way round, names in any dialect."""

from __future__ import annotations

import hashlib
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.board.parts.chips import resistor_code
from noescape.board.parts.footprints import NAMES, land
from noescape.board.parts.glyphs import text
from noescape.board.parts.model import SEAT, Package, Pad, pad_keys
from noescape.board.parts.names import read_name
from noescape.board.parts.packages import package_for
from noescape.board.parts.solids import (
    ball,
    box,
    circle_outline,
    cylinder,
    dome,
    loft,
    moved,
    prism,
    rounded_box,
    rounded_outline,
)  # fmt: skip
from noescape.board.parts.strips import bent, gull, strip
from noescape.records import UsageError
from solid_checks import open_edges, sound, volume, wrong_way

KLASSES = {
    "capacitor", "resistor", "inductor", "diode", "led", "transistor", "ic", "connector", "crystal", "electrolytic",
    "other",
}  # fmt: skip
SOLIDS = {
    "box": box((0, 0, 0), (1, 2, 3)),
    "rounded box": rounded_box((-1, -1, 0), (1, 2, 0.5), 0.1),
    "cylinder": cylinder(1, 2, 0.5, 0, 3, bevel=0.1),
    "dome": dome(0, 0, 1, 0.2, 0.5),
    "ball": ball(0, 0, 0.3, 0.05),
    "corner": prism([(0, 0), (0, 2), (1, 2), (1, 1), (2, 1), (2, 0)], 0, 1),
    "lead": gull(foot_end=3, foot=0.6, root=1.9, root_z=0.8, width=0.4, thickness=0.2, z0=0.05),
    "tight lead": gull(foot_end=1.0, foot=0.3, root=0.9, root_z=0.5, width=0.2, thickness=0.1, z0=0.05),
    "strip": strip(bent([(0, 1), (1, 1), (1, 0), (0.5, 0)], 0.2), 1.0, 0.1),
    "cone": loft(circle_outline(0, 0, 1), [(0, 0), (0.9, 1)]),
    "word": text("AB3", x=0, y=0, z=1, height=1, room=4),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_every_solid_is_closed_and_faces_outwards(name: str) -> None:
    """No edge is open, the volume is positive, normals lie on the side of their faces."""
    item = SOLIDS[name]
    assert item is not None
    sound(item)
    assert open_edges(item) == 0
    assert volume(item) > 0
    if item.normals is not None:
        assert wrong_way(item) <= (0.05 if name == "tight lead" else 0)  # sheet metal bent sharper than it is thick


def test_volumes_are_those_of_the_shapes_drawn() -> None:
    assert volume(SOLIDS["box"]) == pytest.approx(6, rel=1e-6)
    assert volume(SOLIDS["corner"]) == pytest.approx(3, rel=1e-6)
    assert volume(cylinder(5, 5, 2, 0, 1, steps=96)) == pytest.approx(4 * math.pi, rel=0.01)
    assert volume(ball(0, 0, 1, 0, steps=64)) == pytest.approx(4 / 3 * math.pi, rel=0.06)
    assert volume(SOLIDS["lead"]) == pytest.approx(0.4 * 0.2 * 1.7, rel=0.25)


def test_a_planted_hole_is_found() -> None:
    """The checker itself can fail."""
    item = SOLIDS["box"]
    assert item is not None
    assert open_edges(item._replace(faces=item.faces[1:])) > 0
    assert volume(item._replace(faces=item.faces[:, ::-1])) < 0


@settings(max_examples=30)
@given(st.floats(0.05, 20), st.floats(0.05, 20), st.floats(0.05, 20), st.floats(0, 5))
def test_rounded_boxes_of_any_size_are_closed_and_keep_their_size(x: float, y: float, z: float, radius: float) -> None:
    """Also where the radius is larger than the box."""
    item = rounded_box((0, 0, 0), (x, y, z), radius)
    assert open_edges(item) == 0 and 0 < volume(item) <= x * y * z * 1.0001
    assert np.allclose(item.points.max(0), (x, y, z), rtol=1e-4, atol=1e-4)


def test_quarter_turns_are_exact() -> None:
    item = moved(box((0, 0, 0), (1, 2, 3)), angle=90)
    assert item.points[:, 0].min() == -2 and item.points[:, 1].max() == 1
    flat, outward = rounded_outline(0, 0, 2, 1, 0.2)
    assert flat.min() >= 0 and np.allclose(np.linalg.norm(outward, axis=1), 1)


@cache
def _part(name: str, value: str = "10k", refdes: str = "") -> Package:
    part = package_for(name, land(name), value, refdes)
    assert part is not None
    return part


@pytest.mark.parametrize("name", NAMES)
def test_every_package_stands_on_all_its_pads(name: str) -> None:
    """Each pad has its terminal, over that pad, within reach of its solder; nothing of a surface part is below it."""
    part, pads = _part(name), land(name)
    assert set(part.terminals) == set(pad_keys([p.name for p in pads]))
    assert part.klass in KLASSES and part.family.isidentifier()
    for key, pad in zip(pad_keys([p.name for p in pads]), pads, strict=True):
        box_ = part.terminals[key]
        wide = min(box_.x1, pad.x + pad.w / 2) - max(box_.x0, pad.x - pad.w / 2)
        high = min(box_.y1, pad.y + pad.h / 2) - max(box_.y0, pad.y - pad.h / 2)
        assert wide > 0.05 and high > 0.05, f"{key} stands beside its pad"
        assert box_.z0 <= SEAT + 1e-6 < box_.z1
    low = min(float(p.points[:, 2].min()) for p in part.pieces)
    assert low >= (-2 if any(p.hole for p in pads) else 0), "it is sunk into the board"
    assert part.height == pytest.approx(max(float(p.points[:, 2].max()) for p in part.pieces))
    assert 0.2 < part.height < 12


@pytest.mark.parametrize("name", NAMES)
def test_pieces_are_sound_and_their_bodies_closed(name: str) -> None:
    """What a renderer gets is whole; each solid closed, also after it was merged with others."""
    part = _part(name)
    assert len({(p.name, p.terminal) for p in part.pieces}) == len(part.pieces)
    for piece in part.pieces:
        sound(piece)
        assert open_edges(piece) == 0, piece.name
        assert piece.terminal is None or piece.terminal in part.terminals


def test_the_same_footprint_gives_the_same_bytes() -> None:
    def digest() -> str:
        whole = hashlib.sha256()
        for name in ("C_0603", "R_0805", "SOT-23-5", "LQFP-48_7x7mm", "BGA-64_8x8mm", "CP_Elec_4x5.4"):
            part = package_for(name, land(name), "10k")
            assert part is not None
            for piece in part.pieces:
                whole.update(piece.points.tobytes() + piece.faces.tobytes())
        return whole.hexdigest()

    assert digest() == digest()


@pytest.mark.parametrize("name", [n for n in NAMES if _part(n).polarised])
def test_a_polarised_part_turned_round_looks_different_from_above(name: str) -> None:
    """Something on its top is not where it was after half a turn."""
    part = _part(name, "A1")
    tops = [p for p in part.pieces if p.name in ("Marking", "Dimple", "Lettering")]
    assert tops
    spots = np.concatenate([p.points[:, :2] for p in tops])
    middle = np.array([(b.x0 + b.x1, b.y0 + b.y1) for b in part.terminals.values()]).mean(0) / 2
    turned = 2 * middle - spots
    nearest = np.array([np.abs(spots - t).sum(1).min() for t in turned])
    assert nearest.max() > 0.1


@pytest.mark.parametrize(
    ("footprint", "refdes", "family", "klass"),
    [
        ("Capacitor_SMD:C_0603_1608Metric", "C1", "C0603", "capacitor"),
        ("Resistor_SMD:R_0402_1005Metric_Pad0.72x0.64mm", "R1", "R0402", "resistor"),
        ("SM0805", "C7", "C0805", "capacitor"), ("SM0805", "R7", "R0805", "resistor"),
        ("C0603", "C1", "C0603", "capacitor"),
        ("R_0201_0603Metric", "R1", "R0201", "resistor"), ("LED_SMD:LED_0603_1608Metric", "D1", "LED0603", "led"),
        ("Inductor_SMD:L_0603_1608Metric", "L1", "L0603", "inductor"), ("C_1608", "C1", "C0603", "capacitor"),
        ("Diode_SMD:D_SOD-123", "D1", "SOD123", "diode"), ("Diode_SMD:D_SMA", "D1", "SMA", "diode"),
        ("Capacitor_Tantalum_SMD:CP_EIA-3528-21_Kemet-B", "C1", "CT3528", "capacitor"),
        ("Capacitor_SMD:CP_Elec_6.3x5.4", "C1", "ECAP6_3", "electrolytic"),
    ],
)  # fmt: skip
def test_names_of_two_terminal_parts(footprint: str, refdes: str, family: str, klass: str) -> None:
    """KiCad's names, old and new, and bare ones that only the reference tells apart."""
    pads = [Pad(name="1", x=-0.8, y=0, w=0.8, h=0.9), Pad(name="2", x=0.8, y=0, w=0.8, h=0.9)]
    part = package_for(footprint, pads, "", refdes)
    assert part is not None and (part.family, part.klass) == (family, klass)


@pytest.mark.parametrize(
    ("footprint", "kind", "body"),
    [
        ("LQFP-48_7x7mm_P0.5mm", "QFP", (7, 7)), ("SOIC-8_3.9x4.9mm_P1.27mm", "SOIC", (3.9, 4.9)),
        ("QFN-16-1EP_4x4mm_P0.65mm_EP2.1x2.1mm", "QFN", (4, 4)), ("PinHeader_1x04_P2.54mm_Vertical", "HEADER", None),
        ("TSSOP-16_4.4x5mm_P0.65mm", "TSSOP", (4.4, 5)), ("USB_Micro-B_Molex", "CONN", None),
        ("BGA-256_14.0x14.0mm_Layout16x16_P0.8mm", "BGA", (14, 14)),
        ("Crystal_SMD_3225-4Pin_3.2x2.5mm", "XTAL", (3.2, 2.5)),
    ],
)  # fmt: skip
def test_names_of_larger_parts(footprint: str, kind: str, body: tuple[float, float] | None) -> None:
    found = read_name(footprint)
    assert (found.kind, found.body) == (kind, body)


@pytest.mark.parametrize(
    "name",
    ["MountingHole_2.2mm", "Plain_Hole_3mm", "GS2", "Fiducial_1mm_Mask2mm", "TestPoint_Pad_D1.0mm", "OSHW-Logo2_7mm"],
)
def test_what_is_no_part_stays_empty(name: str) -> None:
    assert package_for(name, land("C_0603")) is None


@pytest.mark.parametrize(
    ("footprint", "refdes", "land_of", "family", "klass"),
    [
        ("R_1206_3216Metric", "C4", "C_1206", "C1206", "capacitor"),
        ("R_0603_1608Metric", "FB1", "R_0603", "L0603", "inductor"),
        ("LED_0603_1608Metric", "R1", "LED_0603", "LED0603", "led"),
        ("D_SOT-23_ANK", "D1", "SOT-23", "SOT23", "diode"),
        ("R_Axial_DIN0207_L6.3mm_D2.5mm", "R1", "R_2512", "RAXIAL", "resistor"),
        ("PLCC-48", "U1", "LQFP-48_7x7mm", "QFP48", "ic"),
        ("DSUB-9_Female_MountingHoles", "J1", "PinHeader_2x05_P2.54mm", "CONN10", "connector"),
    ],
)
def test_names_that_mislead(footprint: str, refdes: str, land_of: str, family: str, klass: str) -> None:
    """As found on real boards: a pattern shared by several sorts, words inside other words."""
    part = package_for(footprint, land(land_of), "", refdes)
    assert part is not None and (part.family, part.klass) == (family, klass)


def test_pads_decide_where_the_name_says_nothing() -> None:
    """Sizes and kinds from geometry alone."""
    for name, family in (("C_0402", "C0402"), ("C_0805", "C0805"), ("SOT-23", "SOT23"), ("LQFP-48_7x7mm", "QFP48"),
                         ("BGA-64_8x8mm", "BGA64"), ("SOIC-8_3.9x4.9mm", "SOIC8"),
                         ("QFN-16_3x3mm", "QFN16")):  # fmt: skip
        part = package_for("foo", land(name), "", "C1" if name[0] == "C" else "U1")
        assert part is not None and part.family == family, name
    assert package_for("foo", []) is None


def test_a_part_turns_with_its_pads() -> None:
    """Pads along y: the part too, pin 1 where pad 1 is; marks go along."""
    pads = [Pad(name="1", x=0, y=0.8, w=0.95, h=0.8), Pad(name="2", x=0, y=-0.8, w=0.95, h=0.8)]
    part = package_for("LED_0603", pads, "", "D1")
    assert part is not None
    assert part.terminals["1"].y0 > 0.3 and part.terminals["2"].y1 < -0.3
    mark = next(p for p in part.pieces if p.name == "Marking")
    assert float(mark.points[:, 1].mean()) > 0.05


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("10k", "103"),
        ("4k7", "472"),
        ("4.7k", "472"),
        ("100", "101"),
        ("1M", "105"),
        ("0R5", "0R5"),
        ("0", "0"),
        ("", "103"),
        ("DNP", "103"),
    ],
)
def test_the_digits_on_a_resistor_are_those_of_its_value(value: str, code: str) -> None:
    assert resistor_code(value) == code


def test_an_unknown_land_pattern_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="C_0603"):
        land("C_9999")


LENGTHS = st.integers(-800, 800).map(lambda n: n / 40)
SIZES = st.integers(0, 300).map(lambda n: n / 40)
PADS = st.lists(
    st.builds(
        Pad, name=st.sampled_from(("1", "2", "3", "A1", "", "K", "+")), x=LENGTHS, y=LENGTHS, w=SIZES, h=SIZES,
        angle=st.sampled_from((0.0, 90.0, 45.0, -30.0, 270.0)), hole=st.sampled_from((0.0, 0.0, 0.8)),
    ),
    max_size=12,
)  # fmt: skip
WORDS = ["C_0603", "SOT-23", "LQFP-48", "QFN-16", "BGA-9", "SMA", "CP_Elec_4x5", "PinHeader_2x2", "DIP-8", "R_Axial",
"TO-92",
         "Crystal", "SW_Push", "LED_D5.0mm", "L_12x12mm", "C_Disc_D5mm", "MELF", "EIA-7343", "CP_Radial_D8", "USB",
         "x"]  # fmt: skip


@settings(max_examples=60)
@given(
    st.one_of(st.sampled_from(WORDS), st.text(max_size=8)),
    PADS,
    st.text(max_size=4),
    st.sampled_from(("", "R1", "U2", "é")),
)
def test_no_footprint_breaks_the_library(name: str, pads: list[Pad], value: str, refdes: str) -> None:
    """Whatever stands in somebody's library: a sound part or none."""
    part = package_for(name, pads, value, refdes)
    if part is not None:
        assert part.family.isidentifier() and part.klass in KLASSES
        for piece in part.pieces:
            sound(piece)
