"""Wishes become knobs as the contracts say; what does not exist is refused; nothing settled is asked."""

from __future__ import annotations

import json

import pytest

from noescape.flow.cards.ask import ask
from noescape.flow.cards.card_parts import Question
from noescape.flow.cards.catalog import cards_of, find, flows
from noescape.flow.cards.intent import pick
from noescape.flow.cards.resolve import Resolved, resolve
from noescape.flow.cards.sizing import gave
from noescape.records import UsageError

ROOT = "dig_url_root=s3://bucket/dig"
DAY0, GOOD, STRUCTURAL = "texture_defect_generation_day0", "good_image_generation", "structural_defect_generation"
ALIGN, MANUAL = "texture_defect_generation_day1_real_alignment", "texture_defect_generation_day1_manual_roi"


def decide(stem: str, *sets: str, **more: object) -> Resolved:
    return resolve(find(stem), sets=(ROOT, *sets), **more)  # type: ignore[arg-type]


def knobs(stem: str, asked: dict[str, int | bool], *sets: str) -> dict[str, str]:
    """What a wish changed against the same run without it."""
    before = decide(stem, *sets, name="n").values
    after = decide(stem, *sets, asked=asked, name="n").values
    return {name: value for name, value in after.items() if before.get(name) != value}


USE = "usecase=glass"
TABLE: list[tuple[str, dict[str, int | bool], dict[str, str], tuple[str, ...]]] = [
    (DAY0, {"images": 200}, {"num_sdg": "200"}, ()),
    (DAY0, {"crops": 7}, {"crop_max_emit": "7"}, ()),
    (DAY0, {"patches": 4}, {"render_patches": "4"}, ()),
    (DAY0, {"smoke": True}, {"render_patches": "5", "num_sdg": "15"}, ()),
    (DAY0, {"smoke": True, "images": 3}, {"render_patches": "5", "num_sdg": "3"}, ()),
    (GOOD, {"crops": 3}, {"crop_max_emit": "3"}, ()),
    (GOOD, {"patches": 9}, {"render_patches": "9"}, ()),
    (GOOD, {"smoke": True}, {"render_patches": "5", "crop_max_emit": "1"}, ()),
    (GOOD, {"images": 40}, {"render_patches": "7", "max_images": "40"}, ()),
    (GOOD, {"images": 40}, {"render_patches": "60", "max_images": "40"}, ("board=mine",)),
    (GOOD, {"images": 1}, {"render_patches": "2", "max_images": "1"}, ()),
    (GOOD, {"images": 40, "patches": 8}, {"render_patches": "8", "max_images": "40"}, ()),
    (GOOD, {"images": 20, "smoke": True}, {"render_patches": "13", "crop_max_emit": "1", "max_images": "20"}, ()),
    (STRUCTURAL, {"patches": 3}, {"render_patches": "3"}, ()),
    (STRUCTURAL, {"smoke": True}, {"render_patches": "2"}, ()),
    (STRUCTURAL, {"images": 19}, {}, ()),  # 5 patches, the default
    (STRUCTURAL, {"images": 5}, {"render_patches": "2"}, ()),
    (STRUCTURAL, {"images": 51}, {"render_patches": "13"}, ()),
    (STRUCTURAL, {"images": 250}, {"render_patches": "-1"}, ()),
    (STRUCTURAL, {"images": 6}, {}, ("defect_modes=tombstone",)),
    (ALIGN, {"images": 12}, {"num_sdg": "12"}, ()),
    (ALIGN, {"smoke": True}, {"num_sdg": "15"}, ()),
    (MANUAL, {"images": 12}, {"num_sdg": "12"}, (USE,)),
    (MANUAL, {"smoke": True}, {"num_sdg": "15"}, (USE,)),
    ("inspect_folder", {"smoke": True}, {"recipe": "padim_mvtec", "evaluate": "false"}, ("data=parts",)),
]


@pytest.mark.parametrize(("stem", "asked", "want", "sets"), TABLE)
def test_a_wish_sets_the_knob_of_its_stage(
    stem: str, asked: dict[str, int | bool], want: dict[str, str], sets: tuple[str, ...]
) -> None:
    assert knobs(stem, asked, *sets) == want


def test_a_wish_stands_in_the_command_even_when_it_asks_for_the_default() -> None:
    assert "render_patches=5" in decide(STRUCTURAL, asked={"images": 19}).sets
    assert "num_sdg=30" in decide(DAY0, asked={"images": 30}).sets
    assert not [s for s in decide(DAY0).sets if s.startswith("num_sdg")]


REFUSALS: list[tuple[str, dict[str, int | bool], str, tuple[str, ...]]] = [
    (STRUCTURAL, {"crops": 5}, r"--crops 5: .*use --patches N \(the knob render_patches\)", ()),
    (ALIGN, {"crops": 5}, r"--crops 5: .*crop\.classes.*--images N \(the knob num_sdg\)", ()),
    (ALIGN, {"patches": 5}, r"--patches 5: .*--images N \(the knob num_sdg\)", ()),
    (MANUAL, {"crops": 5}, r"--images N \(the knob num_sdg\)", (USE,)),
    (MANUAL, {"patches": 5}, r"--images N \(the knob num_sdg\)", (USE,)),
    ("finetune", {"images": 5}, "num_sdg", (USE,)),
    ("finetune", {"crops": 5}, "crop_max_emit", (USE,)),
    ("finetune", {"patches": 5}, "render_patches", (USE,)),
    ("finetune", {"smoke": True}, "max_iter", (USE,)),
    ("inspect_folder", {"images": 5}, "--set new=", ("data=parts",)),
    ("setup_pcb", {"images": 5}, "it knows: none", ()),
    (STRUCTURAL, {"patches": 0}, "1 or more", ()),
    (DAY0, {"images": -3}, "1 or more", ()),
    (DAY0, {"images": 10**9}, "num_sdg: expected a whole number from 1", ()),
    (DAY0, {"images": 5}, "--images 5 sets num_sdg=5, and num_sdg=9 is set too", ("num_sdg=9",)),
    (STRUCTURAL, {"images": 90}, r"board=1152819000 gives was never measured; use --patches N", ("board=1152819000",)),
]


@pytest.mark.parametrize(("stem", "asked", "said", "sets"), REFUSALS)
def test_a_wish_that_does_not_exist_names_the_right_knob(
    stem: str, asked: dict[str, int | bool], said: str, sets: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match=said):
        decide(stem, *sets, asked=asked)


KNOB_REFUSALS = [
    (STRUCTURAL, "crop_max_emit=5", "render_patches"),
    (STRUCTURAL, "render_patches=0", "expected a whole number of 1 or more"),
    (STRUCTURAL, "defect_modes=shift,bridge", "shift, tombstone, sideflip"),
    (ALIGN, "crop_max_emit=5", r"crop\.classes"),
    (DAY0, "rendr_patches=5", "did you mean render_patches"),
    (DAY0, "image_edit_model=qwen-image-edit", "nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL"),
    (DAY0, "image_edit_endpoint=somewhere", "http://"),
    (DAY0, "anomaly_types_json=[", "JSON"),
    (DAY0, "usecase=glass", "one of pcb"),
    (DAY0, "num_sdg", "expected KNOB=VALUE"),
    (DAY0, "profile=gpu2", "cpu, gpu1, gpu8"),
    ("inspect_folder", "recipe=other", "patchcore_mvtec, padim_mvtec"),
]


@pytest.mark.parametrize(("stem", "setting", "said"), KNOB_REFUSALS)
def test_a_wrong_setting_names_what_is_right(stem: str, setting: str, said: str) -> None:
    more = ("data=parts",) if stem == "inspect_folder" else ()
    with pytest.raises(UsageError, match=said):
        decide(stem, setting, *more)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        decide(DAY0, "num_sdg=0", "render_patches=0", "board= ")
    assert all(name in str(caught.value) for name in ("num_sdg", "render_patches", "board"))


def test_too_few_patches_for_the_images_asked_is_said_before() -> None:
    (note,) = decide(STRUCTURAL, asked={"images": 100, "patches": 3}).notes
    assert "about 13" in note and "100" in note
    assert gave(37, 40) == "gave 37 of 40 asked for" and gave(40, 40) == "gave 40 of 40"


def test_more_images_than_the_board_can_give_use_all_of_it() -> None:
    decided = decide(GOOD, asked={"images": 5000})
    assert decided.values["render_patches"] == "-1" and decided.values["max_images"] == "5000"
    assert "may be fewer than 5000" in decided.notes[0]


def test_use_cases_bring_their_own_step_and_types() -> None:
    for usecase, step, count in (("metal_surface", "10000", 5), ("glass", "9000", 3), ("pcb", "14000", 1)):
        values = decide(MANUAL, f"usecase={usecase}").values
        assert values["checkpoint_step"] == step
        assert len(json.loads(values["anomaly_types_json"])) == count
    assert decide(MANUAL, usecase="glass").values["checkpoint_step"] == "9000"
    assert decide(MANUAL, "usecase=glass", "checkpoint_step=5").values["checkpoint_step"] == "5"


def test_a_use_case_of_ones_own_must_say_its_step_and_types() -> None:
    with pytest.raises(UsageError) as caught:
        decide(MANUAL, "usecase=wood")
    assert "checkpoint_step" in str(caught.value) and "anomaly_types_json" in str(caught.value)
    own = decide(MANUAL, "usecase=wood", "checkpoint_step=100", 'anomaly_types_json=[["wood","knot"]]')
    assert own.values["usecase"] == "wood"


def test_what_is_unknown_and_load_bearing_is_listed_with_its_flags() -> None:
    """Nobody can be asked: one error names all of it, with the answers there are."""
    with pytest.raises(UsageError) as caught:
        resolve(find(MANUAL))
    text = str(caught.value)
    assert "--set dig_url_root=" in text and "s3://osmo-workflows/dig" in text
    assert "--set usecase=" in text and "metal surfaces" in text and caught.value.exit_code == 2


def test_the_root_has_no_silent_default_anywhere() -> None:
    for flow, card in cards_of(flows()):
        with pytest.raises(UsageError, match="dig_url_root"):
            resolve(flow, sets=[f"{k}=x" for k, v in card.knobs.items() if v.load_bearing and k != "dig_url_root"])


def test_on_a_terminal_only_what_is_load_bearing_and_unknown_is_asked() -> None:
    """Nothing settled, nothing with a default, nothing given or remembered, and each once."""
    for flow, card in cards_of(flows()):
        asked: list[str] = []

        def answer(knob: str, question: Question, asked: list[str] = asked) -> dict[str, str]:
            asked.append(knob)
            assert 2 <= len(question.options) <= 4
            return {knob: "glass" if knob == "usecase" else "s3://b/x"}

        resolve(flow, ask=answer)
        assert sorted(asked) == sorted(k for k, v in card.knobs.items() if v.load_bearing and not v.stamp)
        assert not set(asked) & card.settled.keys()
        asked.clear()
        resolve(flow, ask=answer, preferences={"dig_url_root": "s3://b/x"})
        assert "dig_url_root" not in asked


def test_a_question_takes_a_number_or_typed_words(capsys: pytest.CaptureFixture[str]) -> None:
    question = find(DAY0).card.questions["dig_url_root"]  # type: ignore[union-attr]

    def reader(*lines: str) -> dict[str, str]:
        rest = iter(lines)
        return ask("dig_url_root", question, read=lambda: next(rest, ""))

    assert reader("1\n") == {"dig_url_root": "s3://osmo-workflows/dig"}
    assert reader("9\n", "x\n", "2\n", " my dig \n") == {"dig_url_root": "my dig"}
    assert capsys.readouterr().out == ""  # questions are no results
    for lines in (("",), ("0\n", "x\n", "\n", "1\n"), ("2\n", "")):
        with pytest.raises(UsageError):
            reader(*lines)


CLASSES = [
    ("bridge", [(DAY0, ("bridge",))]),
    ("missing-component", [(DAY0, ("missing",))]),
    ("Solder Bridge,missing", [(DAY0, ("bridge", "missing"))]),
    ("tombstone,shift", [(STRUCTURAL, ("tombstone", "shift"))]),
    ("bridge,tombstone", [(DAY0, ("bridge",)), (STRUCTURAL, ("tombstone",))]),
    ("good,sideflip", [(GOOD, ("good",)), (STRUCTURAL, ("sideflip",))]),
    ("oil,stain", [(MANUAL, ("oil", "stain"))]),
    ("blowhole", [(MANUAL, ("MT_Blowhole",))]),
    ("scratch,oil", [(MANUAL, ("scratch", "oil"))]),
    ("scratch,bridge", [(DAY0, ("scratch", "bridge"))]),
]


@pytest.mark.parametrize(("words", "want"), CLASSES)
def test_classes_pick_the_flow_that_makes_them(words: str, want: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(c.flow.stem, c.classes) for c in pick(flows(), words.split(","))] == want


def test_a_class_of_several_use_cases_needs_one() -> None:
    with pytest.raises(UsageError, match=r"--usecase glass\|pcb"):
        pick(flows(), ["scratch"])
    (choice,) = pick(flows(), ["scratch"], "glass")
    assert (choice.flow.stem, choice.usecase) == (MANUAL, "glass")
    with pytest.raises(UsageError, match="different use cases"):
        pick(flows(), ["oil", "bridge"])
    with pytest.raises(UsageError, match=r"no flow makes 'rust'; there are: .*bridge"):
        pick(flows(), ["rust"])


def test_classes_become_the_knob_that_names_them() -> None:
    values = decide(DAY0, classes=["bridge", "missing"]).values
    assert json.loads(values["anomaly_types_json"]) == [["IC", "bridge"], ["passive_component", "missing"]]
    assert decide(STRUCTURAL, classes=["tombstone", "shift"]).values["defect_modes"] == "tombstone,shift"
    glass = decide(MANUAL, classes=["oil"]).values
    assert (glass["usecase"], glass["checkpoint_step"]) == ("glass", "9000")
    assert "finetune" in decide(DAY0, classes=["scratch"]).notes[0]
    with pytest.raises(UsageError, match="does not make 'tombstone'"):
        decide(DAY0, classes=["tombstone"])
    with pytest.raises(UsageError, match="choose one"):
        decide(STRUCTURAL, "defect_modes=shift", classes=["tombstone"])


def test_remembered_choices_stand_below_what_is_given() -> None:
    known = {"board": "mine", "dig_url_root": "s3://old/x", "pool": "p", "image_edit_endpoint": "http://h:1/v1"}
    decided = resolve(find(DAY0), sets=[ROOT], preferences=known, target="osmo")
    assert decided.values["board"] == "mine" and decided.values["dig_url_root"] == "s3://bucket/dig"
    assert "image_edit_endpoint=http://h:1/v1" in decided.sets
    assert "image_edit_model=nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL" in decided.sets
    assert not [s for s in decided.sets if s.startswith("pool=")]
    assert not [s for s in decide(DAY0).sets if s.startswith("image_edit_model")]


def test_a_deployed_endpoint_is_that_of_the_cluster_and_none_is_none() -> None:
    known = {"image_edit_endpoint": "deploy"}
    there = resolve(find(DAY0), sets=[ROOT], preferences=known, target="osmo")
    assert there.values["image_edit_endpoint"].endswith(".svc.cluster.local:8000/v1")
    here = resolve(find(DAY0), sets=[ROOT], preferences=known, target="local")
    assert here.values["image_edit_endpoint"] == "" and "lives in the cluster" in here.notes[0]
    assert (
        resolve(find(DAY0), sets=[ROOT], preferences={"image_edit_endpoint": "none"}).values["image_edit_endpoint"]
        == ""
    )


def test_the_cluster_takes_no_folder_of_this_machine() -> None:
    with pytest.raises(UsageError, match="dig_url_root"):
        resolve(find(DAY0), sets=["dig_url_root=dig"], target="osmo")
    assert resolve(find(DAY0), sets=["dig_url_root=dig"]).values["dig_url_root"] == "dig"


def test_a_text_that_a_number_would_change_goes_by_set_string() -> None:
    known = {"board": "115_2819_000"}
    decided = resolve(find(DAY0), sets=[ROOT], preferences=known)
    assert decided.string_sets == ("board=115_2819_000",)
    assert not decide(DAY0, "board=1152819000").string_sets
    given = resolve(find(DAY0), sets=[ROOT], string_sets=["board=007"])
    assert given.string_sets == ("board=007",) and given.values["board"] == "007"
    plain = resolve(find(DAY0), sets=[ROOT], string_sets=["board=mine"])
    assert plain.string_sets == ("board=mine",) and "board=mine" not in plain.sets


def test_names_are_stamped_afresh() -> None:
    names = {decide(DAY0).values["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(f"{DAY0}-") and len(name) == len(DAY0) + 9 for name in names)
    assert decide(DAY0, "name=mine").values["name"] == "mine"
