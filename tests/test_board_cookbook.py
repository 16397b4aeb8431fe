"""Cookbooks: what is written is read; what is wrong is refused before rendering, and the right knob named."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.board.align.config import read_config
from noescape.board.crop.config import read_crop_config
from noescape.board.scene.cookbook import load_cookbook, load_render_config
from noescape.board.scene.semantics import Labels, Rule, pattern
from noescape.board.scene.target import load_target
from noescape.datasets.anomalygen_spec import read_spec
from noescape.defects.generators.recipe import read_recipe
from noescape.defects.restyle.config import read_config as read_look
from noescape.files import dump_yaml
from noescape.records import UsageError

PCB = Path(str(resources.files("noescape.assets"))) / "cookbooks" / "pcb"
BOARDS = ("0603_H100", "1152819000")
DEFECT = {"pipeline_type": "defect", "defects": {"shift": {"ratio": 0.2}, "tombstone": {"enabled": False}}}


def write(path: Path, values: object) -> Path:
    path.write_text(values if isinstance(values, str) else dump_yaml(values))
    return path


def both(tmp_path: Path, target: object, config: object) -> tuple[Path, Path]:
    return write(tmp_path / "pcba_target.yaml", target), write(tmp_path / "day0_image.yaml", config)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [("day0_image.yaml", "good"), ("structural_image.yaml", "defect"), ("usd2roi_day1.yaml", "good")],
)
def test_shipped_cookbooks_are_read_whole(board: str, name: str, kind: str) -> None:
    target, config = load_cookbook(PCB / board / "pcba_target.yaml", PCB / board / name)
    assert config.pipeline_type == kind
    assert target.component_types
    assert target.stage == PCB / board / "spark_lighting.usd"
    assert config.semantics
    assert (config.camera is not None) == (name == "usd2roi_day1.yaml")


@pytest.mark.parametrize("board", BOARDS)
def test_the_other_steps_read_the_shipped_files_too(board: str) -> None:
    """Crops and alignment by their own readers; caps and folders as the originals have them."""
    crop = read_crop_config(PCB / board / "day0_crop.yaml")
    assert crop.max_emit == {"0603_H100": 10, "1152819000": None}[board]
    assert (
        crop.class_dirs
        == {"0603_H100": {"capacitor": "passive_component", "ic": "IC"}, "1152819000": {"ic": "IC"}}[board]
    )
    assert read_crop_config(PCB / board / "usd2roi_day1.yaml").classes == crop.classes
    assert read_config(PCB / board / "usd2roi_day1.yaml").bins == 64


def test_the_recipe_the_spec_and_the_look_of_boards_are_read() -> None:
    kinds = {("IC", "bridge"), ("passive_component", "excess_solder"), ("passive_component", "missing")}
    problems: list[object] = []
    recipe = read_recipe(PCB / "ag_config.yaml")
    assert set(recipe.dataloader_train.dataset.anomaly_types) == kinds
    assert {row.spatial_dependency for row in read_spec(PCB / "defect_spec.jsonl", problems.append).values()} == {"cad"}
    assert read_look(PCB / "augmentation_config.yaml").model == "nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL"


def test_pairs_are_lit_and_scanned_alike() -> None:
    """The good and the spoilt frames of a board differ in nothing but their poses."""
    for board in BOARDS:
        good = load_render_config(PCB / board / "day0_image.yaml")
        bad = load_render_config(PCB / board / "structural_image.yaml")
        for field in ("scan_grid", "resolution", "lighting", "use_scene_lights", "camera_rotation", "random_seed"):
            assert getattr(good, field) == getattr(bad, field), (board, field)


def test_a_key_in_both_halves_violates_the_boundary(tmp_path: Path) -> None:
    target, config = both(tmp_path, {"pcba_root": "/W", "resolution": [64, 64]}, {"resolution": [32, 32], "seed": 0})
    with pytest.raises(UsageError, match="Config boundary violation: resolution") as caught:
        load_cookbook(target, config)
    assert "pcba_target.yaml" in str(caught.value)
    assert "day0_image.yaml" in str(caught.value)
    write(config, {})
    with pytest.raises(UsageError, match="resolution: belongs into the other file"):
        load_cookbook(target, config)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"resolutoin": [64, 64]}, r"resolutoin: unknown key; did you mean 'resolution'\?"),
        ({"lighting": {"exposure": [0, 1]}}, r"lighting.exposure: unknown key; did you mean 'exposure_range'\?"),
        (
            {"lighting": {"layers": {"Inner_Red": {"intensity": [1, 2], "colour_r": [0, 1]}}}},
            r"colour_r: unknown key; did you mean 'color_r'\?",
        ),
        ({"defects": {"tombstone": {"angel_min": 3}}}, r"angel_min: unknown key; did you mean 'angle_min'\?"),
        ({"defects": {"shfit": {}}}, r"defects.shfit: unknown key; did you mean 'shift'\?"),
        ({"pcba_root": "/W"}, "pcba_root: belongs into pcba_target.yaml"),
        ({"crop_max_emit": 5}, "crop_max_emit: is a knob of the crop step"),
        ({"render_patches": 5}, "render_patches: is a knob of the command"),
        ({"solder_fillet": {}}, "solder_fillet: known to other pipelines"),
        ({"max_image_count": 0}, "max_image_count: 0 frames"),
        ({"scan_grid": {}}, "expected x_num, y_num or both"),
        ({"camera_rotation": {"z_fixed": 45}}, "multiple of 90"),
        ({"camera_rotation": {"x_range": [-5, 5]}}, "looks straight down"),
        ({"camera": {"translate": [0, 0], "horizontal_aperture": 9, "rotation_xyz": [1, 0, 0]}}, "looks straight down"),
        ({"lighting": {"exposure_range": [1, 0]}}, "exposure_range must be two numbers"),
        ({"pipeline_type": "defect"}, "at least one mode under defects"),
        ({"pipeline_type": "good", **{"defects": {"shift": {}}}}, "pipeline_type good has no defects"),
        ({"pipeline_type": "missing"}, "needs missing"),
        ({**DEFECT, "defects": {"reverse_polarity": {"ratio": 1}}}, "must name the parts that have a polarity"),
        ({**DEFECT, "defects": {"tombstone": {"angle_min": 80, "angle_max": 70}}}, "angle_min 80 is above"),
        ({**DEFECT, "defects": {"shift": {"ratio": 0}}}, "ratio: .*greater than 0"),
        ({"semantics": [{"match": "**"}]}, "semantics.0.labels"),
        ("[1, 2]", "expected keys and values"),
        ("a: [", "line"),
    ],
)
def test_what_is_wrong_is_named_with_the_key_and_the_nearest_name(tmp_path: Path, values: object, says: str) -> None:
    path = write(tmp_path / "day0_image.yaml", values)
    with pytest.raises(UsageError, match=says) as caught:
        load_render_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"render_patches": 0}, "render_patches 0 would render nothing"),
        ({"render_patches": -2}, "render_patches -2: expected -1"),
        ({"defect_modes": "shift,tombston"}, r"unknown mode 'tombston'; did you mean 'tombstone'\?"),
        ({"defect_modes": ""}, "unknown mode ''"),
        ({"defect_modes": "sideflip"}, "has no defects.sideflip; it has shift, tombstone"),
        ({"resolution": (0, 64)}, "resolution.0"),
        ({"spp": 0}, "pathtracing.total_spp"),
    ],
)
def test_wrong_knobs_are_refused_before_rendering(tmp_path: Path, knobs: dict[str, object], says: str) -> None:
    target, config = both(tmp_path, {"component_types": ["C0603"]}, DEFECT)
    with pytest.raises(UsageError, match=says):
        load_cookbook(target, config, **knobs)


def test_knobs_land_in_their_places(tmp_path: Path) -> None:
    target, config = both(tmp_path, {"component_types": "ALL"}, {**DEFECT, "max_image_count": "__MAX_IMAGE_COUNT__"})
    found, render = load_cookbook(target, config)
    assert render.max_image_count == -1
    assert found.every_part
    _, render = load_cookbook(
        target, config, render_patches=3, defect_modes="tombstone", resolution=(64, 48), spp=2, seed=9
    )
    assert (render.max_image_count, render.resolution, render.random_seed) == (3, (64, 48), 9)
    assert render.pathtracing.total_spp == 2
    assert render.defects.enabled_modes == ("tombstone",)
    assert load_cookbook(target, config, defect_modes="all")[1].defects.enabled_modes == ("shift",)


@pytest.mark.parametrize(("target", "word"), [({}, "is missing"), ({"component_types": 0}, "is empty")])
def test_defects_need_to_know_which_parts_they_may_spoil(tmp_path: Path, target: object, word: str) -> None:
    paths = both(tmp_path, target, DEFECT)
    with pytest.raises(UsageError, match=f"component_types {word}"):
        load_cookbook(*paths)
    assert load_cookbook(paths[0], write(tmp_path / "good.yaml", {}))[1].pipeline_type == "good"


def test_what_is_written_out_is_read_back_the_same_in_the_same_order(tmp_path: Path) -> None:
    """Modes choose their parts in the order of the file: a resolved copy must keep it."""
    spoilt = {"sideflip": {"ratio": 0.1}, "missing": {"enabled": False}, "shift": {"ratio": 0.3}}
    paths = both(tmp_path, {"component_types": "ALL"}, {"pipeline_type": "defect", "defects": spoilt})
    target, config = load_cookbook(*paths)
    assert config.defects.enabled_modes == ("sideflip", "shift")
    (tmp_path / "copy").mkdir()
    copies = both(
        tmp_path / "copy",
        target.model_dump(mode="json", exclude_none=True),
        config.model_dump(mode="json", exclude_none=True),
    )
    again_target, again = load_cookbook(*copies)
    assert again == config
    assert again.defects.enabled_modes == ("sideflip", "shift")
    assert again_target.model_dump() == target.model_dump()
    assert "ALL" in copies[0].read_text()


def test_a_target_names_its_stage_beside_itself_or_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "t.yaml", {"scene": "a board's.usd"})
    assert load_target(path).stage == tmp_path / "a board's.usd"
    assert load_target(path).scene == "a board's.usd"
    assert load_target(path).horizontal_aperture == 200.0
    write(path, {"scene": "${A_BOARD_OF_OURS}"})
    with pytest.raises(UsageError, match="environment variable that is not set"):
        load_target(path)
    monkeypatch.setenv("A_BOARD_OF_OURS", "/x/y.usd")
    assert load_target(path).stage == Path("/x/y.usd")
    assert load_target(write(path, {"scene": "__SCENE__"})).stage is None
    with pytest.raises(UsageError, match=r"pcba_rot: unknown key; did you mean 'pcba_root'\?"):
        load_target(write(path, {"pcba_rot": "/W"}))


@given(st.lists(st.sampled_from(["**", "*", "?", "/", "ab", "é.+", "\n"]), max_size=6), st.text("ab/é.+\n", max_size=8))
def test_globs_match_as_said(parts: list[str], path: str) -> None:
    """Against the slow road: matching by trying every split."""
    glob = "".join(parts)
    assert bool(pattern(glob).match(path)) == slow(glob, path)


def slow(glob: str, path: str) -> bool:
    if not glob:
        return not path
    if glob.startswith("**"):
        rest = glob.lstrip("*")
        return any(slow(rest, path[k:]) for k in range(len(path) + 1))
    if glob[0] == "*":
        return any(slow(glob[1:], path[k:]) and "/" not in path[:k] for k in range(len(path) + 1))
    if not path:
        return False
    return (glob[0] == path[0] or (glob[0] == "?" and path[0] != "/")) and slow(glob[1:], path[1:])


def test_of_several_rules_the_last_counts_even_over_one_that_names_the_prim_itself() -> None:
    rules = Labels(
        [
            Rule(match="/a/b/c", labels={"class": "first", "more": "kept"}),
            Rule(match="/a/b", labels={"class": "second"}),
        ]
    )
    above = rules.matched("/a/b", rules.matched("/a", {}))
    assert {k: v for k, (_, v) in rules.matched("/a/b/c", above).items()} == {"class": "second", "more": "kept"}
