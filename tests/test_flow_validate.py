"""`noescape flow validate`, and what `load` promises to those who run and submit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flow_says import errors, loaded, task, tasks, warnings
from noescape.cli.main import main
from noescape.flow.format.load import load, require
from noescape.records import UsageError

GOOD = tasks(task("a"), task("b", "inputs: [{task: a}], outputs: [{url: '{{ root }}/x'}]"))


def validate(folder: Path, text: str, *flags: str) -> int:
    path = folder / "my flow.yaml"
    path.write_text(text, encoding="utf-8")
    return main(["flow", "validate", str(path), *flags])


def test_a_right_file_is_said_to_be_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(tmp_path, GOOD, "--for", "osmo", "--set", "root=s3://b") == 0
    out, err = capsys.readouterr()
    assert "valid for osmo, 2 tasks in 2 groups" in out and err == ""


def test_problems_are_wrong_use_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace("task: a", "task: aa").replace("image: x", "imag: x", 1)
    assert validate(tmp_path, text, "--set", "root=work") == 2
    lines = capsys.readouterr().out.splitlines()
    here = str(tmp_path / "my flow.yaml")
    assert lines[0].startswith(f"{here}:4: task 'a' ") and lines[2].startswith(f"{here}:5: there is no task 'aa'")
    assert lines[-1] == "3 problems to mend before it can run (local)"


def test_the_same_file_for_here_and_for_a_cluster(tmp_path: Path) -> None:
    assert validate(tmp_path, GOOD, "--set", "root=work") == 0
    assert validate(tmp_path, GOOD, "--for", "osmo", "--set", "root=work") == 2


def test_json_has_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace("inputs", "inptus") + "default-values: {idle: 1}\n"
    assert validate(tmp_path, text, "--json", "--set-string", "root=s3://b") == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False and answer["for"] == "local" and answer["tasks"] == []
    assert [(p["rule"], p["line"], p["level"]) for p in answer["problems"]] == [
        ("unknown-key", 5, "error"), ("unused-default", 6, "warning"),
    ]  # fmt: skip
    assert set(answer["problems"][0]) == {"file", "line", "rule", "message", "mend", "level"}


def test_warnings_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(tmp_path, GOOD + "default-values: {idle: 1}\n", "--set", "root=work") == 0
    out, err = capsys.readouterr()
    assert "valid for local" in out and ":6: warning: nothing uses the default value 'idle'" in err


def test_a_fresh_name_stands_in(tmp_path: Path) -> None:
    """Every run and submission gets one, so a file that asks for it is complete, and one that does not is too."""
    assert validate(tmp_path, GOOD.replace("name: w", "name: {{ name }}"), "--set", "root=work") == 0
    assert validate(tmp_path, GOOD, "--set", "root=work", "name=mine") == 0


@pytest.mark.parametrize("name", ["no_such_flow", "no/such/file.yaml", "gone.yaml"])
def test_a_flow_that_there_is_not(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "validate", name]) == 2
    assert "error:" in capsys.readouterr().err


def test_a_shipped_flow_is_found_by_name_and_valid_with_its_load_bearing_knobs_open(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["flow", "validate", "inspect_folder"]) == 0
    err = capsys.readouterr().err
    assert "'dig_url_root' is needed to run and not given; shown as <dig_url_root>" in err
    for target, root in (("local", "work"), ("osmo", "s3://bucket/aoi")):
        assert (
            main(
                [
                    "flow",
                    "validate",
                    "inspect_folder",
                    "--for",
                    target,
                    "--set",
                    f"dig_url_root={root}",
                    f"data={root}/p",
                ]
            )
            == 0
        )
        assert "warning" not in capsys.readouterr().err


def test_what_is_needed_and_not_given_is_an_error_or_a_marked_placeholder(tmp_path: Path) -> None:
    text = tasks(task(more="args: ['{{ knob }}'], outputs: [{url: '{{ root }}/x'}], resource: '{{ size }}'"))
    text += "default-values: {root: '', size: null}\n"
    refused = loaded(tmp_path, text, required=["knob", "root", "size"])
    assert errors(refused)[:3] == [("required", None)] * 3
    shown = loaded(tmp_path, text, "osmo", required=["knob", "root", "size"], placeholders=True)
    assert warnings(shown) == [("required", None)] * 3 and not errors(shown)
    assert shown.workflow and shown.workflow.tasks[0].args == ("<knob>",) and shown.variables["root"] == "<root>"
    given = loaded(tmp_path, text, sets=["knob=0", "root=work", "size=default"], required=["knob", "root", "size"])
    assert given.problems == () and given.workflow and given.workflow.tasks[0].args == ("0",)


def test_a_placeholder_brings_no_problems_of_its_own(tmp_path: Path) -> None:
    """A number, a name, a duration and a truth value that are not known yet are not wrong yet."""
    text = (
        "workflow:\n  name: {{ a }}\n  timeout: {exec_timeout: {{ b }}}\n"
        "  resources: {default: {cpu: {{ c }}, memory: {{ d }}}}\n  tasks:\n"
        "  - {name: t, image: x, command: [x], lead: {{ e }}, inputs: [{task: '{{ f }}'}, {url: '{{ f }}'}]}\n"
    )
    found = loaded(tmp_path, text, "osmo", required="abcdef", placeholders=True)
    assert not found.failed and found.workflow is None
    with pytest.raises(UsageError, match="'a' is needed"):
        require(found)


def test_require_gives_the_workflow_or_every_error_in_one(tmp_path: Path) -> None:
    fine = loaded(tmp_path, GOOD, sets=["root=work"])
    assert require(fine) is fine.workflow
    with pytest.raises(UsageError) as caught:
        require(loaded(tmp_path, GOOD.replace("command", "comand"), sets=["root=work"]))
    assert str(caught.value).startswith("4 problems in ") and str(caught.value).count(":4: ") == 2
    assert caught.value.exit_code == 2


def test_what_was_loaded_says_how(tmp_path: Path) -> None:
    path = tmp_path / "flow.v2.yaml"
    path.write_text(GOOD)
    found = load(path, sets=iter(["root=work"]), string_sets=iter(["name=007"]))
    assert (found.stem, found.source, found.sets, found.string_sets) == ("flow", GOOD, ("root=work",), ("name=007",))
    assert found.variables == {"root": "work", "name": "007"} and "url: work/x" in found.text


def test_a_loop_of_a_hundred_like_problems_is_told_in_a_few_lines(tmp_path: Path) -> None:
    loop = "{% for i in range(100) %}\n  - {name: t{{ i }}, image: x, comand: [x]}\n{% endfor %}\n"
    text = f"workflow:\n  name: w\n  tasks:\n{loop}"
    found = [p for p in loaded(tmp_path, text).problems if p.rule == "unknown-key"]
    assert len(found) == 3 and "97 more like it" in found[-1].message


def test_the_help_is_light_and_teaches(tmp_path: Path) -> None:
    """No template, YAML or model library is loaded to show it."""
    code = (
        "import sys; from noescape.cli.main import main\n"
        "try: main(['flow', 'validate', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'jinja2', 'yaml', 'pydantic', 'fsspec', 'rich'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "noescape flow validate my_flow.yaml" in done.stdout
