"""Rules inside of a task: its keys and their kinds, tokens, urls, files, exit actions, what is not portable."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_says import errors, loaded, only, task, tasks, warnings


@pytest.mark.parametrize("key", ["name", "image", "command"])
def test_a_task_needs_name_image_and_command(tmp_path: Path, key: str) -> None:
    row = ", ".join(part for part in ("name: a", "image: x", "command: [sh]") if not part.startswith(key))
    found = only(loaded(tmp_path, tasks(row)))
    assert (found.rule, found.line) == ("missing", 4) and repr(key) in found.message


@pytest.mark.parametrize(
    ("row", "rule", "word"),
    [
        ("command: python x.py", "type", "a list"),
        ("command: []", "missing", "at least one"),
        ("command: [true]", "type", "quotes"),
        ("command: [sh], args: [true]", "type", "quotes"),
        ("command: [sh], args: [a, yes]", "type", "quotes"),
        ("command: [sh], args: [null]", "type", "nothing"),
        ("command: [sh], args: [[a]]", "type", "a list of 1"),
        ("command: [sh], args: null", "type", "leave the key out"),
        ("command: [sh], environment: {A: null}", "type", "'A'"),
        ("command: [sh], environment: [A]", "type", "a map"),
        ("command: [sh], credentials: {c: null}", "value", "{VARIABLE: key}"),
        ("command: [sh], credentials: {c: {A: null}}", "value", "{VARIABLE: key}"),
        ("command: [sh], credentials: {c: [a]}", "value", "{VARIABLE: key}"),
        ("command: [sh], inputs: [{}]", "value", "either 'task' or 'url'"),
        ("command: [sh], inputs: [{task: a, url: s3://b}]", "value", "either 'task' or 'url'"),
        ("command: [sh], inputs: [a]", "type", "a map"),
        ("command: [sh], inputs: [{url: s3://b, regex: '('}]", "value", "regular expression"),
        ("command: [sh], outputs: [{regex: x}]", "missing", "'url'"),
        ("command: [sh], files: [{path: /a}]", "missing", "'contents'"),
        ("command: [sh], files: [{contents: a}]", "missing", "'path'"),
        ("command: [sh], files: [{path: /a, contents: a, base64: maybe}]", "type", "true or false"),
        ("command: [sh], downloadType: mount", "value", "'download'"),
        ("command: [sh], exitActions: {RESTART: 1}", "value", "COMPLETE, FAIL, RESCHEDULE"),
        ("command: [sh], exitActions: {FAIL: '1, 2'}", "value", "without spaces"),
        ("command: [sh], exitActions: {FAIL: true}", "value", "137,200-210"),
        ("command: [sh], exitActions: {FAIL: '1-'}", "value", "137,200-210"),
        ("command: [sh], checkpoint: [{path: /a, url: s3://b}]", "missing", "'frequency'"),
        ("command: [sh], checkpoint: [{path: /a, url: s3://b, frequency: soon}]", "value", "90m"),
        ("command: [sh], kpis: [{path: a}]", "missing", "'index'"),
        ("command: [sh], lead: perhaps", "type", "true or false"),
        ("command: [sh], cacheSize: 1GB", "value", "8Gi"),
        ("command: [sh], cacheSize: 101%", "value", "8Gi"),
        ("command: [sh], volumeMounts: ['/a:']", "volume-mount", "/from:/to"),
        ("command: [sh], volumeMounts: ['/a:/b:/c']", "volume-mount", "/from:/to"),
        ("command: [sh], dependsOn: [b]", "unknown-key", "inputs"),
        ("command: [sh], timeout: 3", "unknown-key", "workflow"),
        ("command: [sh], retries: 3", "unknown-key", "RESCHEDULE"),
        ("command: [sh], workingDir: /a", "unknown-key", "cd"),
        ("command: [sh], gpu: 1", "unknown-key", "resource"),
        ("command: [sh], enviroment: {}", "unknown-key", "'environment'"),
        ("command: [sh], inputs: [{task: b, regexp: x}]", "unknown-key", "'regex'"),
        ("command: [sh], checkpoint: [{path: /a, url: s3://b, frequency: 1m, every: 1}]", "unknown-key", "frequency"),
        ("command: [sh], files: [{path: /a, content: a}]", "unknown-key", "'contents'"),
    ],
)
def test_what_a_task_may_not_say(tmp_path: Path, row: str, rule: str, word: str) -> None:
    """Each with the line, the task by name, and the word that helps."""
    text = tasks(task("b"), f"name: a, image: x, {row}")
    found = [p for p in loaded(tmp_path, text).problems if p.level == "error" and p.rule == rule]
    assert found and found[0].line == 5, [str(p) for p in loaded(tmp_path, text).problems]
    assert word in f"{found[0].message} {found[0].mend}"
    assert "'a'" in found[0].message or rule == "volume-mount"


def test_numbers_become_text_and_environment_takes_truth_too(tmp_path: Path) -> None:
    more = "args: [1, 2.5], environment: {A: true, B: 1, 3: x, D: 1.0}, exitActions: {fail: 3}"
    rest = ", files: [{path: 1, contents: 2}], credentials: {c: {A: 1}, d: /m}"
    found = loaded(tmp_path, tasks(task(more=more + rest)))
    assert found.workflow is not None, found.problems
    made = found.workflow.tasks[0]
    assert made.args == ("1", "2.5") and made.environment == {"A": "True", "B": "1", "3": "x", "D": "1.0"}
    assert made.exitActions == {"FAIL": "3"} and made.credentials == {"c": {"A": "1"}, "d": "/m"}
    assert (made.files[0].path, made.files[0].contents) == ("1", "2")


def test_a_flag_in_a_list_of_arguments_must_be_quoted(tmp_path: Path) -> None:
    """Unquoted it is a truth value, which is refused; quoted it is the text of Python's True."""
    end = "default-values: {flag: true}\n"
    assert errors(loaded(tmp_path, tasks(task(more="args: [{{ flag }}]")) + end)) == [("type", 4)]
    found = loaded(tmp_path, tasks(task(more='args: ["{{ flag }}"]')) + end)
    assert found.workflow and found.workflow.tasks[0].args == ("True",)


def test_everything_a_task_can_say_is_understood(tmp_path: Path) -> None:
    more = (
        "privileged: true, hostNetwork: true, volumeMounts: [/a, '/a:/b'], downloadType: download, cacheSize: 50%, "
        "backend: b, kpis: [{index: i, path: p}], checkpoint: [{path: /c, url: s3://b/c, frequency: 5m, regex: '.*'}], "
        "credentials: {hf: {TOKEN: key}, dir: /secrets}, resource: default, lead: true"
    )
    found = loaded(tmp_path, tasks(task(more=more)), "osmo")
    assert found.problems == () and found.workflow
    made = found.workflow.tasks[0]
    assert made.privileged and made.hostNetwork and made.cacheSize == "50%" and made.checkpoint[0].frequency == "5m"
    assert made.kpis[0].index == "i" and made.volumeMounts == ("/a", "/a:/b") and made.backend == "b"


def test_resources_inside_of_a_task_are_overwritten_without_a_word(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, tasks(task(more="resources: {cpu: 1}")))) == [("task-resources", 4)]


@pytest.mark.parametrize("row", ["inputs: [{dataset: {name: d}}]", "outputs: [{dataset: {name: d}}]",
                                 "outputs: [{update_dataset: {name: d}}]"])  # fmt: skip
def test_datasets_are_not_portable(tmp_path: Path, row: str) -> None:
    found = loaded(tmp_path, tasks(task(more=row)))
    assert ("not-portable", 4) in errors(found)
    assert not any("does not know" in p.message for p in found.problems)


def test_an_output_is_a_url(tmp_path: Path) -> None:
    assert ("output-task", 5) in errors(loaded(tmp_path, tasks(task("b"), task("a", "outputs: [{task: b}]"))))


@pytest.mark.parametrize(
    "token", ["{{input:1}}", "{{input:c}}", "{{input:w}}", "{{host:z}}", "{{uuid}}", "{{input:-1}}"]
)
@pytest.mark.parametrize(
    "where",
    ["args: ['%s']", "environment: {A: '%s'}", "environment: {'%s': A}", "files: [{path: /a, contents: 'a%s'}]",
     "outputs: [{url: 's3://b/%s'}]"],
)  # fmt: skip
def test_a_token_that_nothing_stands_for(tmp_path: Path, token: str, where: str) -> None:
    """A cluster leaves it as it is without a word, wherever it stands."""
    text = tasks(task("b"), task("a", f"inputs: [{{task: b}}], {where % token}"))
    assert errors(loaded(tmp_path, text)) == [("token", 5)]


def test_the_tokens_that_something_stands_for(tmp_path: Path) -> None:
    tokens = "{{input:0}}{{input:b}}{{input:1}}{{output}}{{workflow_id}}{{host:a}}"
    more = f"inputs: [{{task: b}}, {{url: s3://b}}], args: ['{tokens}']"
    assert loaded(tmp_path, tasks(task("b"), task("a", more))).problems == ()


def test_hosts_are_those_of_the_own_group(tmp_path: Path) -> None:
    rows = ("name: a, image: x, command: ['{{host:b}}'], lead: true", "name: b, image: x, command: ['{{host:c}}']")
    text = "workflow:\n  name: w\n  groups:\n  - name: g\n    tasks:\n" + "".join(f"    - {{{r}}}\n" for r in rows)
    found = only(loaded(tmp_path, text + "  - {name: h, tasks: [{name: c, image: x, command: [x]}]}\n"))
    assert (found.rule, found.line) == ("token", 7) and "a, b" in found.mend


@pytest.mark.parametrize(
    "url", ["s3://b/x*", "s3://", "s3://b//c", "ftp://b/c", "s3://a,b", "s3://a;b", "azure://a", "''"]
)
@pytest.mark.parametrize("target", ["local", "osmo"])
def test_urls_that_no_storage_has(tmp_path: Path, url: str, target: str) -> None:
    for where in ("inputs: [{url: %s}]", "outputs: [{url: %s}]", "checkpoint: [{path: /a, frequency: 1m, url: %s}]"):
        text = tasks(task(more=where % (url if url == "''" else f"'{url}'")))
        assert errors(loaded(tmp_path, text, target)) == [("url", 4)]  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["work", "/data", "~/x", "file:///data", "./a b", "../up"])
def test_folders_are_for_this_machine_only(tmp_path: Path, url: str) -> None:
    for where in ("inputs: [{url: %s}]", "outputs: [{url: %s}]", "checkpoint: [{path: /a, frequency: 1m, url: %s}]"):
        text = tasks(task(more=where % f"'{url}'"))
        assert loaded(tmp_path, text).problems == ()
        assert errors(loaded(tmp_path, text, "osmo")) == [("url", 4)]


def test_a_url_may_hold_tokens(tmp_path: Path) -> None:
    text = tasks(task(more="outputs: [{url: 's3://b/{{workflow_id}}/x'}]"))
    assert loaded(tmp_path, text, "osmo").problems == ()


@pytest.mark.parametrize("path", ["/osmo/x", "osmo/x", "//osmo", "/osmo", "/", "''", "/osmo/data/input/a", "/a/../b"])
def test_paths_of_files_that_are_refused(tmp_path: Path, path: str) -> None:
    assert errors(loaded(tmp_path, tasks(task(more=f"files: [{{path: {path}, contents: a}}]")))) == [("file-path", 4)]


def test_paths_of_files_are_there_once(tmp_path: Path) -> None:
    text = tasks(
        task("a", "files: [{path: /a, contents: a}, {path: /a, contents: b}]"),
        task("b", "files: [{path: /a, contents: a}]"),
    )
    assert errors(loaded(tmp_path, text)) == [("file-path", 4)]
    fine = tasks(task(more="files: [{path: /osmo/data/output/m.json, contents: a}, {path: /osmosis, contents: a}]"))
    assert loaded(tmp_path, fine).problems == ()


def test_contents_that_are_said_to_be_base64(tmp_path: Path) -> None:
    assert loaded(tmp_path, tasks(task(more='files: [{path: /a, contents: "YQ==\\n", base64: true}]'))).problems == ()
    text = tasks(task(more="files: [{path: /a, contents: 'a?b', base64: true}]"))
    assert errors(loaded(tmp_path, text)) == [("base64", 4)]


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ('{FAIL: "1-5", RESCHEDULE: "5"}', 1), ('{FAIL: "1-5", RESCHEDULE: "6-9,200"}', 0), ('{FAIL: "5-1"}', 1),
        ('{COMPLETE: 3, fail: "1-9"}', 1), ("{RESCHEDULE: 137}", 0), ('{complete: "0", Fail: "1", reschedule: "2"}', 0),
    ],
)  # fmt: skip
def test_exit_codes_with_two_actions_or_none(tmp_path: Path, actions: str, told: int) -> None:
    found = loaded(tmp_path, tasks(task(more=f"exitActions: {actions}")))
    assert warnings(found) == [("exit-codes", 4)] * told and found.workflow


def test_a_checkpoint_every_moment_is_refused(tmp_path: Path) -> None:
    text = tasks(task(more="checkpoint: [{path: /a, url: s3://b, frequency: 0}]"))
    assert errors(loaded(tmp_path, text)) == [("duration", 4)]


@pytest.mark.parametrize(
    "row",
    ["dataset: d", "labels: {a: b}", "inputs: [{dataset: d}]", "outputs: [{dataset: d}]",
     "outputs: [{update_dataset: {name: d}, url: s3://b}]", "checkpoint: [{path: /a, frequency: 1m, dataset: d}]"],
)  # fmt: skip
def test_what_is_not_portable_is_one_problem_with_a_mend(tmp_path: Path, row: str) -> None:
    """And not also a missing url, or a key that is not known."""
    found = only(loaded(tmp_path, tasks(task(more=row))))
    assert (found.rule, found.line) == ("not-portable", 4) and "not portable" in found.message and found.mend


@pytest.mark.parametrize(
    ("row", "word"),
    [("inputs: b", "{task: NAME}"), ("inputs: [b]", "{task: NAME}"), ("inputs: {task: b}", "{task: NAME}"),
     ("outputs: s3://b", "{url: s3://"), ("files: {/a: x}", "{path: "), ("environment: [A]", "{NAME: value}"),
     ("exitActions: [1]", "RESCHEDULE"), ("credentials: c", "{VARIABLE: key}"), ("checkpoint: {path: /a}", "5m")],
)  # fmt: skip
def test_a_wrong_shape_is_told_with_the_right_one(tmp_path: Path, row: str, word: str) -> None:
    found = only(loaded(tmp_path, tasks(task("b"), task("a", row))))
    assert (found.rule, found.line) == ("type", 5) and word in found.mend


@pytest.mark.parametrize("image", ["''", "' '", "my image:1"])
def test_an_image_has_a_name_on_a_cluster(tmp_path: Path, image: str) -> None:
    text = tasks(f"name: a, image: {image}, command: [sh]")
    assert errors(loaded(tmp_path, text, "osmo")) == [("image", 4)]
    assert warnings(loaded(tmp_path, text)) == [("image", 4)] and not loaded(tmp_path, text).failed


def test_a_command_begins_with_a_program(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, tasks("name: a, image: x, command: ['', -c]"))) == [("command", 4)]


@pytest.mark.parametrize("name", ["A B", "A=B", "''", "1A"])
def test_names_that_no_variable_can_have(tmp_path: Path, name: str) -> None:
    for more in (f"environment: {{{name}: x}}", f"credentials: {{c: {{{name}: key}}}}"):
        assert errors(loaded(tmp_path, tasks(task(more=more)))) == [("variable", 4)]


def test_a_variable_that_is_set_twice(tmp_path: Path) -> None:
    more = "environment: {T: x, U: y}, credentials: {c: {T: k}, d: {T: k}, e: /mount}"
    found = loaded(tmp_path, tasks(task(more=more)))
    assert warnings(found) == [("variable", 4)] * 2 and "'c' is taken" in found.problems[0].message


def test_exit_actions_in_two_spellings_are_one(tmp_path: Path) -> None:
    found = loaded(tmp_path, tasks(task(more="exitActions: {fail: 3, FAIL: '4-5'}")))
    assert found.workflow and set(found.workflow.tasks[0].exitActions["FAIL"].split(",")) == {"3", "4-5"}


def test_a_good_end_that_is_tried_again(tmp_path: Path) -> None:
    assert warnings(loaded(tmp_path, tasks(task(more="exitActions: {RESCHEDULE: 0-255}")))) == [("exit-codes", 4)]


def test_a_url_with_one_slash_is_a_folder(tmp_path: Path) -> None:
    text = tasks(task(more="outputs: [{url: 's3:/b/x'}]"))
    found = only(loaded(tmp_path, text, "osmo"))
    assert (found.rule, found.level) == ("url", "error") and "s3://" in found.mend
    assert warnings(loaded(tmp_path, text)) == [("url", 4)]
