"""Labels in every format say what the masks say, and our own readers read them back."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator_maker import metal, write
from noescape.datasets import import_coco, read_mvtec
from noescape.datasets.changenet_write import COLUMNS, write_changenet
from noescape.datasets.coco_write import write_coco
from noescape.datasets.daft_write import write_daft
from noescape.datasets.labelled import LabelledImage, regions
from noescape.datasets.masks import draw_polygons, draw_run_lengths
from noescape.datasets.mvtec_write import write_generated_mvtec
from noescape.datasets.outlines import hole_count, polygon, run_lengths
from noescape.datasets.yolo_write import write_yolo
from noescape.files import load_yaml
from noescape.imaging import label_regions, read_picture
from noescape.records import DataError, UsageError

WRITERS = {
    "coco": write_coco, "yolo-seg": write_yolo, "mvtec": write_generated_mvtec, "daft": write_daft,
    "changenet": write_changenet,
}  # fmt: skip


@pytest.fixture
def items(tmp_path: Path) -> list[LabelledImage]:
    """Six images on three surfaces: a ring (with a hole), two spots, a single pixel."""
    rng, out = np.random.default_rng(0), []
    surfaces = [metal(rng) for _ in range(3)]
    for k in range(6):
        mask = np.zeros((96, 128), np.uint8)
        if k % 3 == 0:
            cv2.circle(mask, (50, 50), 20, 255, -1)
            cv2.circle(mask, (48, 50), 8, 0, -1)
        elif k % 3 == 1:
            cv2.circle(mask, (30, 30), 5, 255, -1)
            cv2.circle(mask, (90, 60), 7, 255, -1)
        else:
            mask[95, 127] = 255
        image = surfaces[k % 3].copy()
        image[mask > 0] = 20
        kind, folder = ("metal+dark spot", "metal+scratch")[k % 2], tmp_path / "made"
        paths = [
            write(folder / part / f"n{k}.png", p)
            for part, p in (("i", image), ("c", surfaces[k % 3]), ("m", mask))
        ]  # fmt: skip
        out.append(
            LabelledImage(
                name=f"metal+x_{k:05d}", image=paths[0], clean=paths[1], mask=paths[2], anomaly_type=kind,
                group=f"good {k % 3}",
            )
        )  # fmt: skip
    return out


def blobs(seed: int) -> np.ndarray:
    """One connected random region with holes."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(5, 40)), int(rng.integers(5, 40)))
    field = cv2.GaussianBlur(rng.standard_normal(size), (0, 0), rng.uniform(0.5, 2.5))
    labels = label_regions((field > np.quantile(field, rng.uniform(0.1, 0.7))).astype(np.uint8))
    return np.where(labels == 1 + int(rng.integers(labels.max())), np.uint8(255), np.uint8(0))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), full=st.booleans())
def test_run_lengths_come_back_exactly(seed: int, full: bool) -> None:
    mask = np.full((7, 9), 255, np.uint8) if full else blobs(seed)
    assert (draw_run_lengths(run_lengths(mask), *mask.shape) == mask).all()


def test_run_lengths_are_cocos() -> None:
    """By hand: columns first; 2 background, 3 marked, 5 background, then differences to the run two before."""
    mask = np.zeros((5, 2), np.uint8)
    mask[2:, 0] = 255
    assert run_lengths(mask) == "235"
    wide = np.zeros((10, 10), np.uint8)
    wide[:, 4:6] = 255
    assert run_lengths(wide) == "X1d0X1"  # 40, 20, 40 in groups of five bits


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_polygon_filled_again_is_the_region_with_its_holes(seed: int) -> None:
    """Only bridges of no width may fill what was a hole, and never a pixel outside of the outline is gained."""
    mask = blobs(seed)
    again = draw_polygons([[v for point in polygon(mask) for v in point]], *mask.shape)
    assert not (mask > 0)[again == 0].any()
    gained = int(((again > 0) & (mask == 0)).sum())
    holes = hole_count(mask)
    assert gained <= holes * max(mask.shape), (gained, holes)
    if not holes:
        assert gained == 0


def test_a_ring_stays_a_ring() -> None:
    mask = np.zeros((60, 60), np.uint8)
    cv2.circle(mask, (30, 30), 20, 255, -1)
    cv2.circle(mask, (30, 30), 9, 0, -1)
    again = draw_polygons([[v for point in polygon(mask) for v in point]], 60, 60)
    assert (again == mask).all() and hole_count(mask) == 1


def test_coco_holds_run_lengths_boxes_and_areas_and_imports(items: Sequence[LabelledImage], tmp_path: Path) -> None:
    told = write_coco(items, tmp_path / "coco")
    data = json.loads((tmp_path / "coco" / "coco_annotations.json").read_text())
    assert told["instances"] == len(data["annotations"]) == 8 and len(data["images"]) == 6 + 3
    assert [c["name"] for c in data["categories"]] == ["metal+dark spot", "metal+scratch"]
    named = {i["id"]: i for i in data["images"]}
    by_image: dict[str, np.ndarray] = {}
    for row in data["annotations"]:
        record = named[row["image_id"]]
        drawn = draw_run_lengths(row["segmentation"]["counts"], record["height"], record["width"])
        x, y, w, h = row["bbox"]
        assert row["area"] == (drawn > 0).sum() == (drawn[y : y + h, x : x + w] > 0).sum()
        assert drawn[y].any() and drawn[:, x].any() and drawn[y + h - 1].any() and drawn[:, x + w - 1].any()
        name = record["file_name"]
        by_image[name] = np.maximum(by_image.get(name, 0), drawn)
    for item in items:
        assert (by_image[f"{item.name}.png"] == read_picture(item.mask).rgb[..., 0]).all()
    result = import_coco(tmp_path / "coco" / "coco_annotations.json", tmp_path / "imported", split="random")
    assert sum(n for key, n in result.counts.items() if not key.endswith("/good")) == 6 and not result.skipped


def test_yolo_splits_by_surface_and_its_polygons_draw_the_masks(items: Sequence[LabelledImage], tmp_path: Path) -> None:
    many = [*items, *(LabelledImage(**{**vars_of(i), "name": f"{i.name}b", "group": f"{i.group}{k}"})
                      for k in range(2) for i in items)]  # fmt: skip
    told = write_yolo(many, tmp_path / "yolo")
    data = load_yaml(tmp_path / "yolo" / "data.yaml")
    assert data["names"] == {0: "metal+dark spot", 1: "metal+scratch"} and told["validation_surfaces"] == 1
    assert told["holes"] == 6
    for item in items:
        (label,) = (tmp_path / "yolo" / "labels").glob(f"*/{item.name}.txt")
        assert (tmp_path / "yolo" / "images" / label.parent.name / f"{item.name}.png").is_file()
        drawn = np.zeros((96, 128), np.uint8)
        for line in label.read_text().splitlines():
            number, *values = line.split()
            assert data["names"][int(number)] == item.anomaly_type
            points = [float(v) * (128, 96)[k % 2] for k, v in enumerate(values)]
            drawn |= draw_polygons([points], 96, 128)
        assert (drawn == read_picture(item.mask).rgb[..., 0]).all()
    clean = list((tmp_path / "yolo" / "labels").rglob("clean-*.txt"))
    assert len(clean) == 3 and all(p.read_text() == "" for p in clean)


def vars_of(item: LabelledImage) -> dict[str, object]:
    return {name: getattr(item, name) for name in ("name", "image", "clean", "mask", "anomaly_type", "group")}


def test_mvtec_is_read_by_our_reader(items: Sequence[LabelledImage], tmp_path: Path) -> None:
    write_generated_mvtec(items, tmp_path / "mvtec")
    assert write_generated_mvtec(items, tmp_path / "mvtec")["images"] == 6  # again: the same
    dataset = read_mvtec(tmp_path / "mvtec" / "metal")
    assert len(dataset.train) == 3 and {s.defect_type for s in dataset.test} == {"dark_spot", "scratch"}
    assert all(s.mask is not None for s in dataset.test)
    with (tmp_path / "mvtec" / "metal" / "pairs.csv").open(newline="") as f:
        pairs = list(csv.DictReader(f))
    assert len(pairs) == 6 and all(row["golden"].startswith("train/good/") for row in pairs)


def test_daft_is_a_scene_whose_references_all_lead_somewhere(items: Sequence[LabelledImage], tmp_path: Path) -> None:
    write_daft(items, tmp_path / "daft")
    scene = tmp_path / "daft" / "generated"
    files = {p.name: json.loads(p.read_text()) for p in (*scene.glob("contextual/*"), *scene.glob("task/*"))}
    assert all(f["version"] == "metropolis-v3.0" and f["metadata"]["type"] for f in files.values())
    instances = files["instances_noescape.json"]["instances"]
    frames = files["objects_noescape.json"]["frames"]
    named = [row["object_id"] for frame in frames.values() for row in frame["instances"]]
    assert sorted(named) == sorted(instances) and len(named) == 8
    for item in items:
        boxes = [list(r.box) for r in regions(item)]
        assert [row["bounding_box_2d_tight"] for row in frames[item.name]["instances"]] == boxes
    answers = {row["image_id"]: row["answer"] for row in files["bcq.json"]["items"]}
    assert list(answers.values()).count("Yes") == 6 and list(answers.values()).count("No") == 3
    for key in answers:
        assert (scene / "raw" / f"{key}.png").is_file()
        assert files[f"image_{key}.json"]["width"] == 128 and files[f"image_{key}.json"]["height"] == 96


def test_changenet_pairs_have_one_name_and_fourteen_columns(items: Sequence[LabelledImage], tmp_path: Path) -> None:
    write_changenet(items, tmp_path / "cn", light="WhiteLight")
    with (tmp_path / "cn" / "changenet.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert tuple(rows[0]) == COLUMNS and len(COLUMNS) == 14
    for row, item in zip(rows, items, strict=True):
        pair = [
            tmp_path / "cn" / row[c] / f"{row['object_name']}_WhiteLight.png" for c in ("input_path", "golden_path")
        ]
        assert [p.read_bytes() for p in pair] == [item.image.read_bytes(), item.clean.read_bytes()]
        assert row["label"] == item.defect.lower() and row["boardname"] == item.group


@pytest.mark.parametrize("light", ["../x", "a b", ""])
def test_a_light_that_is_no_part_of_a_file_name_is_refused(
    light: str, items: Sequence[LabelledImage], tmp_path: Path
) -> None:
    """Readers put names together from the table: they would look for other files than there are."""
    with pytest.raises(UsageError, match="file name; try"):
        write_changenet(items, tmp_path / "cn", light=light)
    assert not (tmp_path / "cn").exists()


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_labels_take_the_place_of_their_like_and_of_nothing_else(
    form: str, items: Sequence[LabelledImage], tmp_path: Path
) -> None:
    out = tmp_path / "labels"
    WRITERS[form](items, out)
    first = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    WRITERS[form](items, out)
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()} == first
    mine = tmp_path / "mine"
    write(mine / "holiday.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UsageError, match="holds other files"):
        WRITERS[form](items, mine)
    assert [p.name for p in mine.iterdir()] == ["holiday.png"]
    write(items[2].mask, np.zeros((96, 128), np.uint8))
    with pytest.raises(DataError, match="marks nothing"):
        WRITERS[form](items, tmp_path / "new")
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".*.part"))
