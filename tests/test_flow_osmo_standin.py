"""The stand-in refuses what the real command refuses: each row is one of its rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cluster_maker import FLOW, Cluster

UNDEFINED = FLOW.replace("{{ data }}", "{{ dta }}")
TWICE = FLOW.replace("  - name: train", "  - name: prep")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standin")
    made = Cluster(folder, default_pool=None)
    for name, text in (("good", FLOW), ("undefined", UNDEFINED), ("twice", TWICE)):
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    assert made.run(folder) == "demo-1"
    return folder


def _call(home: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [home / "osmo", *line.split()], cwd=home, capture_output=True, text=True, check=False, timeout=60
    )


REFUSED = [
    ("workflow submit good.yaml", 2, "No default pool set"),
    ("workflow submit good.yaml --pool nosuch --set name=x", 2, "does not exist"),
    ("workflow submit good.yaml --pool gpu --set name", 2, "<field>=<value>"),
    ("workflow submit nosuch.yaml --pool gpu", 1, "No such file"),
    ("workflow submit good.yaml --pool gpu", 2, "'name'"),
    ("workflow submit undefined.yaml --pool gpu --set name=x", 2, "dta"),
    ("workflow submit twice.yaml --pool gpu --set name=x", 1, "prep"),
    ("workflow submit good.yaml --pool gpu -t prep", 2, "invalid choice"),
    ("workflow submit good.yaml --pool gpu --wait", 2, "unrecognized"),
    ("workflow submit good.yaml --pool gpu --watch", 2, "unrecognized"),
    ("workflow submit good.yaml --poo gpu", 2, "unrecognized"),
    ("workflow submit good.yaml --priority URGENT", 2, "invalid choice"),
    ("workflow validate good.yaml --pool gpu -t json", 2, "unrecognized"),
    ("workflow query demo-1 --watch", 2, "unrecognized"),
    ("workflow query nosuch-1", 2, "not found"),
    ("workflow query", 2, "required"),
    ("workflow logs demo-1 -t json", 2, "Task json not found"),
    ("workflow logs demo-1 -r 1", 2, "Specify task"),
    ("workflow logs demo-1 --error", 2, "Specify task"),
    ("workflow logs demo-1 --format-type json", 2, "unrecognized"),
    ("workflow list -s CANCELED", 2, "invalid choice"),
    ("workflow list -c 0", 2, "positive"),
    ("workflow restart demo-1 --pool gpu", 1, "has not failed"),
    ("credential list -t json", 2, "unrecognized"),
    ("credential list --format-type json", 2, "unrecognized"),
    ("credential set a --type PASSWORD --payload k=v", 2, "invalid choice"),
    ("credential set a", 2, "required"),
    ("config show POD_TEMPLATE -t json", 2, "unrecognized"),
    ("config show NOSUCH", 2, "positive"),
    ("config show POD_TEMPLATE", 2, "osmo-admin"),
    ("data list file:///tmp", 2, "not a storage path"),
    ("data list s3://b/*", 2, "not a storage path"),
    ("data download s3://b/x nosuchfolder", 2, "does not exist"),
    ("data upload s3://b/x", 2, "required"),
    ("pool list -m all", 2, "invalid choice"),
    ("dataset list", 2, "invalid choice"),
]


@pytest.mark.parametrize(("line", "code", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_it_refuses(line: str, code: int, words: str, home: Path) -> None:
    done = _call(home, line)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr


TAKEN = [
    ("workflow submit good.yaml -p gpu --set name=x --set data=y --dry-run -t json", "name: x"),
    ("workflow submit good.yaml --pool gpu --set name=x --priority low", "Workflow ID        - x-"),
    ("workflow submit demo-1 --pool gpu --dry-run", ""),
    ("workflow query demo-1 -v -t json", '"groups"'),
    ("workflow cancel nosuch-1", "cancelation failed"),
    ("workflow list -c 5 -o desc -a -t json", '"workflows"'),
    ("workflow events demo-1 -t prep", "has events:"),
    ("credential --format-type json list", '"credentials"'),
    ("pool list -p gpu -m free -t json", '"node_sets"'),
    ("data check s3://b/x -a READ", "pass"),
]


@pytest.mark.parametrize(("line", "words"), TAKEN, ids=[row[0] for row in TAKEN])
def test_it_takes(line: str, words: str, home: Path) -> None:
    """Among them: a cancel that fails, and a workflow that failed, change no exit code."""
    done = _call(home, line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert words in done.stdout


def test_errors_are_json_only_where_the_format_is(home: Path) -> None:
    assert '"message"' in _call(home, "workflow query nosuch-1 -t json").stdout
    text = _call(home, "workflow query nosuch-1").stdout
    assert text.startswith("Error message: ") and "Error code: 404" in text


def test_it_does_its_work_by_the_same_loader_as_validate(home: Path) -> None:
    """Every problem that an offline check finds is in its refusal."""
    assert "prep" in _call(home, "workflow validate twice.yaml --pool gpu --set name=x").stdout
    assert _call(home, "workflow validate good.yaml --pool gpu --set name=x").stdout.strip().endswith("succeeded.")
