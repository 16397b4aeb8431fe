"""Inspecting: one row for each image whatever it is, and rows, masks and cells that say the same thing."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import hostile
import liars
import room_maker
from dataset_maker import put
from inspecting import command, images_of, look, with_thresholds
from noescape.anomaly.inspect import inspect
from noescape.datasets import read_folder, read_labelled_folder


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    return room_maker.fitted(room_maker.parts(work / "part", train=6, good=0, blot=0), work)


def test_good_parts_are_ok_and_blots_ng(run: Path, tmp_path: Path) -> None:
    rows = look(images_of(tmp_path / "in"), run, tmp_path / "out")
    assert [r["label"] for r in rows] == ["OK"] * 3 + ["NG"] * 3
    for row in rows[3:]:
        _, truth = room_maker.defective(300 + int(row["image_path"][2]))
        x0, y0, x1, y1 = row["defects"][0]["bbox"]
        assert truth[y0:y1, x0:x1].sum() > 0.5 * truth.sum(), "the blot is where the box is"


def test_a_folder_of_hostile_files_costs_a_row_each(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0: the batch went on; each bad file has one row with a code and a reason."""
    folder = images_of(tmp_path / "in", 2, 1)
    cases = [*hostile.refused(3), *liars.bombs(), *liars.hollow()]
    whole = (folder / "good0.png").read_bytes()
    for i, case in enumerate(cases):
        (folder / f"{i:03d}-{case.name}").write_bytes(case.data)
    for i in range(1, 16):
        (folder / f"torn{i:02d}.png").write_bytes(whole[: len(whole) * i // 16])
    assert command(folder, run, tmp_path / "out", "--json") == 0
    rows = room_maker.rows(tmp_path / "out" / "preds.jsonl")
    assert [r["image_path"] for r in rows] == [s.key for s in read_folder(folder)]
    by_name = {r["image_path"]: r for r in rows}
    for i, case in enumerate(cases):
        if (key := f"{i:03d}-{case.name}") in by_name:
            assert by_name[key]["error"]["code"] in case.codes and by_name[key]["label"] is None
    assert all("error" in by_name[f"torn{i:02d}.png"] for i in range(1, 15))
    assert [by_name[n]["label"] for n in ("good0.png", "good1.png", "ng0.png")] == ["OK", "OK", "NG"]
    report = json.loads(capsys.readouterr().out)
    assert report["num_images"] == len(rows) and report["num_errors"] == sum("error" in r for r in rows)


def test_every_form_of_image_is_inspected(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    kinds = {s.name: s for s in hostile.well_formed(2)}
    for s in kinds.values():
        (tmp_path / "in" / s.name).write_bytes(s.data)
    for row in look(tmp_path / "in", run, tmp_path / "out"):
        shape = kinds[row["image_path"]].rgb.shape[:2]
        assert tuple(row["image_size"]) == shape
        mask = np.asarray(Image.open(tmp_path / "out" / row["mask_path"]))
        assert mask.shape == shape and mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        with Image.open(tmp_path / "out" / row["overlay_path"]) as overlay:
            assert max(overlay.size) <= 1024


def test_boxes_and_areas_are_those_of_the_mask(run: Path, tmp_path: Path) -> None:
    """Labelled again by scipy, 8-connected: the same regions, box by box."""
    for i in range(8):
        image = room_maker.part(i, 90, 120)
        for k in range(1 + i % 4):
            y, x = (int(v) for v in np.random.default_rng(10 * i + k).integers(5, 75, 2))
            image[y : y + 10, x : x + 10] = 255
        put(tmp_path / "in" / f"{i}.png", image)
    found = 0
    for row in look(tmp_path / "in", run, tmp_path / "out"):
        mask = np.asarray(Image.open(tmp_path / "out" / row["mask_path"]))
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        want = sorted(
            ((s[1].start, s[0].start, s[1].stop, s[0].stop), int((labels[s] == i).sum()))
            for i, s in enumerate(ndimage.find_objects(labels), 1)
        )
        got = sorted((tuple(d["bbox"]), d["area"]) for d in row["defects"])
        assert got == want and row["num_defects"] == count
        assert row["total_defect_area"] == int((mask > 0).sum())
        peaks = [d["max_anomaly_value"] for d in row["defects"]]
        assert peaks == sorted(peaks, reverse=True) and all(p > row["pixel_threshold"] for p in peaks)
        assert [d["component_id"] for d in row["defects"]] == [*range(1, count + 1)]
        found += count
    assert found >= 8


def test_small_regions_can_be_left_out(run: Path, tmp_path: Path) -> None:
    folder = images_of(tmp_path / "in", 0, 3)
    rows = look(folder, run, tmp_path / "a")
    least = 1 + max(d["area"] for r in rows for d in r["defects"])
    for row in look(folder, run, tmp_path / "b", min_defect_area=least):
        assert row["defects"] == [] and not np.asarray(Image.open(tmp_path / "b" / row["mask_path"])).any()
        assert row["label"] == "NG", "the score judges, not the regions"


def test_ng_means_strictly_over_the_threshold(run: Path, tmp_path: Path) -> None:
    """A score equal to the threshold is OK; the next smaller threshold makes it NG."""
    folder = images_of(tmp_path / "in", 1, 0)
    (row,) = look(folder, run, tmp_path / "out")
    score = row["pred_score"]
    for name, threshold, label in (("eq", score, "OK"), ("below", float(np.nextafter(score, 0)), "NG")):
        (again,) = look(folder, with_thresholds(run, tmp_path / name, image_threshold=threshold), tmp_path / f"o{name}")
        assert again["pred_score"] == score and again["label"] == label and again["is_anomaly"] == (label == "NG")


def test_the_review_band_includes_its_ends(run: Path, tmp_path: Path) -> None:
    folder = images_of(tmp_path / "in", 1, 0)
    (row,) = look(folder, run, tmp_path / "out")
    s = row["pred_score"]
    for i, (band, review) in enumerate((([s, s + 1], True), ([s - 1, s], True), ([s + 1e-6, s + 1], False))):
        (again,) = look(folder, with_thresholds(run, tmp_path / f"r{i}", review_band=band), tmp_path / f"o{i}")
        assert again["review"] is review


def test_the_list_of_ng_holds_what_a_person_must_look_at(run: Path, tmp_path: Path) -> None:
    """NG, flagged and unreadable, worst first; and no cell runs as a formula."""
    folder = images_of(tmp_path / "in", 2, 1)
    shutil.move(folder / "ng0.png", folder / "=cmd|' -C calc'!A0.png")
    shutil.copy(folder / "=cmd|' -C calc'!A0.png", folder / '\t=1+1,"x"\n.png')
    (folder / "+torn.png").write_bytes((folder / "good0.png").read_bytes()[:200])
    put(folder / "@dark.png", room_maker.part(1) // 8)
    rows = look(folder, run, tmp_path / "out")
    with (tmp_path / "out" / "ng.csv").open(encoding="utf-8", newline="") as f:
        header, *cells = list(csv.reader(f))
    listed = {r["image_path"] for r in rows if "error" in r or r["label"] == "NG" or r["flags"]}
    assert len(cells) == len(listed) == 4 and len(header) == len(cells[0])
    assert {row[0].removeprefix("'") for row in cells} == listed
    for row in cells:
        assert not any(c.lstrip()[:1] in tuple("=+-@") for c in row if c and not c[0].isdigit())
    scores = [float(row[header.index("score")]) for row in cells if row[header.index("score")]]
    assert scores == sorted(scores, reverse=True) and cells[0][0] == "'+torn.png"


def test_fail_on_ng_is_a_gate(run: Path, tmp_path: Path) -> None:
    good, bad, torn = (tmp_path / n for n in ("good", "bad", "torn"))
    limits = with_thresholds(run, tmp_path / "generous", image_threshold=1e6)
    images_of(good, 2, 0), images_of(bad, 1, 1), images_of(torn, 1, 0)
    (torn / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert command(bad, run, tmp_path / "o1") == 0
    assert command(bad, run, tmp_path / "o2", "--fail-on-ng") == 1
    assert command(bad, run, tmp_path / "o2", "--fail-on-ng") == 1, "also when nothing is left to do"
    assert command(good, limits, tmp_path / "o3", "--fail-on-ng") == 0
    assert command(torn, limits, tmp_path / "o4", "--fail-on-ng") == 1


def test_folder_names_are_the_truth_where_there_is_a_good_folder(run: Path, tmp_path: Path) -> None:
    test = room_maker.parts(tmp_path / "part", train=0, good=3, blot=3) / "test"
    report = inspect(read_labelled_folder(test), test, run, tmp_path / "out")
    assert report["metrics"]["image_auroc"] == 1.0
    assert command(test, run, tmp_path / "blind", "--no-truth") == 0
    blind = json.loads((tmp_path / "blind" / "report.json").read_text("utf-8"))
    assert blind["metrics"] is None


def test_truth_without_a_readable_good_image_gives_no_crash(run: Path, tmp_path: Path) -> None:
    test = room_maker.parts(tmp_path / "part", train=0, good=1, blot=2) / "test"
    (test / "good" / "000.png").write_bytes(b"")
    report = inspect(read_labelled_folder(test), test, run, tmp_path / "out")
    assert report["num_errors"] == 1


def test_an_image_that_does_not_suit_the_model_costs_one_row(tmp_path: Path) -> None:
    """PaDiM with tiles knows positions of one size of image; another size is an error of that image."""
    root = room_maker.parts(tmp_path / "part", train=4, good=0, blot=0)
    run = room_maker.fitted(root, tmp_path, "padim", tile=32, overlap=0)
    put(tmp_path / "in" / "a.png", room_maker.part(1))
    put(tmp_path / "in" / "b.png", room_maker.part(1, 64, 96))
    rows = look(tmp_path / "in", run, tmp_path / "out")
    assert rows[0]["label"] in ("OK", "NG") and rows[1]["error"]["code"] == "unsuitable"


def test_tiles_find_a_small_defect_in_a_large_image(tmp_path: Path) -> None:
    for i in range(4):
        put(tmp_path / "good" / f"{i}.png", room_maker.part(i, 192, 160))
    from noescape.anomaly.fit import fit, good_folder

    run = fit(room_maker.configured(tmp_path, tmp_path, tile=64, overlap=16), data=good_folder(tmp_path / "good"))
    image = room_maker.part(9, 192, 160)
    image[130:138, 100:108] = 255
    put(tmp_path / "in" / "x.png", image)
    (row,) = look(tmp_path / "in", run, tmp_path / "out")
    x0, y0, x1, y1 = row["defects"][0]["bbox"]
    assert row["label"] == "NG" and x0 <= 104 < x1 and y0 <= 134 < y1 and (x1 - x0) * (y1 - y0) < 2500


def test_without_overlays_and_report_only_rows_and_masks_are_written(run: Path, tmp_path: Path) -> None:
    assert command(images_of(tmp_path / "in", 1, 1), run, tmp_path / "out", "--no-overlays", "--no-report") == 0
    names = {p.relative_to(tmp_path / "out").as_posix().split("/")[0] for p in (tmp_path / "out").rglob("*")}
    assert names == {"inspection.json", "preds.jsonl", "masks", "report.json", "timing.json", "ng.csv"}
    assert all(r["overlay_path"] is None for r in room_maker.rows(tmp_path / "out" / "preds.jsonl"))


def test_a_wrong_number_of_workers_is_wrong_use(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(images_of(tmp_path / "in", 1, 0), run, tmp_path / "out", "--num-workers", "-1") == 2
    assert "number of workers" in capsys.readouterr().err
