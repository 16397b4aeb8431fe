"""`noescape flow data`: what a person sees of storage."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from noescape.cli.main import main
from noescape.flow.storage import absolute, backends, open_store
from noescape.flow.storage.store import Entry
from noescape.records import UsageError
from storage_room import content, data, fill


def test_up_list_down(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative folders are meant from here; sizes on stdout, progress on stderr, again costs nothing."""
    monkeypatch.chdir(tmp_path)
    files = fill(tmp_path / "parts", 1)
    assert main(["flow", "data", "upload", "parts", "store/parts"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("6 files, ") and "uploading (MiB): done" in said.err
    assert main(["flow", "data", "list", "store/parts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[-1].startswith("6 files, ") and lines[0].endswith("a.txt")
    for _ in range(2):
        assert main(["flow", "data", "download", "store/parts", "back", "--resume"]) == 0
        assert content(tmp_path / "back") == files
    assert "downloading (MiB): done" in capsys.readouterr().err


def test_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = fill(tmp_path / "parts", 1)
    assert main(["flow", "data", "list", str(tmp_path / "parts"), "--regex", "img/", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in said["files"]] == sorted(p for p in files if p.startswith("img/"))
    assert said["bytes"] == sum(len(d) for p, d in files.items() if p.startswith("img/"))
    assert {*said["files"][0]} == {"path", "size", "sha256", "etag", "modified"}


def test_an_upload_by_hand_replaces_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither what a task made, nor what lies there, nor, without --replace, what an earlier upload brought."""
    fill(tmp_path / "parts", 1)
    new = fill(tmp_path / "new", 2, names=("a.txt",))
    out = str(tmp_path / "out")
    open_store(out).upload(tmp_path / "parts", owner="flow/task")
    assert main(["flow", "data", "upload", str(tmp_path / "new"), out, "--replace"]) == 1
    assert "flow/task" in capsys.readouterr().err
    assert main(["flow", "data", "upload", str(tmp_path / "new"), str(tmp_path / "parts"), "--replace"]) == 1
    hand = str(tmp_path / "hand")
    assert main(["flow", "data", "upload", str(tmp_path / "parts"), hand]) == 0
    assert main(["flow", "data", "upload", str(tmp_path / "new"), hand]) == 1
    assert "--replace" in capsys.readouterr().err
    assert main(["flow", "data", "upload", str(tmp_path / "new"), hand, "--replace"]) == 0
    assert data(tmp_path / "hand") == new


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["list", "nowhere"], 1, "nothing is there"),
        (["list", "s3://b//x"], 2, "no part empty"),
        (["list", "swift://e/a/b"], 2, "cluster alone"),
        (["list", ".", "--regex", "("], 2, "regular expression"),
        (["upload", "nowhere", "out"], 1, "nothing is there"),
        (["download", "nowhere", "out"], 1, "nothing is there"),
    ],
)
def test_mistakes_have_a_code_and_a_reason(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["flow", "data", *words]) == code
    assert said in capsys.readouterr().err and [*tmp_path.iterdir()] == []


def test_names_cannot_write_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "s", 1, names=("a\x1b[2Jb\nc",))
    assert main(["flow", "data", "list", str(tmp_path / "s")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and len(out.splitlines()) == 2


@pytest.mark.parametrize(("url", "extra"), [("s3://b/x", "s3"), ("gs://b/x", "gs"), ("azure://a/c", "azure")])
def test_a_missing_library_is_one_line_to_install(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=rf"pip install 'noescape\[{extra}\]'"):
        open_store(absolute(url, Path()))


def test_credentials_go_to_the_storage_they_are_for() -> None:
    """The longest fitting `endpoint` wins; one that names no storage is for all others; a prefix ends at a slash."""
    secrets = {
        "any": {"access_key": "0", "endpoint": "http://127.0.0.1:1"},
        "bucket": {"access_key": "1", "endpoint": "s3://b"},
        "deep": {"access_key": "2", "endpoint": "s3://b/x/"},
    }
    wanted = {"s3://b/x/y": "2", "s3://b/xy": "1", "s3://b": "1", "s3://bb/x": "0", "azure://b/x": "0"}
    assert {url: backends.fitting(url, secrets).get("access_key") for url in wanted} == wanted
    assert backends.fitting("s3://c", {"bucket": secrets["bucket"]}) == {}
    assert "http://127.0.0.1:1" not in backends.hidden_values(secrets["any"])


def test_entries_are_plain_records() -> None:
    """They can be compared and shown, and hold no path of this machine."""
    assert Entry(path="a", size=1) == Entry(path="a", size=1) != Entry(path="a", size=1, digest="x")
