"""Tokens of a task and what takes their place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from noescape.flow.format.spec import Input, Task
from noescape.flow.format.tokens import Tokens, input_names, substitute

NASTY = 'a"b\\c {{output}} \n\t \\1 \\g<0> größe 🙂'


def test_tokens_are_replaced_everywhere_in_a_task() -> None:
    task = Task.model_validate({
        "name": "a", "image": "x", "command": ["{{output}}/run"],
        "args": ["{{input:0}}:{{input:prep}}:{{workflow_id}}"],
        "environment": {"{{workflow_id}}": "{{host:b}}"}, "inputs": [{"task": "prep"}],
        "files": [{"path": "/f", "contents": "cd {{output}}"}], "outputs": [{"url": "s3://b/{{workflow_id}}"}],
        "checkpoint": [{"path": "{{output}}/c", "url": "s3://b/{{workflow_id}}", "frequency": 90}],
        "credentials": {"c": {"A": "{{workflow_id}}"}},
    })  # fmt: skip
    tokens = Tokens(output="/o", workflow_id="w-1", inputs={"0": "/i/0", "prep": "/i/0"}, hosts={"b": "127.0.0.1"})
    made = substitute(task, tokens)
    assert made.command == ("/o/run",) and made.args == ("/i/0:/i/0:w-1",) and made.environment == {"w-1": "127.0.0.1"}
    assert made.files[0].contents == "cd /o" and made.outputs[0].url == "s3://b/w-1"
    assert (made.checkpoint[0].path, made.checkpoint[0].frequency) == ("/o/c", "90s")
    assert made.credentials == {"c": {"A": "w-1"}} and made.inputs == task.inputs


def test_what_nothing_stands_for_stays_as_it_is() -> None:
    tokens = Tokens(output="/o", workflow_id="w-1")
    for text in ("{{input:9}}", "{{host:z}}", "{{uuid}}", "{{other}}", "{{}}", "{{ input:0 }}", "{{output"):
        assert substitute(text, tokens) == text


def test_blanks_inside_are_allowed_once_the_template_is_rendered() -> None:
    """What comes out of a variable may have them; before the rendering they would be the template's."""
    assert substitute("{{ output }}", Tokens(output="/o", workflow_id="w")) == "/o"


def test_a_value_is_text_whatever_it_holds() -> None:
    """Quotes and backslashes do not break the JSON, a token in a value is not replaced again."""
    task = Task.model_validate({"name": "a", "image": "x", "command": ["{{output}}"]})
    assert substitute(task, Tokens(output=NASTY, workflow_id="{{input:0}}", inputs={"0": "no"})).command == (NASTY,)
    assert substitute("{{output}}", Tokens(output=NASTY, workflow_id="w")) == NASTY


@given(st.text(), st.text(alphabet=st.characters(codec="utf-8")))
def test_a_task_without_tokens_is_the_same_afterwards(text: str, value: str) -> None:
    clean = text.replace("{{", "").encode("utf-8", "ignore").decode()
    task = Task.model_validate({"name": "a", "image": "x", "command": [clean], "args": ["{{output}}"]})
    made = substitute(task, Tokens(output=value, workflow_id="w"))
    assert made.command == (clean,) and made.args == (value,)


def test_inputs_go_by_number_and_by_the_name_of_their_task() -> None:
    """The later of two inputs from one task has the name; an input of another workflow goes by its task."""
    inputs = [Input(task="a"), Input(url="s3://b"), Input(task="a", regex="x"), Input(task="old-3:train")]
    assert input_names(inputs) == {"0": 0, "1": 1, "2": 2, "3": 3, "a": 2, "train": 3}
