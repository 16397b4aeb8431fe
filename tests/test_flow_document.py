"""Hostile and broken YAML: `load` raises nothing for what a file says, tells the line, and ends soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_fuzz import KEYS, PIECES, check_text, check_values, values
from flow_says import TASK, errors, loaded, only, task, tasks
from noescape.files import YamlError, parse_yaml_lines
from noescape.flow.format.load import MAX_SOURCE, load
from noescape.records import UsageError

HEAD = "workflow:\n  name: w\n  tasks:\n" + TASK


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("workflow:\n  name: w\n  name: v\n", 3, "twice"),
        (HEAD.replace("image: x", "image: x, image: y"), 4, "twice"),
        ("workflow:\n  name: w\n\ttasks: []\n", 3, "tabs"),
        ("workflow:\n  name: !!python/object/apply:os.system ['true']\n", 2, "tag"),
        ("workflow:\n  name: !!python/name:os.system\n", 2, "tag"),
        ("workflow:\n  name: !own x\n", 2, "tag"),
        ("workflow:\n  name: [\n", 2, "not valid YAML"),
        ("workflow:\n  name: *nobody\n", 2, "nobody"),
        ("workflow:\n  a: &a [*a]\n", 2, "inside of what it names"),
        ("workflow:\n  name: 'a\n", 2, "not valid YAML"),
        ("workflow:\n  {name: w: v}\n", 2, "not valid YAML"),
        ("workflow:\n  ? [a]\n  : b\n", 2, "unhashable"),
        ("workflow:\n  name: w\n...\n---\n- 1\n", 4, "document"),
        ("workflow:\n  name: a\x07b\n", 2, "U+0007"),
        ("workflow: [1, 2]\n", 1, "map"),
        ("workflow:\n", 1, "map"),
        ("workflow: text\n", 1, "map"),
    ],
)
def test_broken_yaml_is_told_with_its_line(tmp_path: Path, text: str, line: int, word: str) -> None:
    found = only(loaded(tmp_path, "# head\n" + text))
    assert found.line == line + 1 and word in f"{found.message} {found.mend}", str(found)


@pytest.mark.parametrize(
    "value",
    ['!!int ""', "!!bool x", "!!timestamp x", "!!float ''", "2024-13-45", "!!binary /w==", "!!int 0x" + "f" * 6000,
     "1" * 5000, "!!map [1]", '"\\ud800"', "!!set {a}"],
)  # fmt: skip
def test_values_that_break_readers_are_only_problems(tmp_path: Path, value: str) -> None:
    found = loaded(tmp_path, tasks(task(more=f"args: [{value}]")))
    assert found.failed and found.workflow is None


def test_an_alias_bomb_is_refused_and_plain_aliases_are_read(tmp_path: Path) -> None:
    rows = ["  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"]
    rows += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)]
    start = time.process_time()
    assert [rule for rule, _ in errors(loaded(tmp_path, "workflow:\n" + "".join(rows)))] == ["yaml"]
    assert time.process_time() - start < 2
    fine = "workflow:\n  name: w\n  tasks:\n  - &a {name: a, image: x, command: &c [sh]}\n  - {<<: *a, name: b}\n"
    made = loaded(tmp_path, fine)
    assert made.problems == () and made.workflow and made.workflow.tasks[1].command == ("sh",)


def test_a_few_aliases_of_something_large_are_refused_too(tmp_path: Path) -> None:
    """Few enough aliases, many values: 8 levels of 3 over a thousand values."""
    rows = [f"  a0: &a0 [{', '.join(['x'] * 1000)}]\n"]
    rows += [f"  a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 9)]
    found = only(loaded(tmp_path, "workflow:\n" + "".join(rows)))
    assert "values" in found.message


def test_more_values_than_any_workflow_has_are_refused_soon(tmp_path: Path) -> None:
    for text in ("  a: [" + "x, " * 300_000 + "]\n", "".join(f"  k{i}: 1\n" for i in range(100_000))):
        start = time.process_time()
        assert [rule for rule, _ in errors(loaded(tmp_path, "workflow:\n" + text))] == ["yaml"]
        assert time.process_time() - start < 4


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(tmp_path: Path, opening: str) -> None:
    found = loaded(tmp_path, "workflow: " + ("\n  " if opening == "- " else "") + opening * 5000)
    assert [rule for rule, _ in errors(found)] == ["yaml"]


def test_files_that_are_no_workflow_text(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"workflow: {name: w}\n" + b"# x\n" * (10 << 20 >> 2))
    start = time.process_time()
    with pytest.raises(UsageError, match="at most 4Mi"):
        load(path)
    path.write_bytes(b"workflow:\n  name: \xff\n")
    with pytest.raises(UsageError, match="UTF-8"):
        load(path)
    for wrong in (tmp_path, tmp_path / "none.yaml", Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(UsageError, match=r"no such|plain file|cannot be read"):
            load(wrong)
    assert time.process_time() - start < 2


def test_a_file_of_the_largest_size_is_still_read(tmp_path: Path) -> None:
    text = tasks(task())
    text += f"# {'x' * 997}\n" * ((MAX_SOURCE - len(text)) // 1000)
    assert loaded(tmp_path, text).problems == ()


def test_line_ends_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(tasks(task(), task("b", "oops: 1")).replace("\n", "\r\n").encode())
    assert errors(load(path)) == [("unknown-key", 5)]


def test_a_byte_order_mark_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + tasks(task()).encode())
    found = only(load(path))
    assert found.rule == "no-workflow" and "byte order mark" in found.mend


def test_every_value_has_its_line() -> None:
    value, lines = parse_yaml_lines("a: 1\nb:\n  - x\n  - c: |\n      two\n      rows\n    d: 3\n")
    assert value == {"a": 1, "b": ["x", {"c": "two\nrows\n", "d": 3}]}
    assert lines == {(): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4, ("b", 1, "d"): 7}
    with pytest.raises(YamlError) as caught:
        parse_yaml_lines("a: 1\na: 2\n", name="f.yaml")
    assert caught.value.line == 2 and str(caught.value).startswith("f.yaml, line 2: ")


ANY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=40, suppress_health_check=ANY)
@given(st.lists(PIECES, max_size=40), st.sampled_from(["local", "osmo"]))
def test_whatever_the_text_there_are_only_problems(tmp_path: Path, pieces: list[str], target: str) -> None:
    check_text(tmp_path, pieces, target)  # type: ignore[arg-type]


@settings(max_examples=40, suppress_health_check=ANY)
@given(st.dictionaries(KEYS, values()), values())
def test_whatever_the_values_there_are_only_problems(
    tmp_path: Path, workflow: dict[str, object], inside: object
) -> None:
    check_values(tmp_path, workflow, inside)
