"""Which frames a run makes, what it says it will cost, and the command round it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board_stage import TARGET, write_board
from noescape.board.model import Camera
from noescape.board.render.plan import estimate, make_plan, spread
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.cookbook import load_cookbook
from noescape.board.scene.grid import Cell
from noescape.board.scene.read import open_scene
from noescape.board.scene.things import Scene
from noescape.cli.main import main
from noescape.files import dump_yaml
from noescape.records import UsageError
from test_board_frames_job import BAD, GOOD


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return open_scene(write_board(tmp_path_factory.mktemp("board") / "b.usd"), TARGET, ())


def _config(**more: Any) -> RenderConfig:
    return RenderConfig.model_validate({**GOOD, **more})


def _metadata(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "metadata.json").read_text())
    return value


def test_few_frames_lie_far_apart_and_not_in_the_first_row() -> None:
    cells = [
        Cell(i=i, j=j, camera=Camera(x=-float(i), y=-float(j), z=9, field=(1, 1), resolution=(8, 8)))
        for j in range(10)
        for i in range(10)
    ]
    for seed in range(20):
        chosen = spread(cells, 4, [True] * 100, np.random.default_rng(seed))
        at = np.array([(cells[c].i, cells[c].j) for c in chosen])
        gaps = [np.hypot(*(a - b)) for n, a in enumerate(at) for b in at[n + 1 :]]
        assert len(set(chosen)) == 4 and min(gaps) > 3.5
    some = spread(cells, 3, [at in (7, 70) for at in range(100)], np.random.default_rng(0))
    assert {7, 70} < set(some), "cells with parts come first"
    assert spread(cells, 200, [True] * 100, np.random.default_rng(0)) == list(range(100))


def test_the_first_cells_are_left_out_by_seed_and_triggers_share_the_cap(scene: Scene) -> None:
    plan = make_plan(scene, TARGET, _config(seed=5))
    assert [f.number for f in plan.frames] == list(range(5, 12)) and plan.cells == 12
    with pytest.raises(UsageError, match="seed 12"):
        make_plan(scene, TARGET, _config(seed=12))
    plan = make_plan(scene, TARGET, _config(num_triggers=2, max_image_count=5))
    assert [f.trigger for f in plan.frames] == [0, 0, 0, 1, 1]
    assert len({f.number for f in plan.frames}) == 5
    plan = make_plan(scene, TARGET, _config(rename_to_grid_index=False, max_image_count=1))
    assert plan.frames[0].name == f"{plan.frames[0].number:04d}"


def test_an_estimate_grows_with_the_work(scene: Scene) -> None:
    def cost(variant: str = "llvm_ad_rgb+oidn", **more: Any) -> float:
        config = _config(**more)
        return estimate(make_plan(scene, TARGET, config), config, variant, 1000).cpu_s

    base = cost(resolution=[512, 384], pathtracing={"total_spp": 16})
    assert cost(resolution=[1024, 768], pathtracing={"total_spp": 16}) > 3 * base
    assert cost(resolution=[512, 384], pathtracing={"total_spp": 64}) > 1.5 * base
    assert cost("scalar_rgb", resolution=[512, 384], pathtracing={"total_spp": 16}) > 1.5 * base


def _cookbook(folder: Path, config: dict[str, Any]) -> list[str]:
    target = TARGET.model_dump(mode="json", exclude_none=True)
    (folder / "t.yaml").write_text(dump_yaml(target))
    (folder / "c.yaml").write_text(dump_yaml(config))
    return ["--target", str(folder / "t.yaml"), "--config", str(folder / "c.yaml")]


def test_the_command_plans_renders_and_its_copies_say_the_same(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["board", "render", str(scene.path), *_cookbook(tmp_path, BAD), "--engine", "toy", "--render_patches", "1"]
    out = tmp_path / "out"
    assert main([*words, "--dry-run", "--json"]) == 0 and not out.exists()
    told = json.loads(capsys.readouterr().out)
    assert told["cells"] == 2 and len(told["frames"]) == 1 and told["estimate"]["frames"] == 1
    assert main([*words, "--out", str(out), "--json", "--defect-modes", "shift"]) == 0
    assert json.loads(capsys.readouterr().out)["rendered"] == 1
    modes = {pose["mode"] for frame in _metadata(out)["frames"] for pose in frame["poses"]}
    assert modes <= {"shift"}
    _, again = load_cookbook(out / "pcba_target.yaml", out / "render_config.yaml")
    assert again.max_image_count == 1 and again.defects.enabled_modes == ("shift",)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--render-patches", "0", "--out", "o"], "render_patches 0"),
        (["--defect-modes", "crooked", "--out", "o"], "unknown mode 'crooked'"),
        ([], "--out says where"),
        (["--engine", "blender", "--out", "o"], "no Blender is here"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_written(
    more: list[str], said: str, scene: Scene, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLENDER_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = _cookbook(tmp_path, BAD)
    before = sorted(tmp_path.iterdir())
    assert main(["board", "render", str(scene.path), *words, *more]) == 2
    assert said in capsys.readouterr().err and sorted(tmp_path.iterdir()) == before


def test_a_golden_twin_of_a_good_board_is_refused(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "board",
        "render",
        str(scene.path),
        *_cookbook(tmp_path, GOOD),
        "--with-golden",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(words) == 2 and "all frames are golden" in capsys.readouterr().err
