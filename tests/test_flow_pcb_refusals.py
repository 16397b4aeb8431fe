"""What the board flows cannot do is said before anything is rendered, with the knob or the key that is meant."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noescape.board.render.engine import renderer
from noescape.board.setup.assets import write_assets
from noescape.cli.main import main
from noescape.flow.cards.catalog import find
from noescape.flow.cards.resolve import resolve
from noescape.flow.format.load import load

DAY0, DAY1 = "texture_defect_generation_day0", "texture_defect_generation_day1_real_alignment"
GOOD, STRUCTURAL, PAIRED = "good_image_generation", "structural_defect_generation", "paired_generation"
BOARD = "0603_H100"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a board's assets and nothing else; the current folder of all tests here."""
    folder = tmp_path_factory.mktemp("refusals")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NOESCAPE_CONFIG_DIR", str(folder / "config"))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        write_assets([BOARD], folder / "dig/datasets/pcb/assets", renderer("toy"), photos=False)
        yield folder


KNOBS = [
    (GOOD, "render_patches=0", "render_patches"),
    (DAY0, "render_patches=0", "render_patches"),
    (STRUCTURAL, "render_patches=0", "render_patches"),
    (GOOD, "crop_max_emit=0", "crop_max_emit"),
    (STRUCTURAL, "crop_max_emit=5", "render_patches"),
    (PAIRED, "crop_max_emit=5", "render_patches decides how many, pass_rows"),
    (DAY1, "crop_max_emit=5", "crop.classes"),
    (STRUCTURAL, "defect_modes=shift,bridge", "shift, tombstone, sideflip"),
    (PAIRED, "defect_modes=upside_down", "shift, tombstone, sideflip"),
    (GOOD, "defect_modes=shift", "structural_defect_generation"),
    (STRUCTURAL, "num_sdg=5", "render_patches"),
]


@pytest.mark.parametrize(("flow", "given", "said"), KNOBS)
def test_a_knob_that_is_wrong_or_elsewhere_is_refused_by_name(
    place: Path, flow: str, given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flow", "run", flow, "--set", "dig_url_root=./dig", given]) == 2
    told = capsys.readouterr().err
    assert given.partition("=")[0] in told and said in told
    assert not (place / "flow-runs").exists() and not (place / "dig/runs").exists()


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


COOKBOOKS = {
    "no types": (STRUCTURAL, "pcba_target.yaml", "component_types:", "component_typos:", "component_types"),
    "both halves": (GOOD, "day0_image.yaml", "random_seed:", "pcba_root: /W\nrandom_seed:", "boundary violation"),
    "no prims": (GOOD, "pcba_target.yaml", "pcba_root: /World/PCBA", "pcba_root: /World/Elsewhere", "/World/Elsewhere"),
    "unknown key": (DAY0, "day0_image.yaml", "scan_grid:", "scan_gird:", "scan_grid"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(COOKBOOKS))
def test_a_broken_cookbook_ends_the_first_task_in_seconds(
    case: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flow, file, old, new, said = COOKBOOKS[case]
    shutil.copytree(place / "dig", tmp_path / "dig")
    monkeypatch.chdir(tmp_path)
    for folder in ("datasets/pcb/raw", "models/pcb", "models/pretrained"):
        (tmp_path / "dig" / folder).mkdir(parents=True)
        (tmp_path / "dig" / folder / "something").write_text("x")
    change(tmp_path / f"dig/datasets/pcb/assets/{BOARD}/{file}", old, new)
    assert main(["flow", "run", flow, "--name", "bad", "--set", "dig_url_root=./dig", "engine=toy"]) == 1
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert not list((tmp_path / "dig/runs").rglob("*.png"))


ROOT = "dig_url_root=s3://bucket/dig"
SERVICE = "image_edit_endpoint=http://edit.example:8000/v1"
CASES = [
    ("setup_pcb", ()),
    (GOOD, ("max_images=7", "crop_max_emit=null", SERVICE)),
    (GOOD, ("profile=gpu8", "resolution=640x480", "spp=64")),
    (STRUCTURAL, ("defect_modes=shift,tombstone", SERVICE)),
    (PAIRED, ("pair_mode=frame", "pass_rows=10", "profile=gpu1")),
    (DAY0, ()),
    (DAY0, ("use_pretrained_checkpoint=false", "score=false", SERVICE)),
    (DAY0, ("use_pretrained_checkpoint=false", "profile=gpu8", "crop_max_emit=3")),
    (DAY1, ("min_mi=0.4",)),
    (DAY1, ("use_pretrained_checkpoint=false", "profile=gpu1")),
]


@pytest.mark.parametrize(("stem", "sets"), CASES)
def test_the_same_files_are_valid_on_a_cluster(stem: str, sets: tuple[str, ...]) -> None:
    flow = find(stem)
    decided = resolve(flow, sets=(ROOT, *sets), target="osmo")
    assert flow.path
    loaded = load(flow.path, sets=decided.sets, string_sets=decided.string_sets, target="osmo")
    assert loaded.problems == ()
