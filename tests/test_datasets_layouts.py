"""Promises of the DeepPCB, VisA and COCO readers: right sides, right masks, and errors that name all rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset_maker import put, spot, texture, tree
from noescape.datasets import import_coco, import_deeppcb, import_visa, read_mvtec, read_visa
from noescape.imaging import read_picture
from noescape.records import DataError


def _pcb(root: Path) -> Path:
    for panel, count in (("00041", 6), ("12000", 4), ("50600", 3)):
        for i in range(count):
            base = root / f"group{panel}" / panel
            put(base / f"{panel}{i:03d}_temp.jpg", texture(i))
            put(base / f"{panel}{i:03d}_test.jpg", texture(i + 50))
            labels = root / f"group{panel}" / f"{panel}_not" / f"{panel}{i:03d}.txt"
            labels.parent.mkdir(exist_ok=True)
            labels.write_text("5 6 15 16 2\n30 30 34 40 1\n40 5 44 9 1\n" if i % 2 else "1 1 3 3 6\n")
    return root


def test_deeppcb_keeps_panels_whole_draws_boxes_and_names_the_twin(tmp_path: Path) -> None:
    result = import_deeppcb(_pcb(tmp_path / "PCBData").parent, tmp_path.with_name(tmp_path.name + "_out"))
    data = read_mvtec(result.out, None)
    train, test = {s.group for s in data.train}, {s.group for s in data.test}
    assert train and test and not train & test
    assert {s.defect_type for s in data.test} == {"good", "open", "pin-hole"}
    bad = next(s for s in data.test if s.defect_type == "open")
    assert bad.mask is not None
    mask = read_picture(bad.mask).rgb[:, :, 0]
    want = np.zeros((48, 64), np.uint8)
    want[6:16, 5:15] = want[30:40, 30:34] = want[5:9, 40:44] = 255
    assert np.array_equal(mask, want)
    pairs = dict(line.split(",") for line in (result.out / "pairs.csv").read_text().splitlines()[1:])
    assert pairs[bad.key] == "test/good/" + bad.image.name.replace("_test", "_temp")
    assert len(pairs) == sum(s.label == 1 for s in data.test)
    assert "boxes" in json.loads((result.out / "dataset.json").read_text())["masks"]


def test_a_deeppcb_pair_with_broken_labels_costs_one_row(tmp_path: Path) -> None:
    src = _pcb(tmp_path / "src")
    (src / "group00041" / "00041_not" / "00041000.txt").write_text("1 2 3\n")
    (src / "group00041" / "00041" / "00041001_test.jpg").unlink()
    (src / "group12000" / "12000_not" / "12000000.txt").write_text("1 2 3 4 9\n")
    result = import_deeppcb(src, tmp_path / "out")
    assert [row.code for row in result.skipped] == ["labels", "unreadable", "labels"]


def _visa(root: Path, *, table: bool) -> Path:
    rows = ["object,split,label,image,mask"]
    for i in range(5):
        put(root / "candle" / "Data" / "Images" / "Normal" / f"{i}.JPG", texture(i))
        rows.append(f"candle,{'train' if i < 2 else 'test'},normal,candle/Data/Images/Normal/{i}.JPG,")
    for i in range(2):
        put(root / "candle" / "Data" / "Images" / "Anomaly" / f"{i}.JPG", texture(50 + i))
        put(root / "candle" / "Data" / "Masks" / "Anomaly" / f"{i}.png", spot() // 100)
        row = f"candle,test,anomaly,candle/Data/Images/Anomaly/{i}.JPG,candle/Data/Masks/Anomaly/{i}.png"
        rows.append(row)
    if table:
        (root / "split_csv").mkdir()
        (root / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.parametrize(("table", "train"), [(True, 2), (False, 3)])
def test_visa_is_read_with_and_without_its_table(tmp_path: Path, table: bool, train: int) -> None:
    src = _visa(tmp_path / "src", table=table)
    data = read_visa(src, "candle")
    assert (len(data.train), len(data.test)) == (train, 7 - train)
    assert {s.label for s in data.train} == {0}
    (result,) = import_visa(src, tmp_path / "out")
    got = read_mvtec(tmp_path / "out", "candle")
    assert (len(got.train), len(got.test)) == (train, 7 - train)
    bad = [s for s in got.test if s.label == 1]
    assert len(bad) == 2
    assert all(s.mask and set(np.unique(read_picture(s.mask).rgb)) == {0, 255} for s in bad)
    assert "no groups are known" in result.notes[0]


def test_visa_rows_that_lead_out_or_nowhere_are_all_listed(tmp_path: Path) -> None:
    src = _visa(tmp_path / "src", table=True)
    with (src / "split_csv" / "1cls.csv").open("a") as f:
        f.write("candle,test,normal,../../etc/passwd,\ncandle,train,anomaly,x.JPG,\ncandle,test,normal,no.JPG,\n")
    with pytest.raises(DataError) as caught:
        read_visa(src, "candle")
    assert [f"line {n}" in str(caught.value) for n in (9, 10, 11)] == [True] * 3
    with pytest.raises(DataError, match="found: candle"):
        read_visa(src, "cashew")


def _coco(root: Path, change: dict[str, Any] | None = None) -> Path:
    images = [{"id": i, "file_name": f"sub/{i}.png", "height": 48, "width": 64} for i in range(6)]
    for i in range(6):
        put(root / "images" / "sub" / f"{i}.png", texture(i))
    runs = [48 * 10, 48, 48 * 53]
    notes = [
        {"id": 1, "image_id": 4, "category_id": 2, "segmentation": [[2, 2, 9, 2, 9, 9, 2, 9]], "bbox": [2, 2, 7, 7]},
        {"id": 2, "image_id": 4, "category_id": 2, "bbox": [20, 20, 4, 4]},
        {"id": 3, "image_id": 4, "category_id": 1, "bbox": [40, 40, 2, 2]},
        {"id": 4, "image_id": 5, "category_id": 1, "segmentation": {"size": [48, 64], "counts": runs}},
    ]
    data = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "good"}, {"id": 2, "name": "a/b"}]}
    data.update(change or {})
    (root / "toy set.json").write_text(json.dumps(data))
    return root / "toy set.json"


def test_coco_shapes_become_masks_and_names_become_types(tmp_path: Path) -> None:
    result = import_coco(_coco(tmp_path / "src"), tmp_path / "out", category="toy")
    assert result.counts == {"test/a_b": 1, "test/defect_good": 1, "test/good": 2, "train/good": 2}
    data = read_mvtec(tmp_path / "out", "toy")
    masks = {s.defect_type: read_picture(s.mask).rgb[:, :, 0] for s in data.test if s.mask}
    assert masks["a_b"][5, 5] == masks["a_b"][21, 21] == masks["a_b"][41, 41] == 255
    assert masks["a_b"][30, 30] == 0
    assert np.array_equal(np.flatnonzero(masks["defect_good"].any(axis=0)), [10])


def test_coco_groups_stay_whole_when_all_images_name_one(tmp_path: Path) -> None:
    source = _coco(tmp_path / "src")
    data = json.loads(source.read_text())
    for record in data["images"]:
        record["group"] = f"part {record['id'] // 2}"
    source.write_text(json.dumps(data))
    import_coco(source, tmp_path / "out", category="toy")
    got = read_mvtec(tmp_path / "out", "toy")
    train, test = {s.group for s in got.train}, {s.group for s in got.test}
    assert train and not train & test
    assert "part 2" in test


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": None}, "expected a COCO file"),
        ({"images": [3]}, "expected a COCO file"),
        ({"annotations": [{"image_id": 99, "category_id": 1}]}, "annotation 0"),
        ({"annotations": [{"image_id": [1], "category_id": {}}]}, "annotation 0"),
        ({"images": [{"id": 1, "file_name": "../../x.png"}], "annotations": []}, "plain relative name"),
        ({"images": [{"id": 1, "file_name": 7}], "annotations": []}, "file_name"),
        ({"images": [{"id": 1, "file_name": "a.png"}] * 2, "annotations": []}, "given twice"),
    ],
)
def test_coco_files_that_are_wrong_say_where(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        import_coco(_coco(tmp_path / "src", change), tmp_path / "out")
    assert tree(tmp_path / "out") == {}


def test_a_coco_shape_that_does_not_fit_costs_its_image_only(tmp_path: Path) -> None:
    notes = [
        {"image_id": i, "category_id": 2, "segmentation": s} for i, s in enumerate([[[1, 2]], {"size": [1, 1]}, 7])
    ]
    notes.append({"image_id": 3, "category_id": 2, "bbox": [1, 1, 5, 5]})
    result = import_coco(_coco(tmp_path / "src", {"annotations": notes}), tmp_path / "out", category="toy")
    assert [row.code for row in result.skipped] == ["labels"] * 3
    assert result.counts["test/a_b"] == 1


def test_the_folder_of_a_coco_file_will_do_when_there_is_one(tmp_path: Path) -> None:
    source = _coco(tmp_path / "src")
    assert import_coco(source.parent, tmp_path / "out").category == "toy_set"
    (source.parent / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other\.json, toy set\.json"):
        import_coco(source.parent, tmp_path / "out2")
