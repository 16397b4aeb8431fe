"""A rendered board, spoilt and good: labels agree with the scene, parts are where they were drawn."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from board_stage import TARGET, write_board
from noescape.board.crop.agreement import agreement
from noescape.board.crop.components import crop_components
from noescape.board.crop.config import CropConfig
from noescape.board.crop.frames import read_tree
from noescape.board.crop.job import crop_tree
from noescape.board.crop.pairs import build_pairs
from noescape.board.crop.stage import stage
from noescape.board.render.engine import renderer
from noescape.board.render.job import render_job
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.draws import frame_rng
from noescape.board.scene.poses import defects_of, draw_poses
from noescape.board.scene.posing import pose
from noescape.board.scene.read import open_scene
from noescape.board.scene.things import Scene
from noescape.datasets.anomalygen_spec import read_labels
from noescape.defects.placement.cad import candidates, read_classes
from noescape.imaging import read_picture

CONFIG = RenderConfig.model_validate({
    "pipeline_type": "defect",
    "resolution": [240, 160],
    "scan_grid": {"x_num": 2, "y_num": 1},
    "camera_rotation": {"z_fixed": 0},
    "random_seed": 2,
    "writer": {"semantic_types": ["class", "defect"]},
    "defects": {mode: {"enabled": True, "ratio": 0.25} for mode in ("shift", "tombstone", "sideflip")},
})  # fmt: skip


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scene]:
    folder = tmp_path_factory.mktemp("rendered")
    scene = open_scene(write_board(folder / "board.usda"), TARGET)
    render_job(scene, TARGET, CONFIG, folder, renderer("toy"), golden=True)
    return folder, scene


def test_labels_are_where_the_scene_is(rendered: tuple[Path, Scene]) -> None:
    """Every defective part's pixels against its triangles, projected anew: IoU of at least .95."""
    folder, scene = rendered
    rng = frame_rng(CONFIG.random_seed, 0, "poses")
    drawn = draw_poses(scene, defects_of(CONFIG), TARGET.component_types or (), rng, TARGET.pcba_root)
    meshes, wrong = pose(scene, drawn.poses), {one.path for one in drawn.poses}
    found = [agreement(frame, meshes, only=wrong) for frame in read_tree(folder / "defect").frames]
    seen = [one for by_path in found for one in by_path.values()]
    assert len(seen) >= 3 and min(one.iou for one in seen) >= 0.95
    before = [agreement(frame, scene.meshes, only=wrong) for frame in read_tree(folder / "defect").frames]
    assert max(one.iou for by_path in before for one in by_path.values()) < 0.95, "they did not move"


def test_every_mode_gives_crops_and_pairs_that_moved_as_drawn(rendered: tuple[Path, Scene], tmp_path: Path) -> None:
    folder, _ = rendered
    crops = crop_components(folder / "defect", tmp_path, offset=4)
    assert set(Counter(row["mode"] for row in crops.rows)) == {"shift", "tombstone", "sideflip"}
    build_pairs(folder / "golden", folder / "defect", tmp_path / "pairs", offset=4)
    told = [json.loads(path.read_text()) for path in sorted((tmp_path / "pairs/mask").glob("*.json"))]
    shifts = [one for one in told if one["mode"] == "shift"]
    assert shifts and crops.rows[0]["mm_per_px"]
    for one in shifts:
        off = np.hypot(*np.subtract(one["measured_mm"], [one["drawn"]["dx"], one["drawn"]["dy"]]))
        assert off < 0.35 * crops.rows[0]["mm_per_px"], "a part of 16 x 8 pixels; larger ones are nearer"


def test_crops_hold_places_for_every_kind_of_solder_defect(rendered: tuple[Path, Scene], tmp_path: Path) -> None:
    """Resistors too: placement knows them by the name of what they resemble."""
    folder, _ = rendered
    dirs = {"capacitor": "passive_component", "resistor": "passive_component", "ic": "IC"}
    rules = {"classes": list(dirs), "class_dirs": dirs, "offset": 4, "morph_kernel": 1}
    crop_tree(folder / "golden", CropConfig.model_validate(rules), tmp_path)
    done = stage(tmp_path, tmp_path / "clean")
    assert set(done.textures) == {"passive_component", "IC"}
    labels = read_labels(tmp_path / "clean/semantic_segmentation_labels.json", lambda code, what: pytest.fail(what))
    assert "resistor,capacitor" in labels.values()
    for texture, kinds in (("passive_component", ("missing", "excess_solder")), ("IC", ("bridge", "excess_solder"))):
        for path in (tmp_path / "clean" / texture / "cad_mask").iterdir():
            rgb = read_picture(path).rgb
            classes = read_classes(rgb, labels)
            for kind in kinds:
                assert candidates(kind, classes, rgb.shape[:2]), f"{path.name}: no place for {kind}"
