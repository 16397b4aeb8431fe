"""Other people's renderers: Blender as a process beside us, and the cookbook as the original renderer reads it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board_meshes import RINGS, SKY, board, camera
from noescape.board.render import renderer
from noescape.board.render.blender import engine as blender
from noescape.board.render.isaac import IMAGE_KEYS, TARGET_KEYS, write_isaac
from noescape.board.render.surface import surface
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.cookbook import load_cookbook
from noescape.board.scene.target import Target
from noescape.files import load_yaml
from noescape.records import UsageError, WorkError
from test_board_frames_job import BAD, GOOD

KNOBS = {"spp": 2, "bounces": 2, "seed": 7}
STAND_IN = """
import json, sys
from pathlib import Path
import numpy as np
folder = Path(sys.argv[-1])
said = json.loads((folder / "scene.json").read_text())
arrays = np.load(folder / "arrays.npz", allow_pickle=False)
assert len(said["bodies"]) == 5 and len(said["rings"]) == 3 and said["dome"] == [1.0, 1.0, 1.0]
for body in said["bodies"]:
    assert arrays[f"f{body['at']}"].max() < len(arrays[f"p{body['at']}"]) and body["material"] in said["materials"]
width, height = said["camera"]["resolution"]
"""


def _stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, end: str) -> None:
    script = folder / "stand in.py"
    script.write_text(STAND_IN + end)
    monkeypatch.setattr(blender, "SCRIPT", script)
    monkeypatch.setenv("BLENDER_PYTHON", sys.executable)


def test_without_a_blender_it_is_refused_with_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLENDER_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="BLENDER_PYTHON"):
        renderer("blender")
    monkeypatch.setenv("BLENDER_PYTHON", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="gone"):
        renderer("blender")
    (tmp_path / "blender").write_text("#!/bin/sh\n")
    (tmp_path / "blender").chmod(0o755)
    monkeypatch.delenv("BLENDER_PYTHON")
    assert blender.command()[:2] == [str(tmp_path / "blender"), "--background"]


def test_a_blender_gets_the_whole_scene_and_its_colours_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids are ours; what comes back is the colour alone."""
    _stand_in(monkeypatch, tmp_path, 'np.save(folder / "color.npy", np.full((height, width, 3), 0.25, np.float32))\n')
    picture = renderer("blender").render(board(), camera(), (*RINGS, *SKY), **KNOBS)
    assert (picture.color == 0.25).all() and (picture.mesh == surface(board(), camera()).mesh).all()
    assert picture.own["/C1"] > 0


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise SystemExit('no GPU in this house')", "no GPU in this house"),
        ("", "no picture"),
        ('np.save(folder / "color.npy", np.zeros((3, 3, 3)))', "expected"),
    ],
)
def test_a_blender_that_fails_says_so_in_one_error(
    end: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch, tmp_path, end)
    with pytest.raises(WorkError, match=said):
        renderer("blender").render(board(), camera(), (*RINGS, *SKY), **KNOBS)


def test_nothing_is_left_behind_by_a_blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, tmp_path, "raise SystemExit(3)")
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(blender.tempfile, "tempdir", str(tmp_path / "temp"))
    with pytest.raises(WorkError):
        renderer("blender").render(board(), camera(), (*RINGS, *SKY), **KNOBS)
    assert not list((tmp_path / "temp").iterdir())


def _unknown(values: dict[str, Any], keys: dict[str, Any] | Any, place: str = "") -> list[str]:
    """Keys without a place among the documented ones."""
    out = []
    for name, value in values.items():
        below = keys.get(name, keys.get("*")) if name in keys or "*" in keys else "unknown"
        if below == "unknown":
            out.append(f"{place}{name}")
        elif isinstance(below, dict) and isinstance(value, dict):
            out += _unknown(value, below, f"{place}{name}.")
    return out


TARGET = Target(scene="b.usd", component_types=("C0603",))


@pytest.mark.parametrize(("config", "name"), [(GOOD, "day0_image.yaml"), (BAD, "structural_image.yaml")])
def test_the_original_cookbook_holds_documented_keys_alone_and_says_the_same(
    config: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """What is read back is what was written: nothing that matters has no key there."""
    wanted = RenderConfig.model_validate(config)
    paths = write_isaac(TARGET, wanted, tmp_path / "b.usd", tmp_path / "isaac")
    assert [path.name for path in paths] == ["pcba_target.yaml", name]
    target, image = (load_yaml(path) for path in paths)
    assert not _unknown(target, TARGET_KEYS) and not _unknown(image, IMAGE_KEYS)
    assert target["scene"] == "../b.usd" and not set(target) & set(image)
    found, again = load_cookbook(*paths)
    assert again == wanted and found.component_types == TARGET.component_types
    json.dumps(image)


def test_what_has_no_documented_form_is_refused(tmp_path: Path) -> None:
    missing = RenderConfig.model_validate({**GOOD, "pipeline_type": "missing", "missing": {"ratio": 0.2}})
    polarity = {**BAD["defects"], "reverse_polarity": {"component_types": ["D"]}}
    turned = RenderConfig.model_validate({**BAD, "defects": polarity})
    for config, usd in ((missing, tmp_path), (turned, tmp_path), (RenderConfig.model_validate(GOOD), None)):
        with pytest.raises(UsageError):
            write_isaac(TARGET, config, usd, tmp_path / "isaac")
    assert not (tmp_path / "isaac").exists()


def test_a_picture_of_a_blender_is_one_of_its_own_shape() -> None:
    """The script runs elsewhere, so here it must at least be whole and need nothing of ours."""
    text = (Path(blender.__file__).with_name("script.py")).read_text()
    compile(text, "script.py", "exec")
    assert "noescape" not in text and np.__name__ in text
