"""Inspecting: one row for each image whatever it is, and rows, masks and cells that say the same thing."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import hostile
import liars
import room_maker
from dataset_maker import put, tree
from noescape.anomaly.bundle import Bundle, change
from noescape.anomaly.inspect import Options, inspect
from noescape.cli.main import main
from noescape.datasets import read_folder, read_labelled_folder
from noescape.files import dump_json
from noescape.records import DataError, UsageError


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    return room_maker.fitted(room_maker.parts(work / "part", train=6, good=0, blot=0), work)


def images_of(folder: Path, good: int = 3, blot: int = 3) -> Path:
    """Unlabelled images: good ones first."""
    for i in range(good):
        put(folder / f"good{i}.png", room_maker.part(300 + i))
    for i in range(blot):
        put(folder / f"ng{i}.png", room_maker.defective(300 + i)[0])
    return folder


def look(folder: Path, run: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    """Inspect a folder; its rows."""
    inspect(read_folder(folder), folder, run, out, Options(**options))
    return room_maker.rows(out / "preds.jsonl")


def call(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def command(images: Path, run: Path, out: Path, *more: str) -> int:
    return call("inspect", "--input-dir", images, "--model-dir", run, "--output-dir", out, *more)


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


def with_thresholds(run: Path, to: Path, **values: Any) -> Path:
    """A copy of a run with other thresholds, properly signed."""
    copy = Path(shutil.copytree(run, to))
    limits = json.loads((copy / "thresholds.json").read_text("utf-8")) | values
    change(copy, {"thresholds.json": dump_json(limits).encode()})
    return copy


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


def test_images_unlike_the_training_images_are_flagged(run: Path, tmp_path: Path) -> None:
    usual = room_maker.part(1)
    put(tmp_path / "in" / "a usual.png", usual)
    put(tmp_path / "in" / "b large.png", room_maker.part(1, 128, 128))
    put(tmp_path / "in" / "c dark.png", usual // 4)
    Image.fromarray(usual.astype(np.uint16) * 257).save(tmp_path / "in" / "d deep.png")
    put(tmp_path / "in" / "e blurred.png", cv2.GaussianBlur(usual, (0, 0), 6))
    rows = {r["image_path"][0]: r["flags"] for r in look(tmp_path / "in", run, tmp_path / "out")}
    assert rows["a"] == [] and rows["b"][0] == "size" and "brightness" in rows["c"]
    assert rows["d"] == ["depth"] and "sharpness" in rows["e"]
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["num_flagged"] == 4 and report["flags"]["depth"] == 1


def test_drift_says_how_far_a_run_lies_from_training(run: Path, tmp_path: Path) -> None:
    for i in range(4):
        put(tmp_path / "same" / f"{i}.png", room_maker.part(600 + i))
        put(tmp_path / "dark" / f"{i}.png", room_maker.part(600 + i) // 2)
    drift = {}
    for name in ("same", "dark"):
        inspect(read_folder(tmp_path / name), tmp_path / name, run, tmp_path / f"o-{name}")
        drift[name] = json.loads((tmp_path / f"o-{name}" / "report.json").read_text("utf-8"))["drift"]
    assert drift["dark"]["verdict"] == "drifted" and drift["same"]["verdict"] != "drifted"
    assert drift["dark"]["score"] > 5 * max(drift["same"]["score"], 0.5)


def test_an_empty_folder_is_an_error_and_writes_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no image")
    assert command(tmp_path / "in", run, tmp_path / "out") == 1
    assert "no images" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert command(tmp_path / "none", run, tmp_path / "out") == 2
    with pytest.raises(DataError, match="no images"):
        inspect([], tmp_path, run, tmp_path / "out")


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 1, 1), tmp_path / "out"
    (out / "masks").mkdir(parents=True)
    (out / "masks" / "mine.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"holds other files.*--overwrite"):
        look(folder, run, out)
    assert tree(out) == {"masks/mine.png": b"mine"}


def test_overwrite_replaces_the_results_and_nothing_else(run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 2, 1), tmp_path / "out"
    look(folder, run, out)
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("mine")
    (out / "mine.csv").write_text("mine")
    with pytest.raises(UsageError, match="holds another inspection"):
        look(folder, run, out, min_defect_area=7)
    look(folder, run, out, min_defect_area=7, overwrite=True)
    got = tree(out)
    assert got.pop("notes/mine.txt") == got.pop("mine.csv") == b"mine"
    look(folder, run, tmp_path / "fresh", min_defect_area=7)
    assert room_maker.solid(got) == room_maker.solid(tree(tmp_path / "fresh"))


def test_new_pictures_under_old_names_are_not_taken_for_inspected(run: Path, tmp_path: Path) -> None:
    """A camera writes part.png again and again: yesterday's OK must not answer for today's part."""
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder / "part.png", room_maker.part(1))
    assert look(folder, run, out)[0]["label"] == "OK"
    put(folder / "part.png", room_maker.defective(1)[0])
    with pytest.raises(UsageError, match="holds another inspection"):
        look(folder, run, out)
    assert look(folder, run, out, overwrite=True)[0]["label"] == "NG"


@pytest.mark.parametrize("garbage", ["", "{", "[]", "\x00", "[" * 10**5])
def test_a_damaged_marker_is_another_inspection(garbage: str, run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 1, 0), tmp_path / "out"
    look(folder, run, out)
    (out / "inspection.json").write_text(garbage)
    with pytest.raises(UsageError, match="holds another inspection"):
        look(folder, run, out)


@pytest.mark.parametrize("line", ['{"image_path": "other.png"}\n', "garbage\n", "[]\n"])
def test_rows_of_something_else_are_refused(line: str, run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 2, 0), tmp_path / "out"
    look(folder, run, out)
    (out / "preds.jsonl").write_text(line)
    with pytest.raises(DataError, match=r"preds\.jsonl"):
        look(folder, run, out)


def test_a_torn_last_row_is_done_again(run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 2, 2), tmp_path / "out"
    look(folder, run, out)
    want = room_maker.solid(tree(out))
    data = (out / "preds.jsonl").read_bytes()
    for keep in (0, 10, len(data) // 2, len(data) - 1):
        (out / "preds.jsonl").write_bytes(data[:keep])
        look(folder, run, out)
        assert room_maker.solid(tree(out)) == want


def test_a_finished_inspection_judges_nothing_again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = images_of(tmp_path / "in", 2, 2), tmp_path / "out"
    look(folder, run, out)
    want = tree(out)
    monkeypatch.setattr(Bundle, "detector", lambda *_, **__: pytest.fail("it worked again"))
    look(folder, run, out)
    assert tree(out) == want


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_threads_changes_no_byte(workers: int, run: Path, tmp_path: Path) -> None:
    folder = images_of(tmp_path / "in", 5, 4)
    look(folder, run, tmp_path / "one", workers=1)
    look(folder, run, tmp_path / "more", workers=workers)
    assert room_maker.solid(tree(tmp_path / "more")) == room_maker.solid(tree(tmp_path / "one"))


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


def full(path: Any, *_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.mark.parametrize("where", ["noescape.anomaly.inspect.write_bytes", "noescape.anomaly.inspect.write_json",
                                   "noescape.anomaly.inspect.write_csv", "noescape.files.jsonl.JsonlAppender.append"])  # fmt: skip # noqa: E501
def test_a_full_disk_is_one_clear_line_and_later_it_goes_on(
    where: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = images_of(tmp_path / "in", 2, 2), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        assert command(folder, run, out) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: No space left on device") and "Traceback" not in "".join(said)
    assert command(folder, run, out) == 0
    assert command(folder, run, tmp_path / "fresh") == 0
    assert room_maker.solid(tree(out)) == room_maker.solid(tree(tmp_path / "fresh"))


def test_an_output_folder_that_cannot_be_written_is_one_clear_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = images_of(tmp_path / "in", 1, 0)
    (tmp_path / "file").write_text("in the way")
    assert command(folder, run, tmp_path / "file" / "out") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        assert command(folder, run, tmp_path / "locked" / "out") == 1
        assert "Permission denied" in capsys.readouterr().err


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
