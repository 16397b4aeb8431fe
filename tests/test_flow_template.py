"""Sections, variables and rendering: what the text of a workflow file becomes before anybody reads it as YAML."""

from __future__ import annotations

import time
from pathlib import Path

import jinja2.sandbox
import pytest

from flow_says import TASK, errors, loaded, only, task, tasks, warnings
from noescape.flow.format.linemap import mark
from noescape.flow.format.sections import cast
from noescape.flow.format.template import protect, render

HEAD = "workflow:\n  name: w\n  tasks:\n" + TASK


def test_sections_are_cut_by_column_not_by_yaml(tmp_path: Path) -> None:
    """Whatever stands before the first section belongs to none, even what is not YAML or not a template."""
    text = "{{ not read }} [\n---\n" + HEAD + "default-values: {}\n# end\n"
    assert loaded(tmp_path, text).problems == ()


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        (HEAD + "extra: 1\n", "unknown-key", 5),
        (HEAD + "workflows: 1\n", "unknown-key", 5),
        (HEAD + "default-values: {}\ndefault-values: {}\n", "duplicate-key", 6),
        ("default-values: {}\n" + HEAD + HEAD, "duplicate-key", 6),
        ("name: w\n", "no-workflow", None),
        (" workflow:\n   name: w\n", "no-workflow", None),
        ("", "no-workflow", None),
        ("version: 1\n" + HEAD, "version", 1),
        ("version: true\n" + HEAD, "version", 1),
    ],
)
def test_wrong_sections_are_told_with_their_line(tmp_path: Path, text: str, rule: str, line: int | None) -> None:
    assert (rule, line) in errors(loaded(tmp_path, text))


def test_version_two_is_taken_with_a_word_of_warning(tmp_path: Path) -> None:
    found = loaded(tmp_path, "version: 2\n" + HEAD)
    assert warnings(found) == [("version", 1)] and found.workflow


def test_default_values_are_plain_yaml_and_never_rendered(tmp_path: Path) -> None:
    text = tasks(task(more="args: ['{{ b }}']")) + "default-values: {a: '{{ b }}', b: 1}\n"
    found = loaded(tmp_path, text)
    assert ("default-values", 5) in warnings(found)
    unquoted = loaded(tmp_path, HEAD + "default-values: {x: {{ y }}}\n")
    assert [rule for rule, _ in errors(unquoted)] == ["yaml"]


@pytest.mark.parametrize("value", ["[1]", "text", "3"])
def test_default_values_must_be_a_map(tmp_path: Path, value: str) -> None:
    assert errors(loaded(tmp_path, HEAD + f"default-values: {value}\n")) == [("default-values", 5)]


def test_default_values_hold_lists_maps_and_dates(tmp_path: Path) -> None:
    """What `--set` cannot give; types are kept on the way into the child process."""
    text = (
        "workflow:\n  name: w\n  tasks:\n{% for n in names %}  - {name: {{ n }}, image: x, command: [sh], "
        "args: ['{{ sizes[1].a }} {{ day.year + 1 }}']}\n{% endfor %}\n"
        "default-values:\n  names: [a, b]\n  sizes: {1: {a: 7}}\n  day: 2024-01-02\n"
    )
    found = loaded(tmp_path, text)
    assert found.workflow is not None, found.problems
    assert [(t.name, t.args) for t in found.workflow.tasks] == [("a", ("7 2025",)), ("b", ("7 2025",))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7), ("1_000", 1000), (" 5 ", 5), ("1e3", 1000.0), ("-2", -2), ("true", "true"), ("false", "false"),
        ("0x10", "0x10"), ("", ""), ("None", "None"), ("1,5", "1,5"), ("[1]", "[1]"), ("inf", float("inf")),
    ],
)  # fmt: skip
def test_set_casts_as_python_reads_numbers(text: str, value: object) -> None:
    assert cast(text) == value and type(cast(text)) is type(value)


def test_set_string_stays_text_and_wins_over_set(tmp_path: Path) -> None:
    text = tasks(task(more="args: ['{{ a }} {{ b }}']"))
    found = loaded(tmp_path, text, sets=["a=007", "b=1"], string_sets=["b=007=x"])
    assert found.workflow and found.workflow.tasks[0].args == ("7 007=x",)
    assert found.variables == {"a": 7, "b": "007=x"}


@pytest.mark.parametrize("word", ["novalue", "=1", "a-b=1", "1a=2"])
def test_a_set_that_names_no_variable_is_told(tmp_path: Path, word: str) -> None:
    assert errors(loaded(tmp_path, HEAD, sets=[word])) == [("set", None)]


def test_a_set_that_no_template_knows_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    """A slip of the pen in `--set` would run for hours with the default."""
    text = tasks(task(more="args: ['{{ num_sdg }}']")) + "default-values: {num_sdg: 4}\n"
    found = only(loaded(tmp_path, text, sets=["num_sgd=9"]))
    assert found.rule == "unknown-set" and "'num_sdg'" in found.mend


def test_text_that_says_false_counts_as_true(tmp_path: Path) -> None:
    text = (
        "workflow:\n  name: w\n  tasks:\n"
        + TASK
        + "{% if more %}\n  - {name: b, image: x, command: [x]}\n{% endif %}\n"
    )
    found = loaded(tmp_path, text, sets=["more=false"])
    assert found.workflow and len(found.workflow.tasks) == 2
    assert warnings(found) == [("truthy-text", 5)]
    compared = loaded(tmp_path, text.replace("if more", "if more == 'true'"), sets=["more=false"])
    assert compared.problems == () and compared.workflow and len(compared.workflow.tasks) == 1


def test_special_tokens_survive_the_rendering() -> None:
    text = "{{output}} {{input:0}} {{input:prep}} {{workflow_id}} {{host:a}} {{uuid}}"
    assert render(text + "{{ x }}", {"x": 1}).text == text + "1"
    assert protect(text)[0] != text


@pytest.mark.parametrize("token", ["{{ output }}", "{{ input:0 }}", "{{output }}", "{{- output }}", "{{ host:a }}"])
def test_a_token_with_blanks_is_no_token(tmp_path: Path, token: str) -> None:
    """Jinja would call it undefined or a syntax error; the one thing to mend is said instead."""
    found = loaded(tmp_path, tasks(task("b"), task("a", f"inputs: [{{task: b}}], args: ['{token}']")))
    assert errors(found) == [("token-spaces", 5)]


def test_every_undefined_variable_is_told_at_its_line(tmp_path: Path) -> None:
    """Also in comments, which are rendered too; not where a template asks whether it is defined."""
    text = (
        "workflow:\n  name: {{ wf }}\n  # see {{ nothing }}\n  tasks:\n"
        "{% if extra is defined %}{{ extra }}{% endif %}{{ '' if maybe|default(3) else 'x' }}\n"
        "  - {name: a, image: '{{ image }}', command: ['{{ image }}']}\n"
    )
    found = loaded(tmp_path, text)
    assert errors(found) == [("undefined", 2), ("undefined", 3), ("undefined", 6)]
    assert "comment" in found.problems[1].message


def test_an_undefined_variable_hides_no_other_problem_and_brings_none_of_its_own(tmp_path: Path) -> None:
    text = "workflow:\n  name: {{ n }}\n  resources: {default: {cpu: {{ cpu }}}}\n  tasks:\n  - {name: a, imag: x}\n"
    assert sorted(errors(loaded(tmp_path, text))) == [
        ("missing", 5), ("missing", 5), ("undefined", 2), ("undefined", 3), ("unknown-key", 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inside", "line"), [("{% for %}", 4), ("{{ 1 + }}", 4), ("{% if x %}", 4), ("{{ 1/0 }}", 4), ("{{ [].x.y }}", 4)]
)
def test_what_cannot_be_rendered_is_told_with_its_line(tmp_path: Path, inside: str, line: int) -> None:
    found = loaded(tmp_path, tasks(task(more=f"args: ['{inside}', '{{{{ x }}}}']")), sets=["x=1"])
    assert [at for _, at in errors(found)] == [line] and errors(found)[0][0] in ("template", "undefined")


def test_what_cannot_be_read_hides_no_other_problem(tmp_path: Path) -> None:
    """Each is told with its line, and what depends on it is left alone."""
    rows = ["{{ 1 + }}", "{{ output }}", "${#x}", "{{ a b }} {{output}}", "{{ gone }}", "{{ 1/0 }}"]
    found = loaded(tmp_path, tasks(*[task(f"t{i}", f"args: ['{row}'], oops: 1") for i, row in enumerate(rows)]))
    assert errors(found) == [
        ("template", 4), ("unknown-key", 4), ("token-spaces", 5), ("unknown-key", 5), ("shell-length", 6),
        ("unknown-key", 6), ("template", 7), ("unknown-key", 7), ("undefined", 8), ("unknown-key", 8), ("template", 9),
        ("unknown-key", 9),
    ]  # fmt: skip


def test_a_shell_length_opens_a_comment(tmp_path: Path) -> None:
    found = only(loaded(tmp_path, tasks(task(more="args: ['echo ${#list[@]}']"))))
    assert (found.rule, found.line) == ("shell-length", 4)


@pytest.mark.parametrize(
    "attack",
    ["{{ ''.__class__.__mro__ }}", "{{ [].__class__.__base__.__subclasses__() }}", "{{ x.__init__.__globals__ }}",
     "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{{ self.__init__ }}", "{{ lipsum.__globals__ }}"],
)  # fmt: skip
def test_a_template_cannot_look_out_of_its_sandbox(tmp_path: Path, attack: str) -> None:
    found = loaded(tmp_path, tasks(task(more=f'args: ["{attack}"]')), sets=["x=1"])
    assert found.failed and "root:" not in found.text


@pytest.mark.parametrize(
    "bomb",
    ["{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "{{ 'x' * 10**10 }}",
     "{% for i in range(99999) %}{{ 'x' * 999 }}{% endfor %}", "{{ 'a'|center(10**9) }}"],
)  # fmt: skip
def test_a_template_bomb_ends_soon(tmp_path: Path, bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and memory are those of a child process with limits; ours stay small."""
    monkeypatch.setattr("noescape.flow.format.template.CPU_SECONDS", 1)
    start = time.process_time()
    found = loaded(tmp_path, tasks(task(more=f'args: ["{bomb}"]')))
    assert [rule for rule, _ in errors(found)] == ["template"] and time.process_time() - start < 1.0


def test_modules_of_the_current_folder_are_not_lent_to_the_renderer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit(9)")
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert render("{{ 1 }}", {}).text == "1"


def test_lines_are_those_of_the_file_through_loops_and_conditions(tmp_path: Path) -> None:
    text = (
        "# head\ndefault-values: {n: 3}\nworkflow:\n  name: w\n  tasks:\n"
        "{% for i in range(n) %}\n"
        "  - name: t{{ i }}\n    image: x\n    comand: [x]\n    command: [x]\n"
        "{% if i == 1 %}\n    oops: 1\n{%- endif %}\n{% endfor %}\n"
        "{# a\n comment #}\n"
        "  - name: last\n    image: x\n"
    )
    assert set(errors(loaded(tmp_path, text))) == {("unknown-key", 9), ("unknown-key", 12), ("missing", 17)}


@pytest.mark.parametrize(
    "source",
    ["a\n{{ x }}\n  b {% if x %}c{% endif %}\n\nd", "{% raw %}{{ a }}\n x{% endraw %}\ny", "{{ {'a': '}}'}['a'] }}\nz",
     "{% set t %}a\nb{% endset %}{{ t }}\n{{ t }}", "{%- if x -%}\n  a\n{%- endif -%}\nb", "\n\n",
     "a{# {{ #}b\n{{ '\"' }}c"],
)  # fmt: skip
def test_marks_change_nothing_but_the_marks(source: str) -> None:
    """The twin, rendered and stripped, equals the plain rendering; then there is a line for each line."""
    plain = jinja2.sandbox.SandboxedEnvironment().from_string(source).render(x=1)
    found = render(source, {"x": 1})
    assert found.text == plain
    assert found.lines is not None and len(found.lines) == plain.count("\n") + 1
    assert mark(source, 1) != source or not source.strip()


def test_without_template_marks_no_process_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the text is what Jinja would have made of it."""
    source = "a: '{{output}}'\r\nb: 1\n\n"
    expected = (
        jinja2.sandbox.SandboxedEnvironment()
        .from_string(source.replace("{{output}}", "{{ o }}"))
        .render(o="{{output}}")
    )
    monkeypatch.setattr("noescape.flow.format.template.subprocess.run", None)
    assert render(source, {}).text == expected


@pytest.mark.parametrize(
    ("braces", "word"),
    [("{{inputs:0}}", "{{input:0}}"), ("{{output:0}}", "{{output}}"), ("{{outputs}}", "{{output}}"),
     ("{{input}}", "{{input:0}}"), ("{{OUTPUT}}", "{{output}}"), ("{{hosts:a}}", "{{host:NAME}}"),
     ("{{workflow_name}}", "{{workflow_id}}")],
)  # fmt: skip
def test_what_is_nearly_a_token_is_told_with_the_token(tmp_path: Path, braces: str, word: str) -> None:
    found = only(loaded(tmp_path, tasks(task(more=f"args: ['{braces}'], inputs: [{{url: s3://b}}]"))))
    assert found.line == 4 and found.rule in ("token", "undefined") and word in found.mend


@pytest.mark.parametrize("script", ["awk {{print $1}}", "docker ps --format {{.Names}}", "{{a b}}"])
def test_braces_of_a_script_are_told_as_such(tmp_path: Path, script: str) -> None:
    found = only(loaded(tmp_path, tasks(task(more=f"args: ['{script}']"))))
    assert (found.rule, found.line) == ("template", 4) and "script" in found.mend and "at " not in found.message


def test_a_token_that_a_loop_puts_together_out_of_raw_pieces(tmp_path: Path) -> None:
    """Nothing in braces is left for the second rendering but the token, so it does survive."""
    pieces = "{% raw %}{{input:{% endraw %}{{ i }}{% raw %}}}{% endraw %}"
    more = f"args: ['{{% for i in range(1) %}}{pieces}{{% endfor %}}'], inputs: [{{url: s3://b}}]"
    found = loaded(tmp_path, tasks(task(more=more)), "osmo")
    assert found.problems == () and found.workflow and found.workflow.tasks[0].args == ("{{input:0}}",)
    told = loaded(tmp_path, tasks(task(more="args: ['{% raw %}{{ x }}{% endraw %}']")), sets=["x=1"])
    assert warnings(told) == [("raw", 4)]
