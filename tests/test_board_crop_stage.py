"""Crops on their way to defect placement: names, twins, and the real `defects` commands on what was staged."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from board_frames import CAMERAS, PARTS, Part, camera, make_tree
from defects_maker import write_png, write_spec
from noescape.board.crop.config import CropConfig
from noescape.board.crop.job import crop_tree
from noescape.board.crop.stage import stage
from noescape.cli.main import main
from noescape.imaging import read_picture
from noescape.records import DataError, UsageError

DENSE = (
    Part(refdes="U1", x=-2.2, y=0, w=2.0, h=3.0, kind="ic", package="SOIC8", pins=8),
    Part(refdes="U2", x=2.2, y=0, w=2.0, h=3.0, kind="ic", package="SOIC8", pins=8),
    Part(refdes="C1", x=-2.5, y=3.2),
    Part(refdes="C2", x=2.5, y=3.2),
)


def cropped(root: Path, parts: tuple[Part, ...] = PARTS, scale: float = 16, **changes: object) -> Path:
    size = (160, 120) if parts is PARTS else (440, 480)
    cameras = CAMERAS if parts is PARTS else {"x0_y0": camera(0, 0.5, size=size, px_per_mm=scale)}
    make_tree(root, parts, cameras)
    dirs = {"capacitor": "passive_component", "ic": "IC"}
    rules = {"classes": ["capacitor", "ic"], "morph_kernel": 1, "min_coverage": 0.1, "class_dirs": dirs}
    crop_tree(root, CropConfig.model_validate(rules | changes), root)
    return root


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_names_say_the_cell_and_masks_have_the_same(tmp_path: Path) -> None:
    done = stage(cropped(tmp_path / "frames"), tmp_path / "out")
    assert done.textures == {"passive_component": 6, "IC": 2} and done.problems == []
    for texture in done.textures:
        clean, masks = (names(tmp_path / "out" / texture / f) for f in ("clean_image", "cad_mask"))
        assert clean == masks and clean[0] == "x0_y0__0001.png"
    labels = json.loads((tmp_path / "out/semantic_segmentation_labels.json").read_text())
    assert {entry["class"] for entry in labels.values()} == {"BACKGROUND", "capacitor", "ic", "pad", "solder"}


def test_twins_come_from_the_restyled_tree_in_either_shape(tmp_path: Path) -> None:
    """`augment/crop/<MAT>/<cell>/normal_img/NNNN.png`, as restyling a crop tree gives, or without normal_img."""
    frames = cropped(tmp_path / "frames")
    command = ["defects", "restyle", str(frames / "crop"), str(tmp_path / "a/crop")]
    assert main([*command, "--reference", str(frames / "trigger_0000/rgb_x0_y0.png")]) == 0
    for path in (frames / "crop").glob("*/*/normal_img/*.png"):
        target = tmp_path / "b" / path.parents[2].name / path.parents[1].name / f"{path.stem}.webp"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - read_picture(path).rgb).save(target, lossless=True)
    for shape, suffix in (("a", ".png"), ("b", ".webp")):
        out = tmp_path / f"out_{shape}"
        assert sum(stage(frames, out, images=tmp_path / shape).textures.values()) == 8
        assert names(out / "IC/clean_image") == [f"x0_y0__0001{suffix}", f"x1_y0__0001{suffix}"]
    inverted = read_picture(tmp_path / "out_b/IC/clean_image/x0_y0__0001.webp").rgb
    np.testing.assert_array_equal(255 - inverted, read_picture(frames / "crop/IC/x0_y0/normal_img/0001.png").rgb)


def test_a_lost_or_other_sized_twin_costs_one_row(tmp_path: Path) -> None:
    frames = cropped(tmp_path / "frames")
    twins = tmp_path / "twins"
    for path in (frames / "crop").glob("*/*/normal_img/*.png"):
        write_png(twins / path.relative_to(frames / "crop"), read_picture(path).rgb)
    (twins / "IC/x0_y0/normal_img/0001.png").unlink()
    write_png(twins / "passive_component/x0_y0/normal_img/0001.png", np.zeros((9, 9, 3)))
    (twins / "passive_component/x0_y0/normal_img/0002.png").write_bytes(b"x")
    done = stage(frames, tmp_path / "out", images=twins)
    assert sum(done.textures.values()) == 5 and len(done.problems) == 3
    assert any("no image of this crop" in str(p) for p in done.problems)


def test_what_was_staged_before_is_replaced_and_other_images_are_not(tmp_path: Path) -> None:
    frames = cropped(tmp_path / "frames")
    stage(frames, tmp_path / "out")
    cropped(frames, max_emit=1)
    assert sum(stage(frames, tmp_path / "out").textures.values()) == 4
    assert len(names(tmp_path / "out/passive_component/clean_image")) == 2
    write_png(tmp_path / "raw/IC/clean_image/mine.png", np.zeros((9, 9, 3)))
    with pytest.raises(UsageError, match="not staged here"):
        stage(frames, tmp_path / "raw")
    assert names(tmp_path / "raw/IC/clean_image") == ["mine.png"]
    with pytest.raises(UsageError, match="folder of a texture"):
        stage(frames, tmp_path / "other", textures={"IC": "../x"})
    with pytest.raises(DataError, match="no such folder"):
        stage(tmp_path / "nowhere", tmp_path / "other")


def test_crops_that_are_the_same_count_once(tmp_path: Path) -> None:
    """Cells overlap; the same bytes of picture and mask would only weigh twice."""
    frames = tmp_path / "frames"
    make_tree(frames, PARTS, {"x0_y0": camera(), "x1_y0": camera()})
    rules = {"classes": ["capacitor", "ic"], "min_coverage": 0.1, "class_dirs": {"ic": "IC"}}
    crop_tree(frames, CropConfig.model_validate(rules), frames)
    done = stage(frames, tmp_path / "out")
    assert (sum(done.textures.values()), done.twice) == (4, 4)


def raw_set(root: Path) -> Path:
    """Two examples each of the three solder defects, with masks, and where they may lie."""
    rng = np.random.default_rng(1)
    for texture, kind in (("IC", "bridge"), ("passive_component", "excess_solder"), ("passive_component", "missing")):
        for n in range(2):
            picture = rng.integers(60, 200, (64, 80, 3))
            mask = np.zeros((64, 80), np.uint8)
            mask[20:34, 30 : 50 + 3 * n] = 255
            write_png(root / texture / "anomaly_image" / kind / f"{n}.png", picture)
            write_png(root / texture / "mask" / kind / f"{n}_mask.png", mask)
    write_spec(root, {"IC+bridge": "cad", "passive_component+excess_solder": "cad", "passive_component+missing": "cad"})
    return root


@pytest.mark.parametrize("beside", [True, False])
def test_placement_finds_places_on_what_was_staged(beside: bool, tmp_path: Path) -> None:
    """The real commands: bridges between pins of an IC, solder on pads, parts that are missing."""
    frames = cropped(tmp_path / "frames", DENSE, 44)
    raw = raw_set(tmp_path / "raw")
    place = raw if beside else tmp_path / "clean"
    assert main(["board", "crop", str(frames), "--stage-for", str(place)]) == 0
    clean = [] if beside else ["--clean-dir", str(place)]
    assert main(["defects", "validate", str(raw), *clean]) == 0
    testcases = tmp_path / "work/testcase.jsonl"
    command = [
        "defects",
        "place",
        "--dataset-dir",
        str(raw),
        *clean,
        "--num-sdg",
        "12",
        "--output-jsonl",
        str(testcases),
    ]
    assert main(command) == 0
    rows = [json.loads(line) for line in testcases.read_text().splitlines()]
    assert sorted(Counter(row["anomaly_type"] for row in rows).values()) == [4, 4, 4]
    whole = {tuple(c): k for k, c in {"solder": (0, 255, 0), "pad": (255, 0, 0), "ic": (255, 0, 255)}.items()}
    for row in rows:
        if row["anomaly_type"] == "IC+bridge":
            seen = read_picture(place / "IC/cad_mask" / (Path(row["image_filename"]).stem + ".png")).rgb
            here = read_picture(testcases.parent / row["mask_filename"]).rgb[..., 0] > 0
            under = Counter(whole.get(tuple(c), "ground") for c in seen[here].tolist())
            assert under["pad"] and under["ground"] and not under["ic"] and not under["solder"]


def test_pairs_of_neighbours_serve_bridges(tmp_path: Path) -> None:
    frames = cropped(tmp_path / "frames", DENSE, 44, bridge=True, bridge_dis=60)
    found = names(frames / "crop/bridge/x0_y0/normal_img")
    done = stage(frames, tmp_path / "out")
    assert found and done.textures["IC"] == 2 + len(found)
    assert "x0_y0__bridge_0001.png" in names(tmp_path / "out/IC/clean_image")
    command = ["board", "crop", str(frames), "--stage-for", str(tmp_path / "two"), "--texture-of"]
    assert main([*command, "bridge=passive_component"]) == 0
    assert "x0_y0__bridge_0001.png" in names(tmp_path / "two/passive_component/clean_image")
    assert main([*command, "bridge"]) == 2
