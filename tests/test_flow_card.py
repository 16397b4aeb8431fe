"""Cards: every one loads, its facts agree, with its workflow too, and only cards know what flows make."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from noescape.flow.cards.card import holds, read_card
from noescape.flow.cards.catalog import cards_of, configs, find, flows, load_card
from noescape.flow.cards.knobs import as_text, problem_with
from noescape.flow.cards.sizing import expected, setting_for
from noescape.records import UsageError

SIX = [
    "texture_defect_generation_day0",
    "good_image_generation",
    "structural_defect_generation",
    "texture_defect_generation_day1_real_alignment",
    "texture_defect_generation_day1_manual_roi",
    "finetune",
]
FOUR = ["setup_pcb", "setup_metal", "setup_glass", "setup_pretrained"]
ALL = [*SIX, *FOUR, "inspect_folder"]
RAW = "datasets/{usecase}/raw"


def test_every_flow_of_the_contracts_has_a_card() -> None:
    assert {flow.stem for flow in flows() if flow.card} >= set(ALL)
    assert [load_card(stem).kind for stem in FOUR] == ["setup"] * 4


def test_the_catalogue_is_in_the_order_of_the_cards_and_marks_what_is_planned() -> None:
    found = flows()
    orders = [card.order for _, card in cards_of(found)]
    assert orders == sorted(orders)
    for flow in found:
        assert flow.ready == (flow.path is not None and flow.path.is_file())
    assert find("inspect_folder").ready


@pytest.mark.parametrize("stem", ALL)
def test_knobs_artifacts_and_questions_of_a_card_agree(stem: str) -> None:
    """Defaults in range, setup flows exist and provide what is required, everything load-bearing can be asked."""
    card = load_card(stem)
    for name, knob in card.knobs.items():
        assert knob.help and knob.stage
        if knob.default is not None:
            assert problem_with(knob, as_text(knob.default)) == "", name
        assert not knob.load_bearing or knob.stamp or 2 <= len(card.questions[name].options) <= 4
    for usecase in card.usecases or {"": None}:
        values = {"usecase": usecase} if usecase else {}
        for required in card.required(values):
            setup = find(required.setup)
            assert setup.card is not None and setup.card.kind == "setup"
            assert required.path in setup.card.provides


def _required(stem: str, **values: str) -> set[str]:
    return {r.path for r in load_card(stem).required(values)}


def test_required_artifacts_are_those_of_the_contract() -> None:
    day0 = {"models/pretrained", "models/pcb", "datasets/pcb/raw", "datasets/pcb/assets"}
    assert _required("texture_defect_generation_day0") == day0
    assert _required("texture_defect_generation_day0", use_pretrained_checkpoint="false") == day0 - {"models/pcb"}
    assert _required("texture_defect_generation_day1_real_alignment") == day0
    for stem in ("good_image_generation", "structural_defect_generation"):
        assert _required(stem) == {"datasets/pcb/assets"}
    manual = "texture_defect_generation_day1_manual_roi"
    for usecase in ("metal_surface", "glass"):
        raw = RAW.format(usecase=usecase)
        assert _required(manual, usecase=usecase) == {"models/pretrained", f"models/{usecase}", raw}
        assert _required("finetune", usecase=usecase) == {"models/pretrained", raw}
    assert _required("inspect_folder") == set()


DEFAULTS = {
    "texture_defect_generation_day0": {
        "use_pretrained_checkpoint": "true", "checkpoint_step": "14000", "num_sdg": "30", "model_size": "2b",
        "default_spatial_dependency": "cad", "render_patches": "-1", "crop_max_emit": "", "board": "0603_H100",
        "scene_filename": "spark_lighting.usd",
    },
    "good_image_generation": {"render_patches": "-1", "crop_max_emit": "", "board": "0603_H100"},
    "structural_defect_generation": {"render_patches": "5", "crop_offset": "10", "defect_modes": "all"},
    "texture_defect_generation_day1_real_alignment": {
        "checkpoint_step": "14000", "num_sdg": "30", "real_image_filename": "input_real_image/0603_H100.jpg",
    },
    "texture_defect_generation_day1_manual_roi": {"checkpoint_step": "14000", "num_sdg": "30", "model_size": "2b"},
    "finetune": {"model_size": "2b"},
}  # fmt: skip
TIMEOUTS = {"texture_defect_generation_day0": ("28h", "2h"), "good_image_generation": ("4h", "2h"),
            "structural_defect_generation": ("4h", "4h"), "finetune": ("28h", "2h"),
            "texture_defect_generation_day1_manual_roi": ("20h", "2h"),
            "texture_defect_generation_day1_real_alignment": ("20h", "2h")}  # fmt: skip


@pytest.mark.parametrize("stem", SIX)
def test_defaults_are_those_of_the_contract(stem: str) -> None:
    card = load_card(stem)
    assert {name: card.defaults()[name] for name in DEFAULTS[stem]} == DEFAULTS[stem]
    assert card.timeouts and (card.timeouts.exec, card.timeouts.queue) == TIMEOUTS[stem]
    assert card.knobs["name"].default is None and card.knobs["dig_url_root"].default is None


def test_knobs_that_do_not_exist_on_a_flow_are_not_there_and_named_instead() -> None:
    for stem in ("structural_defect_generation", "texture_defect_generation_day1_real_alignment"):
        card = load_card(stem)
        assert "crop_max_emit" not in card.knobs and "crop_max_emit" in card.absent
    assert "render_patches" in load_card("structural_defect_generation").absent["crop_max_emit"]
    assert "crop.classes" in load_card("texture_defect_generation_day1_real_alignment").absent["crop_max_emit"]


def test_yields_rise_and_invert() -> None:
    """More patches never give fewer results, and the setting found is the smallest that is enough."""
    for _, card in cards_of(flows()):
        for table in card.yields:
            counts = [expected(table, n, card.defaults()) for n in range(1, 60)]
            assert all(b > a for a, b in pairwise(counts))
            for setting, count in table.points.items():
                assert expected(table, setting, card.defaults()) == pytest.approx(count)
            for wanted in range(1, 400, 7):
                found = setting_for(table, wanted, card.defaults())
                if found is None:
                    assert table.most and expected(table, table.most, card.defaults()) < wanted * table.spare
                    continue
                assert expected(table, found, card.defaults()) >= wanted * table.spare
                assert found == table.floor or expected(table, found - 1, card.defaults()) < wanted * table.spare


def test_each_mode_that_is_left_out_costs_a_third() -> None:
    (table,) = load_card("structural_defect_generation").yields
    third = expected(table, 5, {"defect_modes": "shift"})
    assert third == pytest.approx(expected(table, 5, {"defect_modes": "all"}) / 3)


def test_a_workflow_that_has_landed_agrees_with_its_card() -> None:
    """Its default-values are knobs with the same default, and its outputs go where the card says."""
    ready = [(flow, card) for flow, card in cards_of(flows()) if flow.path]
    assert ready
    for flow, card in ready:
        assert flow.path
        text = flow.path.read_text("utf-8")
        start = re.search(r"^default-values:", text, re.MULTILINE)
        assert start
        (flow_defaults,) = load_defaults(text[start.start() :]).values()
        for name, value in flow_defaults.items():
            if not isinstance(value, (dict, list)):
                assert name in card.knobs, f"{flow.stem}: {name} is on no card"
                assert as_text(value) == card.defaults()[name], f"{flow.stem}: {name}"
        for folder in card.folders:
            assert f"/{folder}" in text, f"{flow.stem} writes no {folder}"
        for task in card.quiet:
            assert f"name: {task}" in text, f"{flow.stem} has no task {task}"


def load_defaults(text: str) -> dict[str, dict[str, object]]:
    from noescape.files import parse_yaml

    value = parse_yaml(text)
    assert isinstance(value, dict)
    return value


def test_flows_with_one_name_may_lie_side_by_side_where_they_are_meant_to() -> None:
    """The pair of good and structural, and texture with structural, write different folders of one run."""
    structural = set(load_card("structural_defect_generation").folders)
    for other in ("good_image_generation", "texture_defect_generation_day0"):
        assert not structural & set(load_card(other).folders)


GOOD = configs() / "structural_defect_generation.card.yaml"
BROKEN = {
    "order: 30": ("ordre: 30", "did you mean 'order'"),
    "kind: flow": ("kind: floww", "kind:"),
    "default: 5": ("default: 0", "knobs.render_patches.default"),
    "growth: 2": ("growth: 3", "yields.0.growth"),
    "3: 13,": ("3: 7,", "more of the knob must give more"),
    "instead: [render_patches]": ("instead: [patches]", "there is no knob 'patches'"),
    "when: {board: [0603_H100]}": ("when: {bord: [x]}", "there is no knob 'bord'"),
    "sets: {render_patches: 2}": ("sets: {render_patches: 0}", "intents.smoke.sets.render_patches"),
    "usecase_knob: usecase": ("usecase_knob: use", "usecase_knob: there is no knob"),
    "  board: 0603_H100, unless": ("  dig_url_root: 0603_H100, unless", "what is settled is not asked"),
    "questions:\n  dig_url_root:": ("questions:\n  board:", "questions.dig_url_root: it is load-bearing"),
    "folders: [structural_defect, structural_defect_edited]": ("folders: [a]", "which holds the output"),
    "memory: 8Gi, gpu: 0}": ("memory: 8GB, gpu: 0}", "profiles.cpu.stages.each task.memory"),
}


@pytest.mark.parametrize("old", list(BROKEN))
def test_a_broken_card_is_named_with_file_and_key(old: str, tmp_path: Path) -> None:
    new, said = BROKEN[old]
    text = GOOD.read_text("utf-8")
    assert old in text
    path = tmp_path / "x.card.yaml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(UsageError) as caught:
        read_card(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_a_card_that_is_no_mapping_or_no_yaml_is_refused(tmp_path: Path) -> None:
    for text in ("- 1\n", "card: [\n", "!!python/object/apply:os.system ['true']\n"):
        path = tmp_path / "x.card.yaml"
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError, match=re.escape(str(path))):
            read_card(path)


def test_conditions_read_as_written() -> None:
    assert holds({}, {}) and holds({"a": ("true",)}, {"a": "true"}) and not holds({"a": ("true",)}, {})
    assert holds({"a": ("!",)}, {"a": "x"}) and not holds({"a": ("!",)}, {"a": ""})
    assert holds({"a": ("",)}, {}) and not holds({"a": ("1",), "b": ("2",)}, {"a": "1", "b": "3"})
