"""A run of frames: whole after a kill, one bad frame one row, twins that differ in poses alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from board_stage import TARGET, write_board
from noescape.board.crop.frames import read_tree
from noescape.board.model import Camera, Light, Mesh, Picture
from noescape.board.render.job import render_job
from noescape.board.render.toy import Toy
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.read import open_scene
from noescape.board.scene.things import Scene
from noescape.records import DataError, UsageError, WorkError

GOOD = {
    "pipeline_type": "good",
    "resolution": [64, 48],
    "pathtracing": {"total_spp": 1},
    "scan_grid": {"x_num": 4, "y_num": 3},
    "use_scene_lights": False,
}
BAD = {
    **GOOD,
    "pipeline_type": "defect",
    "scan_grid": {"x_num": 2, "y_num": 1},
    "resolution": [128, 128],
    "writer": {"semantic_types": ["class", "defect"]},
    "defects": {"shift": {"ratio": 0.3}, "tombstone": {"ratio": 0.2}, "sideflip": {"ratio": 0.2}},
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return open_scene(write_board(tmp_path_factory.mktemp("board") / "b.usd"), TARGET, ())


def _config(**more: Any) -> RenderConfig:
    return RenderConfig.model_validate({**GOOD, **more})


def _bytes(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _metadata(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "metadata.json").read_text())
    return value


class Counting(Toy):
    """The toy, keeping count; fails at the frames whose number it is told."""

    def __init__(self, failing: Sequence[int] = ()) -> None:
        self.calls, self.failing = 0, failing

    def render(
        self, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], *, spp: int, bounces: int, seed: int
    ) -> Picture:
        self.calls += 1
        if self.calls in self.failing:
            raise DataError("this one cannot be")
        return super().render(meshes, camera, lights, spp=spp, bounces=bounces, seed=seed)


def test_a_run_leaves_a_tree_that_cropping_can_read(scene: Scene, tmp_path: Path) -> None:
    done = render_job(scene, TARGET, _config(max_image_count=3), tmp_path / "o", Toy())
    assert (done.rendered, done.kept, done.failed) == (3, 0, [])
    tree = read_tree(tmp_path / "o")
    assert not tree.problems and len(tree.frames) == 3 and tree.metadata.board == "b"
    for frame in tree.frames:
        assert frame.rgb().shape == (48, 64, 3) and frame.palette() and frame.instances().by_path
        assert frame.facts.camera is not None and frame.facts.camera.resolution == (64, 48)
    assert not list((tmp_path / "o").rglob(".*")) and not (tmp_path / "o" / "frames.jsonl").exists()


def test_a_finished_run_is_kept_and_a_repeat_gives_the_same_bytes(scene: Scene, tmp_path: Path) -> None:
    config = _config(max_image_count=2, augmentation={"motion_blur": {"probability": 1.0}})
    render_job(scene, TARGET, config, tmp_path / "a", Toy())
    render_job(scene, TARGET, config, tmp_path / "b", Toy())
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    before, engine = _bytes(tmp_path / "a"), Counting()
    done = render_job(scene, TARGET, config, tmp_path / "a", engine)
    assert (done.kept, engine.calls) == (2, 0) and _bytes(tmp_path / "a") == before


def test_a_damaged_frame_is_made_again(scene: Scene, tmp_path: Path) -> None:
    config = _config(max_image_count=3)
    render_job(scene, TARGET, config, tmp_path / "a", Toy())
    before = _bytes(tmp_path / "a")
    victim = next((tmp_path / "a").rglob("depth_*.png"))
    victim.write_bytes(b"")
    engine = Counting()
    assert render_job(scene, TARGET, config, tmp_path / "a", engine).rendered == 1
    assert engine.calls == 1 and _bytes(tmp_path / "a") == before


def test_one_bad_frame_costs_one_row_and_the_next_run_tries_it_again(scene: Scene, tmp_path: Path) -> None:
    config = _config(max_image_count=3)
    done = render_job(scene, TARGET, config, tmp_path / "a", Counting(failing=[2]))
    assert done.rendered == 2 and [row["error"] for row in done.failed] == ["this one cannot be"]
    value = _metadata(tmp_path / "a")
    assert len(value["frames"]) == 2 and value["failed"][0]["error"] == "this one cannot be"
    assert render_job(scene, TARGET, config, tmp_path / "a", Counting()).rendered == 1
    assert len(_metadata(tmp_path / "a")["frames"]) == 3 and _metadata(tmp_path / "a")["failed"] == []


def test_no_frame_at_all_is_an_error(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="this one cannot be"):
        render_job(scene, TARGET, _config(max_image_count=2), tmp_path / "a", Counting(failing=range(9)))


def test_a_folder_of_another_run_is_refused_and_left_alone(scene: Scene, tmp_path: Path) -> None:
    render_job(scene, TARGET, _config(max_image_count=1), tmp_path / "a", Toy())
    before = _bytes(tmp_path / "a")
    with pytest.raises(UsageError, match=r"another run \(its seed, cookbook differ\)"):
        render_job(scene, TARGET, _config(max_image_count=1, random_seed=5), tmp_path / "a", Toy())
    assert _bytes(tmp_path / "a") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        render_job(scene, TARGET, _config(max_image_count=1), tmp_path / "mine", Toy())
    assert _bytes(tmp_path / "mine") == {"thesis.txt": b"years of work"}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_board_frames_job import Counting, _config
from board_stage import TARGET
from noescape.board.render.job import render_job
from noescape.board.scene.read import open_scene
class Killed(Counting):
    def render(self, *a, **k):
        if self.calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().render(*a, **k)
render_job(open_scene(Path({usd!r}), TARGET, ()), TARGET, _config(max_image_count=4), Path({out!r}), Killed())
"""


def test_after_a_kill_whole_frames_are_kept_and_the_bytes_are_those_of_one_run(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "a"
    script = KILLED.format(tests=str(Path(__file__).parent), usd=str(scene.path), out=str(out))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not (out / "metadata.json").exists()
    with (out / "frames.jsonl").open("ab") as log:
        log.write(b'{"trigger": 0, "ce')  # a torn last line
    (out / "trigger_0000" / ".rgb_x0_y0.png.0a1b2c3d.part").write_bytes(b"half")
    result = render_job(scene, TARGET, _config(max_image_count=4), out, Toy())
    assert (result.kept, result.rendered) == (2, 2)
    render_job(scene, TARGET, _config(max_image_count=4), tmp_path / "b", Toy())
    assert _bytes(out) == _bytes(tmp_path / "b")


def test_the_twins_of_a_paired_run_differ_only_where_parts_were_posed(scene: Scene, tmp_path: Path) -> None:
    config = RenderConfig.model_validate(BAD)
    render_job(scene, TARGET, config, tmp_path / "o", Toy(), golden=True)
    golden, defect = (_metadata(tmp_path / "o" / name) for name in ("golden", "defect"))
    assert [f["cell"] for f in golden["frames"]] == [f["cell"] for f in defect["frames"]]
    assert sum(len(f["poses"]) for f in golden["frames"]) == 0 < sum(len(f["poses"]) for f in defect["frames"])
    for a, b in zip(golden["frames"], defect["frames"], strict=True):
        assert all(a[key] == b[key] for key in ("lights", "lighting", "noise_seed", "motion_blur", "grid"))
        assert {**a["camera"], "z": 0} == {**b["camera"], "z": 0}
        name = f"trigger_0000/{{}}_{a['cell']}.png"
        one, two = (_pixels(tmp_path / "o" / side / name.format("rgb")) for side in ("golden", "defect"))
        changed = np.zeros(one.shape[:2], bool)
        paths = {pose["path"].rpartition("_")[2] for pose in b["poses"]}
        for side in ("golden", "defect"):
            ids = _pixels(tmp_path / "o" / side / name.format("instance_segmentation"))
            table = json.loads(
                (tmp_path / "o" / side / f"trigger_0000/instance_segmentation_mapping_{a['cell']}.json").read_text()
            )
            for number, entry in table.items():
                changed |= (ids == int(number)) & (entry.get("refdes") in paths)
        assert (one != two).any(axis=-1).sum() > 50
        assert not ((one != two).any(axis=-1) & ~changed).any(), "no shadows in the toy: all else is the same"


def test_the_colours_and_numbers_of_twins_mean_the_same(scene: Scene, tmp_path: Path) -> None:
    render_job(scene, TARGET, RenderConfig.model_validate(BAD), tmp_path / "o", Toy(), golden=True)
    tables: list[dict[str, Any]] = [{}, {}]
    for seen, side in zip(tables, ("golden", "defect"), strict=True):
        for path in sorted((tmp_path / "o" / side).rglob("*_labels_*.json")):
            seen.update(json.loads(path.read_text()))
        for path in sorted((tmp_path / "o" / side).rglob("*_mapping_*.json")):
            seen.update({k: v["path"] for k, v in json.loads(path.read_text()).items()})
    both = tables[0].keys() & tables[1].keys()
    assert len(both) > 20 and all(tables[0][key] == tables[1][key] for key in both)
    assert any("defect" in v for v in tables[1].values() if isinstance(v, dict))


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(np.int64)


def test_what_a_frame_shows_hangs_on_its_place_and_not_on_how_many_are_made(scene: Scene, tmp_path: Path) -> None:
    render_job(scene, TARGET, _config(max_image_count=2), tmp_path / "few", Toy())
    render_job(scene, TARGET, _config(), tmp_path / "all", Toy())
    every = _bytes(tmp_path / "all")
    for name, data in _bytes(tmp_path / "few").items():
        if "trigger" in name:
            assert every[name] == data, name
