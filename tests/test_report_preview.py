"""The samples of a run: aligned columns, evenly drawn, hostile names harmless, one file without any load."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import chromium
from board_frames import CAMERAS, PARTS, make_tree
from noescape.board.crop.components import crop_components
from noescape.board.crop.config import CropConfig
from noescape.board.crop.job import crop_tree
from noescape.board.crop.pairs import build_pairs
from noescape.cli.main import main
from noescape.imaging import png_bytes
from noescape.records import DataError, UsageError
from noescape.report.preview import write_preview
from noescape.report.samples import Row, find_sections, spread

C1, C2, C3, U1 = PARTS
WRONG = (C1.moved(0.25, -0.125), C2.moved(0.3, 0.2, 75, mode="tombstone"), C3.missing(), U1)


def put(path: Path, value: int, size: tuple[int, int] = (40, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(np.full((*size, 3), value, np.uint8)))


def day0(run: Path, defects: int = 12) -> Path:
    """A run of the day-0 flow: crops, restyled twins, generated defects on composite names."""
    frames = make_tree(run / "usd2roi-components", PARTS, CAMERAS)
    dirs = {"capacitor": "passive_component", "ic": "IC"}
    rules = {"classes": ["capacitor", "ic"], "morph_kernel": 1, "min_coverage": 0.1, "class_dirs": dirs}
    crop_tree(frames, CropConfig.model_validate(rules), frames)
    shutil.copytree(frames / "crop", run / "augment/crop")
    rows = []
    for n in range(defects):
        kind, name = ("passive_component+missing", "IC+bridge")[n % 2], f"{n:05d}.png"
        for folder, value in (("reconstructed_image", 90), ("original_image", 120), ("original_mask", 255)):
            put(run / "anomaly/inference" / folder / name, value)
        rows.append((name, f"placement/clean/x{n % 2}_y0__0001.png", kind))
    write_table(run / "anomaly/inference/SDG_result.csv", rows)
    return run


def write_table(path: Path, rows: list[tuple[str, str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("output_filename", "image_filename", "anomaly_type"), *rows])


def uris(page: Path) -> list[str]:
    return re.findall(r'<img src="([^"]+)"', page.read_text("utf-8"))


def test_a_defect_stands_beside_what_it_was_made_from(tmp_path: Path) -> None:
    (section,) = find_sections(day0(tmp_path))
    assert section.columns == ("render", "CAD mask", "restyled", "defect", "label") and len(section.rows) == 12
    first = section.rows[0]
    assert first.files == {
        "render": "usd2roi-components/crop/passive_component/x0_y0/normal_img/0001.png",
        "CAD mask": "usd2roi-components/crop/passive_component/x0_y0/cad_mask/0001_cad_mask.png",
        "restyled": "augment/crop/passive_component/x0_y0/normal_img/0001.png",
        "defect": "anomaly/inference/reconstructed_image/00000.png",
        "label": "anomaly/inference/original_mask/00000.png",
    }
    assert section.rows[1].files["render"] == "usd2roi-components/crop/IC/x1_y0/normal_img/0001.png"


def test_samples_are_every_nth_of_the_sorted_names() -> None:
    for count in (1, 4, 10, 11, 21, 100):
        rows = [Row(name=f"{n:03d}", note="", files={}) for n in range(count)]
        picked = [int(row.name) for row in spread(rows, 10)]
        step = -(-count // 10)
        assert picked == list(range(0, count, step)) and len(picked) >= min(count, 5)


def test_rows_that_lack_a_column_are_left_out_and_counted(tmp_path: Path) -> None:
    run = day0(tmp_path)
    (run / "anomaly/inference/reconstructed_image/00000.png").unlink()
    (run / "anomaly/inference/original_mask/00001.png").write_bytes(b"no image")
    shutil.rmtree(run / "augment/crop/IC/x1_y0")
    done = write_preview(run, run / "preview.html")
    assert done.left_out == {"Generated defects": 7} and done.shown == {"Generated defects": 5}
    assert len(uris(run / "preview.html")) == 25 and "7 left out" in (run / "preview.html").read_text()


def test_flows_of_other_kinds(tmp_path: Path) -> None:
    """Manual regions show image, mask and defect; a good run its crops; structural ones and pairs their own."""
    run = day0(tmp_path / "manual")
    shutil.rmtree(run / "usd2roi-components")
    assert find_sections(run)[0].columns == ("original image", "mask", "defect")
    run = day0(tmp_path / "good")
    shutil.rmtree(run / "anomaly")
    assert [(s.title, s.columns) for s in find_sections(run)] == [
        ("Crops of the board", ("render", "CAD mask", "restyled"))
    ]
    wrong = make_tree(run / "structural_defect", WRONG, CAMERAS)
    crop_components(wrong, wrong, min_coverage=0.1)
    build_pairs(run / "usd2roi-components", wrong, run / "pairs", min_coverage=0.1)
    shutil.copytree(wrong / "cropped", run / "structural_defect_edited")
    titles = {s.title: len(s.rows) for s in find_sections(run)}
    assert titles == {"Crops of the board": 8, "Structural defects": 6, "Pairs": 6}
    assert all(row.whole for section in find_sections(run) for row in section.rows)
    (run / "usd2roi-components").rename(run / "usd2roi-day1")
    assert find_sections(run)[0].columns[0] == "photo"


def test_hostile_tables_and_names_do_no_harm(tmp_path: Path) -> None:
    run = day0(tmp_path, 6)
    script = "<script>alert(1)</script>\u202e"
    put(run / "anomaly/inference/reconstructed_image" / "a'b\".png", 9)
    rows = [
        ("../../../etc/passwd", "x", script), ("00001.png", "../../x0_y0__0001.png", "../..+x"), ("", "", ""),
        ("00000.png", "x0_y0__0001.png", "IC+" + script), ("a'b\".png", "x0_y0__0001.png", "IC+x"),
    ]  # fmt: skip
    write_table(run / "anomaly/inference/SDG_result.csv", rows)
    done = write_preview(run, run / "preview.html")
    text = (run / "preview.html").read_text("utf-8")
    assert done.shown == {"Generated defects": 1} and done.left_out == {"Generated defects": 3}
    assert "<script" not in text and "\u202e" not in text and "\\u202e" in text


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to show"):
        write_preview(tmp_path, tmp_path / "p.html")
    with pytest.raises(DataError, match="no such folder"):
        write_preview(tmp_path / "nowhere", tmp_path / "p.html")
    run = day0(tmp_path)
    shutil.rmtree(run / "augment/crop/IC")
    shutil.rmtree(run / "augment/crop/passive_component/x0_y0")
    with pytest.raises(DataError, match="no sample is whole"):
        write_preview(run, run / "p.html")
    for samples in (4, 11):
        with pytest.raises(UsageError, match="5 to 10"):
            write_preview(run, run / "p.html", samples=samples)


def test_the_command_writes_the_same_bytes_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = day0(tmp_path / "r")
    assert main(["report", "preview", str(run)]) == 0
    assert "6 samples" in capsys.readouterr().out
    assert main(["report", "preview", str(run), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == (run / "preview.html").read_bytes()
    assert all(uri.startswith("data:image/") for uri in uris(run / "preview.html"))


if chromium.INSTALLED:

    def test_the_page_loads_nothing_and_shows_every_picture(tmp_path: Path) -> None:
        run = day0(tmp_path)
        write_preview(run, run / "preview.html")
        with chromium.browser() as driver:
            for width in (1280, 390):
                chromium.resize(driver, width)
                assert chromium.open_page(driver, run / "preview.html") == []
                assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
                drawn = driver.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth > 0)")
                assert len(drawn) == 30 and all(drawn)
                wide = driver.execute_script("return document.documentElement.scrollWidth")
                assert wide <= width
