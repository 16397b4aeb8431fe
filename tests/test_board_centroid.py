"""Placement tables of three tools and many encodings give the same parts, and boxes where the parts are."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest

from kicad_boards import Dialect, write
from noescape.board.cad.centroid import Placement, read_centroid
from noescape.board.cad.package_sizes import package_size
from noescape.board.cad.rois import View, rois
from noescape.cli.main import main
from noescape.records import DataError

KICAD = """### Footprint positions - created on now ###
### Printed by Pcbnew version kicad (6.0.11)
## Unit = mm, Angle = deg.
## Side : All
# Ref     Val       Package                PosX       PosY       Rot  Side
C1        100nF     C_0603_1608Metric    103.0000   -53.0000   90.0000  top
Q1        BC847     SOT-23               108.0000   -55.0000    0.0000  top
J1                  PinHeader_1x02       112.0000   -55.0000    0.0000  top
C2        100nF     C_0603_1608Metric    105.0000   -57.0000   30.0000  bottom
## End
"""
KICAD_CSV = """Ref,Val,Package,PosX,PosY,Rot,Side
"C1","100nF","C_0603_1608Metric",103.000000,-53.000000,90.000000,top
"Q1","BC847","SOT-23",108.000000,-55.000000,0.000000,top
"J1","","PinHeader_1x02",112.000000,-55.000000,0.000000,top
"C2","100nF","C_0603_1608Metric",105.000000,-57.000000,30.000000,bottom
"""
JLC = """Designator,Mid X,Mid Y,Layer,Rotation
C1,103mm,-53mm,T,90
Q1,4251.9685mil,-2165.3543mil,Top,0
J1,112mm,-55mm,top,0
C2,105mm,-57mm,Bottom,30
"""
ALTIUM_CSV = """Altium Designer Pick and Place Locations
C:\\Büro\\Board.PcbDoc

========================================
File Design Information:

Date:       01.01.26
Units used: mil

"Designator","Comment","Layer","Footprint","Center-X(mil)","Center-Y(mil)","Rotation","Description"
"C1","100nF","TopLayer","C_0603_1608Metric","4055.1181","-2086.6142","90","Kondensator für µC"
"Q1","BC847","TopLayer","SOT-23","4251.9685","-2165.3543","0.00",""
"J1","","TopLayer","PinHeader_1x02","4409.4488","-2165.3543","360","a ""quoted"" one"
"C2","100nF","BottomLayer","C_0603_1608Metric","4133.8583","-2244.0945","30",""
"""
ALTIUM_TXT = """Altium Designer Pick and Place Locations
Units used: mm

Designator Comment Layer       Footprint         Center-X(mm) Center-Y(mm) Rotation Description
C1         100 nF  TopLayer    C_0603_1608Metric 103,0000     -53,0000     90       ""
Q1         BC847   TopLayer    SOT-23            108,0000     -55,0000     0        "NPN"
J1                 TopLayer    PinHeader_1x02    112,0000     -55,0000     0
C2         100 nF  BottomLayer C_0603_1608Metric 105,0000     -57,0000     30       ""
"""
TABLES = {"kicad": KICAD, "kicad csv": KICAD_CSV, "jlc": JLC, "altium csv": ALTIUM_CSV, "altium txt": ALTIUM_TXT}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


def _file(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "table.txt"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_all_tools_say_the_same(name: str, encoding: str, tmp_path: Path) -> None:
    """Whatever columns, unit and encoding: refdes, mm, y upwards, angles seen from the part's own side."""
    table = read_centroid(_file(tmp_path, TABLES[name].replace("\n", "\r\n"), encoding))
    assert table.format == name.split()[0] and table.notices == ()
    got = {p.refdes: (round(p.x, 3), round(p.y, 3), p.angle, p.side) for p in table.placements}
    assert got == {
        "C1": (103, -53, 90, "top"),
        "Q1": (108, -55, 0, "top"),
        "J1": (112, -55, 0, "top"),
        "C2": (105, -57, 150, "bottom"),
    }


def test_umlauts_survive_every_encoding(tmp_path: Path) -> None:
    for encoding in ENCODINGS:
        text = ALTIUM_CSV.replace("100nF", "µ-Größe")
        table = read_centroid(_file(tmp_path, text, encoding))
        assert table.placements[0].value == "µ-Größe"


def test_the_bottom_may_be_said_to_be_seen_from_below(tmp_path: Path) -> None:
    table = read_centroid(_file(tmp_path, KICAD), bottom_seen_from="below")
    assert table.placements[-1].angle == 30


WRONG = {
    "no header": ("a,b,c\n1,2,3\n", "no line of its first"),
    "unknown unit": (JLC.replace("mm", "furlong"), "unknown unit 'furlong'"),
    "unit of the header": (KICAD.replace("Unit = mm", "Unit = ell"), "unknown unit 'ell'"),
    "no unit": (ALTIUM_CSV.replace("(mil)", "").replace("Units used: mil", ""), "no unit anywhere"),
    "no rows": (KICAD_CSV.split("\n", 1)[0] + "\n", "without one row"),
    "only bad rows": ("Ref,PosX,PosY\nC1,here,there\n", "'here' is no number"),
    "empty": ("", "no line"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    text, words = WRONG[name]
    with pytest.raises(DataError, match=words):
        read_centroid(_file(tmp_path, text))


def test_a_bad_row_costs_itself(tmp_path: Path) -> None:
    """A wrong number, side or a second row of one part is left out with its reason."""
    text = (
        KICAD_CSV
        + "R1,1k,R_0402,abc,1,0,top\nR2,1k,R_0402,1,1,0,left\nC1,1n,C_0402,1,1,0,top\nR3,1k,R_0402,1e9,1,0,top\n"
    )
    table = read_centroid(_file(tmp_path, text))
    assert len(table.placements) == 4 and len(table.notices) == 4


def test_a_table_cut_off_in_the_middle_of_a_letter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(KICAD_CSV.encode("utf-16")[:-1])
    with pytest.raises(DataError, match="not whole utf-16"):
        read_centroid(path)


@pytest.mark.parametrize("seed", range(12))
def test_noise_gives_an_answer_or_one_clear_error(seed: int, tmp_path: Path) -> None:
    """Any bytes in the middle of a table: no other exception comes out."""
    rng = random.Random(seed)
    data = bytearray(TABLES[rng.choice(list(TABLES))].encode(rng.choice(ENCODINGS)))
    for _ in range(12):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = tmp_path / "t.txt"
    path.write_bytes(bytes(data))
    try:
        assert read_centroid(path).placements
    except DataError as error:
        assert "\n" not in str(error)


def _one(angle: float, side: str = "top") -> Placement:
    return Placement(refdes="C1", value="", package="C_0603", x=3, y=2, angle=angle, side=side)  # type: ignore[arg-type]


def test_a_box_holds_its_part_and_no_more(tmp_path: Path) -> None:
    """0603 at (3, 2) mm on a board of 20 x 10 mm, 100 px/mm: rows count from above, a quarter turn swaps the sides."""
    view = View(side="top", size=(20, 10), px_per_mm=100)
    assert rois([_one(0)], view, margin_mm=0)[0].box == (220, 760, 380, 840)
    assert rois([_one(90)], view, margin_mm=0.1)[0].box == (250, 710, 350, 890)
    (slanted,) = rois([_one(45)], view, margin_mm=0)
    half = (1.6 + 0.8) / 2 / 2**0.5
    assert np.allclose(slanted.box, [100 * (3 - half), 100 * (8 - half), 100 * (3 + half), 100 * (8 + half)], atol=1)
    assert rois([_one(0, "bottom")], view) == []
    below = View(side="bottom", size=(20, 10), px_per_mm=100, origin=(20, 0))
    assert rois([_one(0, "bottom")], below, margin_mm=0)[0].box == (1620, 760, 1780, 840)


def test_sizes_come_from_the_caller_the_name_or_a_guess() -> None:
    view = View(side="top", size=(20, 10), px_per_mm=10)
    own = rois([_one(0)], view, sizes={"c_0603": (5, 4)})[0]
    assert (own.width_mm, own.height_mm, own.size_from) == (5, 4, "sizes")
    assert package_size("R_0402_1005Metric") == (1.0, 0.5) and package_size("SOT-23") == (2.5, 2.9)
    width, height = package_size("LQFP-48_7x7mm_P0.5mm") or (0, 0)
    assert width == height == pytest.approx(9)
    strange = Placement(refdes="U9", value="", package="Weird", x=1, y=1, angle=0, side="top")
    assert rois([strange], view)[0].size_from == "guess"


def _stage(tmp_path: Path, side: str) -> Path:
    board = write(tmp_path, Dialect().full())
    out = tmp_path / f"{side}.usd"
    assert main(["board", "import", str(board), "--out", str(out), "--side", side, "--px-per-mm", "10"]) == 0
    return out


@pytest.mark.parametrize(("side", "boxes"), [("top", {"C1", "Q1", "J1"}), ("bottom", {"C2"})])
def test_boxes_lie_on_the_board_that_the_table_belongs_to(
    side: str, boxes: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CAD's page is found to be the origin; each box is centred on its part in the stage, angles agree."""
    out = tmp_path / "rois.csv"
    stage = _stage(tmp_path, side)
    capsys.readouterr()
    code = main(["board", "centroid", str(_file(tmp_path, KICAD)), "--board", str(stage), "--out", str(out), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (
        code == 0 and said["origin"] == "the CAD's page origin" and said["disagreeing"] == [] and said["outside"] == []
    )
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert {row["refdes"] for row in rows} == boxes
    where = {"C1": (3, 7), "C2": (15, 3)}
    for row in rows:
        if row["refdes"] in where:
            x, y = where[row["refdes"]]
            middle = ((int(row["x0"]) + int(row["x1"])) / 20, 10 - (int(row["y0"]) + int(row["y1"])) / 20)
            assert np.allclose(middle, (x, y), atol=0.06) and row["size_from"] == "board"


def test_another_origin_is_found_by_the_parts_and_another_board_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = _stage(tmp_path, "top")
    shifted = KICAD_CSV.replace("103.0", "3.0").replace("108.0", "8.0").replace("112.0", "12.0")
    run = ["board", "centroid", str(_file(tmp_path, shifted)), "--board", str(stage), "--out", str(tmp_path / "r.csv")]
    assert main(run) == 0 and "a shift found from 3 parts" in capsys.readouterr().out
    _file(tmp_path, KICAD_CSV.replace("108.0", "18.0").replace("112.0", "-12.0"))
    assert main(run) == 1 and "does not fit this board" in capsys.readouterr().err
    _file(tmp_path, KICAD_CSV.replace("90.0", "0.0"))
    assert main(run) == 0 and "C1: 0.00 mm, +90 degrees" in capsys.readouterr().out


def test_the_command_without_a_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Size, pixels and origin by hand; a table of sizes; parts outside and guessed sizes are named; wrong use is 2."""
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("package,width,height\nPinHeader_1x02,2.5,5\n")
    table, out = _file(tmp_path, KICAD), tmp_path / "r.csv"
    base = ["board", "centroid", str(table), "--out", str(out)]
    size = ["--size", "20", "10", "--px-per-mm", "50"]
    assert main([*base, *size, "--origin", "100", "-60", "--sizes", str(sizes)]) == 0
    rows = {row["refdes"]: row for row in csv.DictReader(out.read_text("utf-8").splitlines())}
    assert rows["J1"]["size_from"] == "sizes" and rows["C1"]["x_mm"] == "3.0" and rows["C1"]["y_mm"] == "7.0"
    assert main([*base, *size]) == 0 and "outside of the board" in capsys.readouterr().out
    for wrong in ([], [*size, "--board", "x.usd"], ["--size", "20", "10"], ["--size", "0", "10", "--px-per-mm", "5"]):
        assert main([*base, *wrong]) == 2
