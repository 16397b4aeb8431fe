"""`noescape flow plan|list|show` as people and programs use them; each submit command is taken as it stands."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster_maker import Cluster, cluster
from noescape.cli.main import main
from noescape.files import dump_yaml
from noescape.flow.cards.catalog import cards_of, configs, find, flows, load_card
from noescape.flow.cards.plan import plan
from noescape.flow.cards.resolve import resolve
from test_flow_plan import ROOT, STEMS, needed

__all__ = ["cluster"]


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def test_both_kinds_of_defects_are_two_commands_with_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["flow", "plan", "--defects", "bridge,tombstone", "--set", f"dig_url_root={ROOT}", "--json"]
    assert main(args) == 0
    first, second = json.loads(capsys.readouterr().out)["plans"]
    assert first["name"] == second["name"] and first["flow"] != second["flow"]
    assert first["knobs"]["anomaly_types_json"] == '[["IC","bridge"]]'
    assert second["knobs"]["defect_modes"] == "tombstone"
    assert f"name={first['name']}" in first["submit"] and f"name={first['name']}" in second["submit"]
    assert main(args[:-1]) == 0
    text = capsys.readouterr().out
    assert text.count("Submit Command:") == 2 and "2 flows with one name" in text


def test_the_pool_is_the_remembered_one_unless_given(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from noescape.flow.cards.preferences import remember

    remember({"pool": "mine", "dig_url_root": ROOT})
    assert main(["flow", "plan", "good_image_generation", "--json"]) == 0
    assert "--pool mine" in json.loads(capsys.readouterr().out)["plans"][0]["submit"]
    assert main(["flow", "plan", "good_image_generation", "--pool", "other", "--json"]) == 0
    assert "--pool other" in json.loads(capsys.readouterr().out)["plans"][0]["submit"]
    remember({"pool": "none"})
    assert main(["flow", "plan", "good_image_generation", "--json"]) == 0
    assert "--pool" not in json.loads(capsys.readouterr().out)["plans"][0]["submit"]


def test_list_and_show_print_every_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "list"]) == 0
    text = capsys.readouterr().out
    assert all(stem in text for stem in STEMS) and "ready" in text
    assert max(map(len, text.splitlines())) <= 120
    assert main(["flow", "list", "--json"]) == 0
    rows = {row["flow"]: row for row in json.loads(capsys.readouterr().out)["flows"]}
    assert rows["inspect_folder"]["state"] == "ready" and rows["finetune"]["usecases"] == [
        "pcb",
        "metal_surface",
        "glass",
    ]
    for stem in STEMS:
        assert main(["flow", "show", stem]) == 0
        text = capsys.readouterr().out
        assert all(knob in text for knob in load_card(stem).knobs)
    assert main(["flow", "show", "finetune", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["output"]["folder"] == "finetune"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "which flow?"),
        (["finetun"], "did you mean finetune"),
        (["finetune"], "--set dig_url_root="),
        (["--defects", "rust"], "no flow makes 'rust'"),
        (["structural_defect_generation", "--crops", "5"], "render_patches"),
    ],
)
def test_wrong_use_is_exit_code_2_with_the_way_out(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flow", "plan", *args]) == 2
    assert said in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _type(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal("".join(f"{line}\n" for line in lines)))
    monkeypatch.setattr("sys.stderr", _Terminal())


VAGUE = [
    ((), ("2", "3"), "structural_defect_generation"),
    ((), ("1", "1", "parts"), "inspect_folder"),
    (("--defects", "scratch"), ("1",), "texture_defect_generation_day1_manual_roi"),
    (("--defects", "scratch"), ("2",), "texture_defect_generation_day0"),
]


@pytest.mark.parametrize(("args", "typed", "flow"), VAGUE)
def test_on_a_terminal_a_vague_wish_is_asked_about(
    args: tuple[str, ...],
    typed: tuple[str, ...],
    flow: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _type(monkeypatch, *typed)
    assert main(["flow", "plan", *args, "--set", f"dig_url_root={ROOT}", "--json"]) == 0
    assert [p["flow"] for p in json.loads(capsys.readouterr().out)["plans"]] == [flow]


def test_the_questions_lead_to_every_flow_that_makes_something() -> None:
    from noescape.flow.cards.which import leaves, tree

    found = [stem for stem, _ in leaves(tree())]
    assert sorted(found) == sorted(flow.stem for flow, card in cards_of(flows()) if card.kind == "flow")


def _land(folder: Path, stem: str) -> Path:
    """A workflow for a card, as small as can be, that uses every knob of the card."""
    card = load_card(stem)
    source = configs() / ("setup" if card.kind == "setup" else "") / f"{stem}.card.yaml"
    shutil.copy(source, folder / source.name)
    name = "{{ name }}" if "name" in card.knobs else stem
    words = " ".join(f"{knob}={{{{ {knob} }}}}" for knob in card.knobs).replace("'", "")
    text = (
        f"workflow:\n  name: {name}\n  tasks:\n  - name: say\n    image: x\n    command: [echo]\n    args:\n"
        f"    - |\n      {words}\n    outputs:\n    - url: {{{{ dig_url_root }}}}/runs/{name}/out\n"
    )
    path = folder / f"{stem}.yaml"
    path.write_text(text + dump_yaml({"default-values": card.defaults()}), "utf-8")
    return path


@pytest.mark.parametrize("stem", STEMS)
def test_every_submit_command_is_taken_by_the_cluster(
    stem: str, cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line as it stands, by us and by the cluster's own command, gives a run with the stamped name."""
    made = plan(resolve(find(str(_land(tmp_path, stem))), sets=needed(stem)), pool="gpu")
    assert made.submit and made.osmo
    words = shlex.split(made.submit)
    assert main(words[1:]) == 0
    assert f"{made.name or stem}-1" in capsys.readouterr().out
    if stem not in ("inspect_folder", "setup_glass", "texture_defect_generation_day0"):
        return  # three are enough for the cluster's own command, which costs a second each
    line = f"PATH={shlex.quote(str(cluster.program.parent))}:$PATH; {made.osmo}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    calls = cluster.calls("workflow", "submit")
    assert len(calls) == 2 and set(shlex.split(made.osmo)[5:]) <= set(calls[0])


def test_help_is_fast_and_names_the_commands() -> None:
    """No heavy import on the way to the help page (0.5 s on an idle machine)."""
    program = "import sys; from noescape.cli.main import main\ntry: main(['flow', '--help'])\nexcept SystemExit: pass\n"
    program += (
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'pydantic', 'yaml', 'jinja2', 'fsspec', 'rich'}))"
    )
    env = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in ("list", "show", "plan", "init"))
