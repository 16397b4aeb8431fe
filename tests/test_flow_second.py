"""Files put in, and the second rendering of a submit: a local run reads the very text that a cluster would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox
import pytest
import yaml

from flow_says import errors, loaded, only, task, tasks, warnings
from noescape.flow.format.load import load
from noescape.flow.format.localfiles import MAX_FILE
from noescape.flow.format.template import protect

LOCAL = "files: [{path: /run.sh, localpath: run.sh}]"


def as_submitted(section: str, defaults: dict[str, Any], sets: dict[str, Any], folder: Path) -> str:
    """What the server parses in the end, done step by step with the libraries that client and server use."""

    def rendered(text: str, data: dict[str, Any]) -> str:
        safe, tokens = protect(text)
        environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
        return environment.from_string(safe).render({**data, **tokens})

    value = yaml.safe_load(rendered(section, {**defaults, **sets}))
    for each in value["workflow"]["tasks"]:
        for file in each.get("files", []):
            if "localpath" in file:
                with (folder / file.pop("localpath")).open(encoding="utf-8") as f:
                    file["contents"] = f.read()
    return rendered(yaml.dump(value), sets)


@pytest.mark.parametrize(
    ("args", "script"),
    [
        ("[1, 2.5, '007', {{ n }}, \"{{output}}\"]", "echo plain\n"),
        (
            "['{{ n }} {{workflow_id}}']",
            "#!/bin/sh\r\nfor x in 1 2; do\r\n\techo {{ n }} {{input:0}} 'a' \"b\" $x\ndone",
        ),
        ("['größe äöü 漢字 \\ud83d']", "echo größe 漢字 🙂 {{output}}   \n\n\n"),
        ('["a\\tb", \'c: d # e\', \'{"json": {"a": 1}}\']', " leading\n\n  {% if n %}yes{% else %}no{% endif %}\n"),
        (f"['{'long word ' * 40}{{{{output}}}} {'and more ' * 20}']", "x" * 300 + "\n---\nworkflow:\n  name: other\n"),
        ("['~', 'null', 'true', '1:30', '=', '<<']", "\ufeffbom {{ '{{' }}output}}\n"),
    ],
)
def test_the_text_is_that_of_a_submit_to_the_letter(tmp_path: Path, args: str, script: str) -> None:
    section = tasks(task("a"), task("b", f"args: {args}, {LOCAL}, inputs: [{{task: a}}]")).replace("\\ud83d", "")
    (tmp_path / "run.sh").write_bytes(script.encode())
    expected = as_submitted(section, {"d": 1}, {"n": 3}, tmp_path)
    found = loaded(tmp_path, section + "default-values: {d: 1}\n", sets=["n=3"])
    assert found.text == expected
    assert found.workflow is not None, found.problems
    assert (
        found.workflow.tasks[1].files[0].contents
        == yaml.safe_load(expected)["workflow"]["tasks"][1]["files"][0]["contents"]
    )


def test_a_script_that_needs_a_default_value_works_only_with_a_set(tmp_path: Path) -> None:
    """default-values are gone when files are in; `--set` values are not."""
    (tmp_path / "run.sh").write_text("#!/bin/sh\necho {{ who }}\n")
    text = tasks(task(more=LOCAL)) + "default-values: {who: me}\n"
    found = loaded(tmp_path, text, "osmo")
    problem = next(p for p in found.problems if p.rule == "second-render")
    assert (problem.file, problem.line, problem.level) == (str(tmp_path / "run.sh"), 2, "error")
    assert "--set who=" in problem.mend
    given = loaded(tmp_path, text, "osmo", sets=["who=you"])
    assert given.workflow and given.workflow.tasks[0].files[0].contents == "#!/bin/sh\necho you\n"


def test_a_script_with_a_shell_length_fails_on_a_cluster_only(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("a=(1 2)\necho ${#a[@]} {{output}}\n")
    text = tasks(task(more=LOCAL))
    on_cluster = only(loaded(tmp_path, text, "osmo"))
    assert (on_cluster.rule, on_cluster.line, on_cluster.level) == ("second-render", 2, "error")
    here = loaded(tmp_path, text)
    assert warnings(here) == [("second-render", 2)] and not here.failed
    assert here.workflow and "${#a[@]} {{output}}" in here.workflow.tasks[0].files[0].contents


def test_every_trap_of_the_second_rendering_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("echo ${#a}\n")
    (tmp_path / "two.sh").write_text("\n\necho {{ gone }}\n")
    text = tasks(
        task("a", "args: ['{% raw %}{{ x }}{% endraw %}', '{{ lazy }}', '{% raw %}{{output}}{% endraw %}']"),
        task("b", LOCAL),
        task("c", "files: [{path: /t, localpath: two.sh}]"),
    )
    found = loaded(tmp_path, text + "default-values: {lazy: '{{ y }}'}\n", "osmo")
    told = {(p.file, p.line, p.message.split(":")[0]) for p in found.problems if p.rule == "second-render"}
    here = str(tmp_path / "w.yaml")
    assert told == {
        (here, 4, "'x' is undefined"),
        (here, 4, "'y' is undefined"),
        (here, 4, "a token inside of {% raw %} is lost"),
        (str(tmp_path / "run.sh"), 1, "template marks are read again"),
        (str(tmp_path / "two.sh"), 3, "'gone' is undefined"),
    }


def test_a_value_with_braces_is_rendered_once_more(tmp_path: Path) -> None:
    """`--set a='{{ b }}'` gives what b says, as on a cluster; a token in a value works."""
    text = tasks(task(more="args: ['{{ a }}', '{{ t }}']")) + "default-values: {t: '{{output}}/x'}\n"
    found = loaded(tmp_path, text + "", sets=["a={{ b }}", "b=3"])
    assert found.workflow and found.workflow.tasks[0].args == ("3", "{{output}}/x")


def test_a_local_file_may_lie_above_and_have_blanks_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "in side").mkdir()
    (tmp_path / "größe x.sh").write_bytes(b"a\r\nb\rc")
    path = tmp_path / "in side" / "w.yaml"
    path.write_text(tasks(task(more="files: [{path: /a, localpath: '../größe x.sh'}]")))
    found = load(path)
    assert found.problems == () and found.workflow and found.workflow.tasks[0].files[0].contents == "a\nb\nc"


def test_a_local_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    (tmp_path / "big").write_bytes(b"x" * (MAX_FILE + 1))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "half").write_text("x" * 999)
    names = ["folder", "binary", "big", "pipe", "circle", "missing", "/dev/zero", "\\0", ""]
    rows = [task(f"t{i}", f'files: [{{path: /a, localpath: "{name}"}}]') for i, name in enumerate(names)]
    rows += [
        task("both", "files: [{path: /a, localpath: big, contents: x}]"),
        task("num", "files: [{path: /a, localpath: 3}]"),
    ]
    found = loaded(tmp_path, tasks(*rows))
    assert errors(found) == [("localpath", 4 + i) for i in range(len(rows))]


def test_an_absolute_path_is_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("x")
    found = loaded(tmp_path, tasks(task(more=f"files: [{{path: /a, localpath: {tmp_path}/run.sh}}]")))
    assert warnings(found) == [("localpath", 4)] and found.workflow


def test_keys_are_sorted_by_the_submit_so_exit_actions_are_too(tmp_path: Path) -> None:
    """The first action that names a code counts; which is first does not depend on the file."""
    found = loaded(tmp_path, tasks(task(more='exitActions: {RESCHEDULE: "1", COMPLETE: "1"}')))
    assert found.workflow and list(found.workflow.tasks[0].exitActions) == ["COMPLETE", "RESCHEDULE"]
    assert warnings(found) == [("exit-codes", 4)] and "COMPLETE is taken" in found.problems[0].message


def test_files_have_a_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noescape.flow.format.localfiles.MAX_ALL", 2000)
    (tmp_path / "half").write_text("x" * 999)
    rows = [task(f"t{i}", "files: [{path: /a, localpath: half}]") for i in range(4)]
    assert errors(loaded(tmp_path, tasks(*rows))) == [("localpath", 6), ("localpath", 7)]
