"""Rules between the values of a workflow: names, groups, order, resources, limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flow_says import TASK, errors, loaded, only, task, tasks, warnings

CANONICAL = """\
workflow:
  name: {{ wf_name }}
  timeout: {exec_timeout: 2h, queue_timeout: 30m}
  resources:
    default: {cpu: 1, memory: 1Gi, storage: 1Gi}
    gpu: {cpu: 4, gpu: 1, memory: 16Gi, storage: 10Gi}
  tasks:
  - name: prep
    image: python:3.11
    command: [sh, -c]
    args: ["echo {{workflow_id}} > {{output}}/id.txt"]
  - name: train
    image: python:3.11
    resource: gpu
    command: [python]
    args: ["train.py", "--data={{input:0}}", "--lr={{ lr }}", "--out={{output}}"]
    inputs:
    - {task: prep, regex: '.*\\.txt$'}
    outputs:
    - url: s3://bucket/out/{{workflow_id}}
    exitActions: {RESCHEDULE: "137,200-210"}
default-values: {wf_name: demo, lr: 0.1}
"""


def group(name: str, *rows: str, more: str = "") -> str:
    """A group with tasks in flow style, one line each after its own."""
    return f"  - name: {name}\n{more}    tasks:\n" + "".join(f"    - {{{row}}}\n" for row in rows)


def groups(*made: str) -> str:
    return "workflow:\n  name: w\n  groups:\n" + "".join(made)


@pytest.mark.parametrize("target", ["local", "osmo"])
def test_the_example_of_the_format_is_valid(tmp_path: Path, target: str) -> None:
    found = loaded(tmp_path, CANONICAL, target)  # type: ignore[arg-type]
    assert found.problems == ()
    workflow = found.workflow
    assert workflow and workflow.name == "demo" and [g.name for g in workflow.groups] == ["prep-group", "train-group"]
    train = workflow.tasks[1]
    assert train.args[2] == "--lr=0.1" and train.exitActions == {"RESCHEDULE": "137,200-210"} and train.lead
    assert train.inputs[0].regex == r".*\.txt$" and workflow.resources["gpu"].gpu == 1


def test_tasks_or_groups_and_at_least_one(tmp_path: Path) -> None:
    both = groups(group("g", task("b"))) + "  tasks:\n" + TASK
    assert errors(loaded(tmp_path, both)) == [("tasks-and-groups", 7)]
    assert errors(loaded(tmp_path, "workflow:\n  name: w\n")) == [("no-tasks", 1)]
    assert errors(loaded(tmp_path, "workflow:\n  name: w\n  tasks: []\n")) == [("no-tasks", 1)]


def test_an_empty_list_beside_the_other(tmp_path: Path) -> None:
    """Empty groups beside tasks are fine; empty tasks beside groups are filled by the client and then refused."""
    assert loaded(tmp_path, tasks(task()) + "  groups: []\n", "osmo").problems == ()
    text = groups(group("g", task("b"))) + "  tasks: []\n"
    assert warnings(loaded(tmp_path, text)) == [("tasks-and-groups", 7)]
    assert errors(loaded(tmp_path, text, "osmo")) == [("tasks-and-groups", 7)]


@pytest.mark.parametrize("name", ["1a", "a_", "a-", "-a", "ä", "a b", "a.b", "a/b", "''", "a:b"])
def test_names_that_the_format_refuses(tmp_path: Path, name: str) -> None:
    assert errors(loaded(tmp_path, tasks(task(name)))) == [("value", 4)]
    assert errors(loaded(tmp_path, tasks(task()).replace("name: w", f"name: {name}"))) == [("value", 2)]


@pytest.mark.parametrize("name", ["a", "A", "a1", "a_-b", "x" * 64])
def test_names_that_the_format_takes(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, tasks(task(name))).problems == ()


def test_a_name_has_at_most_64_characters(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, tasks(task("x" * 65)))) == [("name", 4)]
    assert errors(loaded(tmp_path, tasks(task()).replace("name: w", f"name: {'w' * 65}"))) == [("name", 2)]


@pytest.mark.parametrize("name", ["osmo-ctrl", "OSMO_CTRL", "Osmo-Ctrl"])
def test_the_name_of_the_service_is_reserved(tmp_path: Path, name: str) -> None:
    assert errors(loaded(tmp_path, tasks(task(name)))) == [("name", 4)]


@pytest.mark.parametrize(("one", "two"), [("a", "a"), ("a", "A"), ("a_b", "a-b"), ("A_b", "a-B")])
def test_names_clash_without_case_and_underscore(tmp_path: Path, one: str, two: str) -> None:
    assert errors(loaded(tmp_path, tasks(task(one), task(two)))) == [("name-clash", 5)]
    assert errors(loaded(tmp_path, groups(group(one, task("x")), group("y", task(two))))) == [("name-clash", 9)]
    assert errors(loaded(tmp_path, groups(group(one, task("x")), group(two, task("z"))))) == [("name-clash", 7)]


def test_a_task_may_not_be_called_like_the_group_of_another(tmp_path: Path) -> None:
    """A task `a` becomes the group `a-group`; the cluster would mix it up with a task of that name."""
    assert errors(loaded(tmp_path, tasks(task("a"), task("a-group")))) == [("name-clash", 4)]


def test_a_name_that_yaml_reads_as_truth(tmp_path: Path) -> None:
    found = only(loaded(tmp_path, tasks(task("no"))))
    assert (found.rule, found.line) == ("type", 4) and "quotes" in found.mend


@pytest.mark.parametrize("leads", [(), ("a", "b")])
def test_exactly_one_task_leads_a_group(tmp_path: Path, leads: tuple[str, ...]) -> None:
    rows = [task(name, "lead: true" if name in leads else "") for name in "ab"]
    assert errors(loaded(tmp_path, groups(group("g", *rows)))) == [("lead", 5)]
    right = loaded(tmp_path, groups(group("g", task("a"), task("b", "lead: true"))))
    assert right.workflow and [t.lead for t in right.workflow.tasks] == [False, True] and not right.problems


@pytest.mark.parametrize("more", ["", "lead: false"])
def test_the_one_task_of_a_group_leads_by_itself(tmp_path: Path, more: str) -> None:
    for text in (tasks(task("a", more)), groups(group("g", task("a", more)))):
        found = loaded(tmp_path, text)
        assert found.workflow and found.workflow.tasks[0].lead and not found.problems


def test_a_group_has_a_task_and_its_defaults(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, "workflow:\n  name: w\n  groups:\n  - {name: g, tasks: []}\n")) == [("missing", 4)]
    found = loaded(tmp_path, groups(group("g", task("a"))))
    assert found.workflow and found.workflow.groups[0].barrier and found.workflow.groups[0].ignoreNonleadStatus
    other = loaded(tmp_path, groups(group("g", task("a"), more="    barrier: false\n    ignoreNonleadStatus: false\n")))
    assert other.workflow and not other.workflow.groups[0].barrier and not other.workflow.groups[0].ignoreNonleadStatus


def test_an_upstream_is_declared_earlier(tmp_path: Path) -> None:
    found = only(loaded(tmp_path, tasks(task("b", "inputs: [{task: a}]"), task("a"))))
    assert (found.rule, found.line) == ("input-later", 4) and "line 5" in found.message
    in_groups = groups(group("one", task("b", "inputs: [{task: a}]")), group("two", task("a")))
    assert errors(loaded(tmp_path, in_groups)) == [("input-later", 6)]


def test_a_circle_is_a_task_declared_later(tmp_path: Path) -> None:
    text = tasks(task("a", "inputs: [{task: b}]"), task("b", "inputs: [{task: a}]"))
    assert errors(loaded(tmp_path, text)) == [("input-later", 4)]


def test_no_input_from_the_own_group(tmp_path: Path) -> None:
    text = groups(group("g", task("a", "lead: true"), task("b", "inputs: [{task: a}]")))
    assert errors(loaded(tmp_path, text)) == [("input-in-group", 7)]
    assert errors(loaded(tmp_path, tasks(task("a", "inputs: [{task: a}]")))) == [("input-in-group", 4)]


def test_an_unknown_upstream_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    for wrong in ("trian", "Train", "TRAIN"):
        found = only(loaded(tmp_path, tasks(task("train"), task("b", f"inputs: [{{task: {wrong}}}]"))))
        assert (found.rule, found.line) == ("input-task", 5) and "'train'" in found.mend
    assert "tasks are" in only(loaded(tmp_path, tasks(task("train"), task("b", "inputs: [{task: zzz}]")))).mend


def test_an_order_without_data_is_an_input_that_matches_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, tasks(task("a"), task("b", "inputs: [{task: a, regex: '^$'}]"))).problems == ()


def test_an_input_of_another_workflow(tmp_path: Path) -> None:
    found = loaded(tmp_path, tasks(task("a", 'inputs: [{task: "old-wf-3:train"}], args: ["{{input:train}}"]')))
    assert found.problems == () and found.workflow and found.workflow.tasks[0].inputs[0].task == "old-wf-3:train"
    for wrong in ("old-wf:train", "3:train", "old-3:", "old-3:a:b", ":train"):
        assert errors(loaded(tmp_path, tasks(task("a", f'inputs: [{{task: "{wrong}"}}]')))) == [("input-task", 4)]


def test_resources_without_a_default_leave_tasks_without_one(tmp_path: Path) -> None:
    head = "  resources: {gpu: {cpu: 1}}\n"
    found = only(loaded(tmp_path, tasks(task("a"), task("b", "resource: gpu"), head=head)))
    assert (found.rule, found.line) == ("resource", 5) and "default" in found.message
    assert loaded(tmp_path, tasks(task("a"))).problems == ()


def test_an_unknown_resource_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    head = "  resources: {default: {cpu: 1}, large: {cpu: 8}}\n"
    found = only(loaded(tmp_path, tasks(task("a", "resource: lrage"), head=head)))
    assert (found.rule, found.line, found.mend) == ("resource", 5, "did you mean 'large'?")
    assert errors(loaded(tmp_path, tasks(task("a", "resource: gpu")))) == [("resource", 4)]


@pytest.mark.parametrize("value", ["gpu: 0.5", "cpu: 1.5", "cpu: -1", "gpu: many", "memory: 1GB", "memory: 8g",
    "storage: -1Gi", "memory: 1 Gi", "memory: true", "gpus: 1", "memory: 1Pi", "nodesExcluded: a",
    "topology: [{group: x}]", "topology: [{key: x, requirementType: must}]"])  # fmt: skip
def test_amounts_that_the_format_refuses(tmp_path: Path, value: str) -> None:
    found = loaded(tmp_path, tasks(task(), head=f"  resources:\n    default:\n      {value}\n"))
    assert len(errors(found)) == 1 and errors(found)[0][1] == 5


@pytest.mark.parametrize(
    "value", ["gpu: 0", "cpu: 4", "memory: 8Gi", "storage: 1.5Ti", "memory: 1024", "platform: h100", "cpu: '2'",
              "nodesExcluded: [a]", "topology: [{key: rack, group: g, requirementType: preferred}]"],
)  # fmt: skip
def test_amounts_that_the_format_takes(tmp_path: Path, value: str) -> None:
    assert loaded(tmp_path, tasks(task(), head=f"  resources: {{default: {{{value}}}}}\n")).problems == ()


@pytest.mark.parametrize("unit", ["G", "GiB", "M"])
def test_a_unit_that_is_read_in_two_ways(tmp_path: Path, unit: str) -> None:
    found = only(loaded(tmp_path, tasks(task(), head=f"  resources: {{default: {{memory: 8{unit}}}}}\n")))
    assert (found.rule, found.level) == ("size-unit", "warning") and f"8{unit[0]}i" in found.mend


@pytest.mark.parametrize(
    "value", ["1h5m", "1h 5m", '"90"', "2x", "''", "-5m", "true", "[1]", "1.5h", "-3", ".inf", "P", "PT"]
)
def test_durations_that_the_format_refuses(tmp_path: Path, value: str) -> None:
    found = loaded(tmp_path, tasks(task(), head=f"  timeout: {{exec_timeout: {value}}}\n"))
    assert errors(found) == [("value", 3)]


@pytest.mark.parametrize(("value", "seconds"), [("90", 90), ("2h", 7200), ("30m", 1800), ("7d", 604800), ("5s", 5),
    ("500ms", 0.5), ("10us", 1e-5), ("1.5", 1.5), ("PT10S", 10), ("PT1H30M", 5400)])  # fmt: skip
def test_durations_that_the_format_takes(tmp_path: Path, value: str, seconds: float) -> None:
    from noescape.flow.format.units import parse_duration

    found = loaded(tmp_path, tasks(task(), head=f"  timeout: {{queue_timeout: {value}}}\n"))
    assert found.workflow and parse_duration(found.workflow.timeout.queue_timeout or "") == pytest.approx(seconds)
    assert [rule for rule, _ in warnings(found)] == (["duration"] if value.startswith("P") else [])


def test_durations_that_mean_something_else(tmp_path: Path) -> None:
    """0 is the default of the cluster, and it grants 60 days at most."""
    for value in ("0", "0s", "61d"):
        found = loaded(tmp_path, tasks(task(), head=f"  timeout: {{exec_timeout: {value}}}\n"))
        assert warnings(found) == [("duration", 3)]


def test_more_tasks_than_a_cluster_takes(tmp_path: Path) -> None:
    text = tasks(*[task(f"t{i}") for i in range(21)])
    assert warnings(loaded(tmp_path, text)) == [("too-many-tasks", 24)]
    assert errors(loaded(tmp_path, text, "osmo")) == [("too-many-tasks", 24)]
    assert loaded(tmp_path, tasks(*[task(f"t{i}") for i in range(20)]), "osmo").problems == ()


def test_what_some_versions_refuse_or_fill_themselves(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, tasks(task(), head="  labels: {a: b}\n"))) == [("not-portable", 3)]
    found = loaded(tmp_path, tasks(task(), head="  backend: b\n  pool: p\n"))
    assert warnings(found) == [("ignored", 3)] and found.workflow and found.workflow.pool == "p"


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = CANONICAL.replace("task: prep", "task: perp").replace("name: prep", "nmae: prep").replace("2h", "2 h")
    text = text.replace("{{input:0}}", "{{input:7}}").replace("gpu: 1,", "gpu: 0.5,").replace("s3://bucket", "s3x://b")
    found = loaded(tmp_path, text, "osmo")
    lines = [p.line or 0 for p in found.problems]
    assert sorted(set(lines)) == [3, 6, 8, 16, 18, 20] and lines == sorted(lines)
    assert not re.search(r"pydantic|function-|BeforeValidator|\bstr\b|NoneType", "\n".join(map(str, found.problems)))


def test_a_name_that_is_a_number_is_no_name(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, tasks(task()).replace("name: w", "name: 3"))) == [("value", 2)]
    assert errors(loaded(tmp_path, tasks("name: 7, image: x, command: [sh]"))) == [("value", 4)]


def test_an_input_from_a_group_is_told_with_its_tasks(tmp_path: Path) -> None:
    row = "    tasks: [{name: %s, image: x, command: [sh], inputs: [%s]}]\n"
    text = (
        "workflow:\n  name: w\n  groups:\n  - name: g\n" + row % ("a", "") + "  - name: h\n" + row % ("b", "{task: g}")
    )
    found = only(loaded(tmp_path, text))
    assert (found.rule, found.line) == ("input-task", 7) and "group" in found.message and found.mend.endswith(": a")


def test_labels_of_a_group_are_not_portable_either(tmp_path: Path) -> None:
    text = "workflow:\n  name: w\n  groups:\n  - name: g\n    labels: {a: b}\n    tasks:\n"
    found = loaded(tmp_path, text + "    - {name: a, image: x, command: [x]}\n")
    assert errors(found) == [("not-portable", 5)]
