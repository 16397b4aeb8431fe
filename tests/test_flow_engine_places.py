"""Container paths in texts: replaced as whole paths wherever they stand, and never inside of another path."""

from __future__ import annotations

from pathlib import Path

import pytest

from noescape.flow.engine.layout import TaskFolder
from noescape.flow.engine.localize import localized
from noescape.flow.engine.places import replacer
from noescape.flow.format.spec import Task

PATHS = ["/osmo/data", "/app/run.sh", "/app", "/creds"]


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("/app/run.sh", "<1>"),
        ("--file=/app/run.sh", "--file=<1>"),
        ("a:/creds:b", "a:<3>:b"),
        ("'/creds/KEY'", "'<3>/KEY'"),
        ("file:///app/x", "file://<2>/x"),
        ("cat /app/run.sh; ls /app.", "cat <1>; ls <2>."),
        ("/app/run.sh.bak", "<2>/run.sh.bak"),
        ("/osmo/data/output/x,/osmo/data/input/0", "<0>/output/x,<0>/input/0"),
        ("/osmo/database /apps /creds-old /app_2", "/osmo/database /apps /creds-old /app_2"),
        ("s3://bucket/app x/app ./app ~/app ${HOME}/app $(pwd)/app", None),
        ("http://host/creds {{output}}/app ../creds", None),
        ("", ""),
    ],
)
def test_whole_paths_only(text: str, replaced: str | None) -> None:
    change = replacer(PATHS, lambda path: f"<{PATHS.index(path)}>")
    assert change(text) == (text if replaced is None else replaced)


def test_a_real_path_that_looks_like_a_container_path_is_not_replaced_again() -> None:
    """The run lies below /app/{{output}}, a folder that the task names too; nothing is replaced twice."""
    folder = TaskFolder(Path("/app/{{output}}/osmo/data/tasks/t/0"))
    task = Task.model_validate(
        {
            "name": "t", "image": "i", "command": ["x", "/app", "{{output}}", "/osmo/data/output"],
            "files": [{"path": "/app", "contents": "{{workflow_id}} /app"}], "inputs": [{"task": "up"}],
            "args": ["{{input:up}} {{input:0}} {{host:other}} {{host:stranger}}"],
        }
    )  # fmt: skip
    local = localized(task, folder, "run-1", ["other"])
    place = f"{folder.files}/app"
    assert list(local.command) == ["x", place, f"{folder.output}", f"{folder.output}"]
    assert local.files[0].contents == f"run-1 {place}"
    assert local.args == (f"{folder.input(0)} {folder.input(0)} 127.0.0.1 {{{{host:stranger}}}}",)
