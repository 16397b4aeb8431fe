"""A plan is complete, the same in text and JSON, needs nothing but cards, and its commands run as they stand."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from noescape.flow.cards.catalog import cards_of, find, flows, load_card
from noescape.flow.cards.command import mend
from noescape.flow.cards.plan import Plan, plan
from noescape.flow.cards.plan_text import SECTIONS, plan_text
from noescape.flow.cards.resolve import resolve

ROOT = "s3://bucket/dig"
MORE = {"usecase": "glass", "data": "s3://bucket/parts", "uc3_zip_url_root": "s3://bucket/zip/",
        "uc2_url_root": "s3://bucket/tiles"}  # fmt: skip
STEMS = [flow.stem for flow, _ in cards_of(flows())]


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def needed(stem: str, root: str = ROOT) -> list[str]:
    """Settings for what is load-bearing on this flow."""
    card = load_card(stem)
    values = {"dig_url_root": root, **MORE}
    return [f"{k}={values[k]}" for k, v in card.knobs.items() if v.load_bearing and not v.stamp]


def planned(stem: str, *sets: str, root: str = ROOT, pool: str | None = "gpu", **more: object) -> Plan:
    return plan(resolve(find(stem), sets=[*needed(stem, root), *sets], **more), pool=pool)  # type: ignore[arg-type]


@pytest.mark.parametrize("stem", STEMS)
def test_every_flow_has_a_whole_plan_without_cluster_and_workflow(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All labelled sections of the response template, in its order."""
    monkeypatch.setenv("PATH", "")
    text = plan_text(planned(stem))
    places = [text.index(f"\n{label}" if number else label) for number, label in enumerate(SECTIONS[:9])]
    assert places == sorted(places)
    assert "None" not in text and "{" not in text.replace("{'", "")


@pytest.mark.parametrize("stem", STEMS)
def test_text_and_json_are_the_same_facts(stem: str) -> None:
    made = planned(stem)
    facts = json.loads(json.dumps(made.as_json()))
    text = plan_text(made)
    for key in ("flow", "state", "workflow", "name", "submit", "osmo", "run", "output", "fetch"):
        assert str(facts[key]) in text
    for row in [
        *facts["preflights"],
        *(a["command"] for a in facts["artifacts"]),
        *(a["path"] for a in facts["artifacts"]),
    ]:
        assert row in text
    for knob, value in facts["knobs"].items():
        assert f"  {knob} " in text and (value in text or value == "")
    flat = " ".join(text.split())
    for fact in (facts["expected"]["time"], facts["expected"]["disk_note"], *facts["notes"]):
        assert " ".join(str(fact).split()) in flat


@pytest.mark.parametrize("stem", STEMS)
def test_commands_survive_a_shell(stem: str) -> None:
    """Each is one line, and a shell splits it into the words that were meant."""
    odd = f'{ROOT}/a b\'s "x" $HOME'
    made = planned(stem, root=odd)
    assert made.submit and made.osmo
    for line in (made.submit, made.osmo, made.run, *made.preflights, *(a.command for a in made.artifacts)):
        assert "\n" not in line
        words = shlex.split(line)
        assert "pod-template" in words or f"dig_url_root={odd}" in words
        assert shlex.split(shlex.join(words)) == words
    words = shlex.split(made.submit)
    assert words[:4] == ["noescape", "flow", "submit", stem] and words[4:7] == ["--pool", "gpu", "--set"]
    if made.name:
        assert f"name={made.name}" in words and made.name.startswith(f"{stem}-")
    assert shlex.split(made.osmo)[4:] == words[4:]


def test_the_submit_command_holds_what_the_template_asks_for() -> None:
    sets = ["image_edit_endpoint=http://host:8000/v1"]
    words = shlex.split(planned("texture_defect_generation_day0", *sets).osmo or "")
    for start in (
        "name=texture_defect_generation_day0-",
        f"dig_url_root={ROOT}",
        "usecase=pcb",
        "image_edit_endpoint=http://host:8000/v1",
        "image_edit_model=nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL",
        "checkpoint_step=14000",
        'anomaly_types_json=[["IC","bridge"],["passive_component","excess_solder"],["passive_component","missing"]]',
    ):
        assert [word for word in words if word.startswith(start)]
    assert "osmo" not in (planned("texture_defect_generation_day0", root="dig").submit or "")


def test_a_folder_as_root_is_run_here_and_not_submitted() -> None:
    made = planned("inspect_folder", root="work")
    assert made.submit is None and made.osmo is None and made.no_submit
    assert f"none: {made.no_submit}" in plan_text(made)
    assert made.run.startswith("noescape flow run inspect_folder --set") and made.output.startswith("work/runs/")
    assert made.preflights[0].endswith("--for local")


def test_outputs_lie_where_the_code_of_the_originals_puts_them() -> None:
    made = planned("texture_defect_generation_day0")
    assert made.output == f"{ROOT}/runs/{made.name}/anomaly/inference/"
    assert planned("structural_defect_generation").output.endswith("/structural_defect_edited/")
    assert planned("good_image_generation").output.endswith("/augment/")


def test_missing_artifacts_are_made_by_the_exact_setup_command() -> None:
    made = planned("texture_defect_generation_day1_manual_roi")
    assert [(a.path, a.setup) for a in made.artifacts] == [
        ("datasets/glass/raw", "setup_glass"),
        ("models/pretrained", "setup_pretrained"),
        ("models/glass", "setup_pretrained"),
    ]
    glass = made.artifacts[0].command
    assert shlex.split(glass)[:6] == ["noescape", "flow", "submit", "setup_glass", "--pool", "gpu"]
    assert shlex.split(glass)[-1] == "uc3_zip_url_root=<uc3_zip_url_root>"  # only the user knows it
    text = plan_text(made)
    assert text.index("submit setup_glass") < text.index("submit setup_pretrained")  # data before what is fitted to it
    here = mend("setup_metal_surface", "datasets/metal_surface/raw", {"dig_url_root": "my dig"})
    assert here == "noescape flow run setup_metal --set 'dig_url_root=my dig' 'uc2_url_root=<uc2_url_root>'"
    own = mend("setup_wood", "datasets/wood/raw", {"dig_url_root": "s3://b/d"})
    assert own == "noescape flow data upload FOLDER s3://b/d/datasets/wood/raw/"


COUNTS = [
    ("texture_defect_generation_day0", {"images": 200}, 200, 200),
    ("texture_defect_generation_day0", {}, 30, None),
    ("structural_defect_generation", {}, 23, None),
    ("structural_defect_generation", {"images": 100}, 124, 100),
    ("structural_defect_generation", {"patches": 10}, 48, None),
    ("good_image_generation", {"images": 40}, 40, 40),
    ("good_image_generation", {}, None, None),
    ("finetune", {}, None, None),
    ("setup_pcb", {}, None, None),
]


@pytest.mark.parametrize(("stem", "asked", "count", "wanted"), COUNTS)
def test_the_expected_count_follows_the_knobs(
    stem: str, asked: dict[str, int | bool], count: int | None, wanted: int | None
) -> None:
    facts = planned(stem, asked=asked).expected
    assert (facts.count, facts.wanted) == (count, wanted)


def test_profiles_say_their_sizes() -> None:
    def sizes(profile: str) -> dict[str, dict[str, object]]:
        return planned("texture_defect_generation_day0", f"profile={profile}").expected.sizes

    assert sizes("gpu1")["train"] == {"cpu": 16, "memory": "64Gi", "gpu": 1}
    assert sizes("gpu8")["infer"] == {"cpu": 32, "memory": "384Gi", "gpu": 8}
    assert list(sizes("cpu").values()) == [{"cpu": 2, "memory": "8Gi", "gpu": 0}]
    assert planned("texture_defect_generation_day0", "profile=gpu1").preflights[1].endswith("pod-template")
