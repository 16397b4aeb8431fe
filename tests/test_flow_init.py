"""What is remembered: allowed keys only, asked once, whole or not at all, never a secret."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from cluster_maker import Cluster, cluster
from noescape.cli.flow import init
from noescape.cli.main import main
from noescape.flow.cards import preferences
from noescape.flow.cards.preferences import answered, folder, keys, never, read, remember
from noescape.records import UsageError

__all__ = ["cluster"]
ROOT = "s3://bucket/dig"
FLAGS = ["--dig-url-root", ROOT, "--pool", "gpu", "--image-edit-endpoint", "none"]


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("NOESCAPE_OSMO", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


def test_the_folder_is_the_users_own(tmp_path: Path) -> None:
    home = {"HOME": "/home/a"}
    assert folder({"NOESCAPE_CONFIG_DIR": "/x/y", "XDG_CONFIG_HOME": "/z", **home}) == Path("/x/y")
    assert folder({"XDG_CONFIG_HOME": "/z", **home}) == Path("/z/noescape")
    assert folder({"XDG_CONFIG_HOME": "relative", **home}) == folder(home) == Path("/home/a/.config/noescape")


def test_the_flags_of_init_are_the_keys() -> None:
    assert tuple(keys()) == init.KEYS


FORBIDDEN = [
    ("image_edit_model", "nvidia/x", "constant"),
    ("name", "flow-1a2b3c4d", "stamped afresh"),
    ("stamp", "1a2b3c4d", "one run"),
    ("anomaly_types_json", "[]", "one run"),
    ("hf_token", "abc", "secrets"),
    ("HF_TOKEN", "abc", "secrets"),
    ("access_key", "abc", "secrets"),
    ("checkpoint_step", "14000", "these are: dig_url_root"),
    ("dig_url_root", "s3://user:word@bucket/dig", "holds a secret"),
    ("image_edit_endpoint", "http://u:p@host/v1", "holds a secret"),
    ("image_edit_endpoint", "https://h/v1?token=abc", "holds a secret"),
    ("dig_url_root", "https://b/x?X-Amz-Signature=1", "holds a secret"),
    ("board", "hf_abcdefghijklmnopqrstuv", "holds a secret"),
    ("board", "a\nb", "one line"),
    ("pool", " ", "one line"),
    ("pod_template", "fine", "one of verified"),
    ("admin_role", "maybe", "one of present, absent"),
    ("dig_url_root", "", "one line"),
]


@pytest.mark.parametrize(("key", "value", "why"), FORBIDDEN)
def test_what_may_not_be_remembered_is_refused_and_nothing_is_written(key: str, value: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        remember({"pool": "gpu", key: value})
    assert not folder().exists() and read() == {}
    assert main(["flow", "init", *FLAGS]) == 0
    before = (folder() / preferences.FILE).read_bytes()
    with pytest.raises(UsageError):
        remember({key: value})
    assert (folder() / preferences.FILE).read_bytes() == before


def test_forbidden_keys_in_the_file_itself_are_not_read() -> None:
    """Somebody edits the file by hand, or an old version wrote it."""
    folder().mkdir(parents=True)
    rows = {"image_edit_model": "qwen", "name": "x", "pool": "gpu", "board": 7, "admin_role": "maybe", "later": "1"}
    (folder() / preferences.FILE).write_text(json.dumps({"version": 9, "preferences": rows}), "utf-8")
    assert read() == {"pool": "gpu"}
    assert remember({"board": "mine"}) == {"pool": "gpu", "board": "mine"}
    assert set(never()) & set(json.loads((folder() / preferences.FILE).read_text("utf-8"))["preferences"]) == set()


@pytest.mark.parametrize("text", ["", "{", "[]", "\0" * 10])
def test_a_damaged_file_is_named_with_the_way_out(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder().mkdir(parents=True)
    (folder() / preferences.FILE).write_text(text, "utf-8")
    assert main(["flow", "plan", "finetune"]) == 2
    assert "preferences.json" in (said := capsys.readouterr().err) and "flow init" in said


def test_remembering_adds_changes_and_forgets() -> None:
    remember({"pool": "a", "board": "b"})
    remember({"pool": "c", "dig_url_root": ROOT})
    assert read() == {"dig_url_root": ROOT, "pool": "c", "board": "b"}
    remember({"board": None})
    assert read() == {"dig_url_root": ROOT, "pool": "c"}
    remember({"pool": "none"})
    assert read() == {"dig_url_root": ROOT} and answered()["pool"] == "none"


def test_without_a_terminal_all_missing_flags_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "init"]) == 2
    said = capsys.readouterr().err
    assert all(flag in said for flag in ("--dig-url-root", "--pool", "--image-edit-endpoint"))
    assert "--pod-template" not in said and "--board" not in said
    assert main(["flow", "init", "--pool", "gpu"]) == 2
    assert "--pool" not in capsys.readouterr().err and not folder().exists()


def test_answers_by_flags_are_kept_and_not_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "init", *FLAGS, "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert kept["preferences"] == {"dig_url_root": ROOT, "pool": "gpu", "image_edit_endpoint": "none"}
    assert main(["flow", "init"]) == 0  # all is known: nothing to ask
    assert main(["flow", "init", "--board", "mine"]) == 0
    assert read()["board"] == "mine" and read()["pool"] == "gpu"
    assert main(["flow", "init", "--forget", "pool"]) == 0
    assert "pool" not in read()
    assert main(["flow", "init"]) == 2
    assert main(["flow", "init", "--again"]) == 2
    assert stat.S_ISREG((folder() / preferences.FILE).stat().st_mode)


def test_a_folder_is_remembered_as_the_same_place_from_everywhere(tmp_path: Path) -> None:
    args = ["flow", "init", "--dig-url-root", "my dig", "--pool", "none", "--image-edit-endpoint", "none"]
    assert main(args) == 0
    assert read()["dig_url_root"] == str(tmp_path / "my dig")
    assert main(["flow", "init", "--dig-url-root", "ftp://x"]) == 2


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _type(monkeypatch: pytest.MonkeyPatch, *lines: str) -> _Terminal:
    screen = _Terminal()
    monkeypatch.setattr("sys.stdin", _Terminal("".join(f"{line}\n" for line in lines)))
    monkeypatch.setattr("sys.stderr", screen)
    return screen


def test_on_a_terminal_each_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    screen = _type(monkeypatch, "1", "1", "2", "3", "own_board")
    assert main(["flow", "init"]) == 0
    assert read() == {
        "dig_url_root": "s3://osmo-workflows/dig", "image_edit_endpoint": "deploy", "board": "own_board"
    }  # fmt: skip
    assert screen.getvalue().count("1-") == 4
    screen = _type(monkeypatch)
    assert main(["flow", "init"]) == 0 and "?" not in screen.getvalue()


def test_pools_and_the_role_come_from_the_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile's accessible pools are the first answers; the role is read, not asked."""
    cluster.tell(admin=True)
    pools = cluster.osmo.profile()["pools"]
    screen = _type(monkeypatch, "1", "1", "3", "1")
    assert main(["flow", "init"]) == 0
    assert read()["pool"] == pools[0] and read()["admin_role"] in ("present", "absent")
    assert pools[0] in screen.getvalue() and "administrator of the cluster?" not in screen.getvalue()


def test_a_cluster_that_forbids_to_look_is_asked_about(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """403 on the pod template: a person who knows may confirm it."""
    cluster.tell(admin=False)
    screen = _type(monkeypatch, "1", "1", "3", "1", "1")
    assert main(["flow", "init"]) == 0
    assert "nvoptix.bin" in screen.getvalue()
    assert read()["pod_template"] == "user-confirmed" and read()["admin_role"] == "absent"
    _type(monkeypatch, "1", "1", "3", "1", "2")
    assert main(["flow", "init", "--again"]) == 0
    assert "pod_template" not in read()


def test_where_the_pod_template_can_be_read_nobody_is_asked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.tell(admin=True)  # its templates lack what is needed: nothing to remember, preflight says what to do
    screen = _type(monkeypatch, "1", "1", "3", "1")
    assert main(["flow", "init"]) == 0
    assert "nvoptix.bin" not in screen.getvalue() and "pod_template" not in read()


def test_a_cluster_that_does_not_answer_costs_one_notice(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.program.write_text("#!/bin/sh\necho down >&2\nexit 10\n", "utf-8")
    assert main(["flow", "init", *FLAGS]) == 0
    assert "could not be asked" in capsys.readouterr().err and read()["pool"] == "gpu"
