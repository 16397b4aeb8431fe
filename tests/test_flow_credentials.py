"""Credentials: read strictly, granted by name, missing ones named all at once, values never shown."""

from __future__ import annotations

import os
import subprocess
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.flow.format.spec import Group, Task, Workflow
from noescape.flow.secrets.credentials import Credentials, Granted
from noescape.flow.secrets.envfile import parse_env, read_env_file
from noescape.records import UsageError

CANARY = "c4nary-Zq81"


def task(name: str = "infer", **credentials: str | dict[str, str]) -> Task:
    named = {key.replace("_", "-"): value for key, value in credentials.items()}
    return Task(name=name, image="x", command=("true",), credentials=named)


def workflow(*tasks: Task) -> Workflow:
    return Workflow(name="w", groups=tuple(Group(name=f"{t.name}-group", tasks=(t,)) for t in tasks))


GOOD = {
    "A=b": "b",
    "A=": "",
    "A=   ": "",
    "A= # nothing": "",
    "export A=b": "b",
    "  export\tA=b  # why": "b",
    "A=b#c": "b#c",
    "A=$HOME/${X}": "$HOME/${X}",
    "A=https://x/?a=1&b=2": "https://x/?a=1&b=2",
    "A='b # c $D \\n \"'  # why": 'b # c $D \\n "',
    'A="b\\n\\t\\\\ \\" \\$ \\d \'e\' # f"': "b\n\t\\ \" $ \\d 'e' # f",
    "A='one\ntwo\n'": "one\ntwo\n",
    'A="one\ntwo"\r': "one\ntwo",
    "\ufeffA=b\r": "b",
    "A=ключ": "ключ",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_a_line_means(text: str) -> None:
    assert parse_env(f"{text}\n".encode()) == ({"A": GOOD[text]}, [])


BAD = {
    "just-words": "expected NAME=value",
    "2A=b": "expected NAME=value",
    "A B=c": "expected NAME=value",
    "A =b": "no blanks around '='",
    "A= b": "no blanks around '='",
    "A=b c": "single quotes",
    "A=it's": "single quotes",
    "A=a\\b": "single quotes",
    "A=#b": "single quotes",
    "A='b": "never closed",
    'A="b\\"': "never closed",
    "A='b'c": "behind the closing quote",
    "A='\0'": "NUL",
    "A=b\nA=c": "a second time (first in line 1)",
}


@pytest.mark.parametrize("text", BAD)
def test_what_could_mean_two_things_is_refused_with_its_line(text: str) -> None:
    _, problems = parse_env(f"# top\n\n{text}".replace("line 1", "line 3").encode())
    said = BAD[text].replace("line 1", "line 3")
    assert len(problems) == 1 and said in problems[0], problems
    assert problems[0].startswith("4:" if "\n" in text else "3:")


def test_all_faulty_lines_come_at_once_and_hold_no_value(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"A={CANARY} x\n{CANARY}\nB='ok'\nC={CANARY}'\n'{CANARY}'=1\nD=1\nD={CANARY}\nE='{CANARY}")
    with pytest.raises(UsageError) as caught:
        read_env_file(file)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "2", "4", "5", "7", "8"]
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_lines_are_counted_behind_values_of_several_lines(tmp_path: Path) -> None:
    assert parse_env(b"A='1\n2\n3'\r\nB=x\nbad")[1][0].startswith("5: ")
    file = tmp_path / ".env"
    file.write_text("D__empty=\nD__k=v\n")
    assert Credentials.read(file, {}).grant(task(d="/m")).files == {"/m": {"k": b"v"}}, "an empty one counts as none"


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    values, problems = parse_env(data)
    assert all(name.isidentifier() and "\0" not in value for name, value in values.items())
    assert all(problem.partition(":")[0].isdecimal() for problem in problems)


@given(st.text(st.characters(exclude_characters="'\0\r", exclude_categories=("Cs",)), max_size=40))
def test_single_quotes_hold_anything_as_a_shell_reads_it(value: str) -> None:
    assert parse_env(f"A='{value}'\n".encode()) == ({"A": value}, [])


def test_a_shell_reads_the_same_of_what_needs_no_escape(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# top\nexport A='x $y \\n'  # why\nB=\"two\nlines # no\"\nC=plain#x\nD=\n")
    shown = subprocess.run(
        ["sh", "-c", '. "$1"; printf "%s\\0" "$A" "$B" "$C" "$D"', "sh", str(file)], capture_output=True, check=True
    )
    file.chmod(0o600)
    values, warnings = read_env_file(file)
    assert [*values.values(), ""] == shown.stdout.decode().split("\0") and warnings == ()


def test_a_long_file_takes_linear_time() -> None:
    """A quarter of a million lines, and quotes that never close."""
    values, problems = parse_env(b"\n" * 100_000 + b"A=b\n" + b"# x\n" * 30_000)
    assert values == {"A": "b"} and problems == []
    _, problems = parse_env(b"A=" + b"'x\n" * 60_000 + b'B="' + b"\\" * 60_001)
    assert problems


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_warned_about(mode: int, warned: bool, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"A={CANARY}")
    file.chmod(mode)
    warnings = Credentials.read(file, {}).warnings
    assert bool(warnings) is warned and CANARY not in str(warnings)
    assert all(f"mode {mode:o}" in line and "chmod 600" in line for line in warnings)


def test_what_is_no_plain_readable_file_is_wrong_use(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * (300 << 10))
    (tmp_path / "binary").write_bytes(b"A=b\nB=\xff" + CANARY.encode())
    for name in ("pipe", "large", "binary", "none", "."):
        with pytest.raises(UsageError) as caught:
            read_env_file(tmp_path / name)
        assert caught.value.__cause__ is None and CANARY not in repr(caught.value.__context__)


def test_a_variable_is_found_by_its_own_name_first() -> None:
    wanted = task(hf_token={"HF_TOKEN": "token"})
    both = {"HF_TOKEN": "one", "HF_TOKEN_TOKEN": "two"}
    assert Credentials.read(None, both).grant(wanted).environment == {"HF_TOKEN": "one"}
    assert Credentials.read(None, {**both, "HF_TOKEN": ""}).grant(wanted).environment == {"HF_TOKEN": "two"}


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HF_TOKEN=file\nOTHER=file\n")
    wanted = task(hf={"HF_TOKEN": "a", "OTHER": "b"})
    granted = Credentials.read(file, {"HF_TOKEN": "own", "OTHER": ""}).grant(wanted)
    assert granted.environment == {"HF_TOKEN": "own", "OTHER": "file"}
    assert granted.secrets == ("file", "own") and granted.files == {}


def test_a_mounted_credential_becomes_one_file_for_each_key() -> None:
    environ = {
        "MY_DATA__user": "u",
        "MY_DATA__KEY_ID": "k\n",
        "MY_DATA__A__B": "other",
        "MY_DATA___x": "",
        "MY_DATA__no": "",
        "MY_DATA": "",
    }
    granted = Credentials.read(None, environ).grant(task(my_data="/mnt/c"))
    assert granted.files == {"/mnt/c": {"user": b"u", "KEY_ID": b"k\n"}}
    assert granted.environment == {} and set(granted.secrets) == {"u", "k\n"}


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    granted = Credentials.read(None, {"C__k": "\udcff"}).grant(task(C="/m"))
    assert granted.files["/m"]["k"] == b"\xff" and granted.secrets == ("\udcff",)


def test_everything_missing_is_named_at_once_with_the_variables_to_set(tmp_path: Path) -> None:
    file = tmp_path / "my.env"
    file.write_text("")
    one = task("train", hf_token={"HF_TOKEN": "token"}, data="/mnt/data")
    two = task("infer", hf_token={"HF_TOKEN": "token"}, fine={"X": "y"})
    credentials = Credentials.read(file, {"X": "here"})
    said = credentials.missing(workflow(one, two))
    assert said == [
        f"credential 'hf-token', key 'token': set HF_TOKEN or HF_TOKEN_TOKEN in the environment or {file}"
        " (for train, infer)",
        f"credential 'data', files in /mnt/data: set DATA__<KEY> for each file <KEY> in the environment or {file}"
        " (for train)",
    ]
    with pytest.raises(UsageError) as caught:
        credentials.grant(one)
    assert str(caught.value).count("task train: credential") == 2
    assert credentials.missing(workflow(task(fine={"X": "y"}))) == []


def test_two_credentials_for_one_place_are_refused() -> None:
    environ = {"A_K": "1", "B_K": "2", "A__f": "1", "B__f": "2"}
    with pytest.raises(UsageError, match="different values"):
        Credentials.read(None, environ).grant(task(a={"V": "k"}, b={"V": "k"}))
    with pytest.raises(UsageError, match="the file /m/f"):
        Credentials.read(None, environ).grant(task(a="/m", b="/m"))


def test_a_huge_value_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="more than 64 KiB") as caught:
        Credentials.read(None, {"A": CANARY * 8000}).grant(task(a={"A": "k"}))
    assert CANARY not in str(caught.value)


def test_keys_of_object_stores_are_found_by_their_names() -> None:
    environ = {
        "MY_MINIO__ACCESS_KEY_ID": "id", "MY_MINIO__access_key": CANARY, "MY_MINIO__ENDPOINT": "s3://b",
        "HALF__ACCESS_KEY_ID": "id", "__ACCESS_KEY_ID": "x", "__ACCESS_KEY": "x", "MY_MINIO__OTHER": "x",
    }  # fmt: skip
    wanted = {"access_key_id": "id", "access_key": CANARY, "endpoint": "s3://b"}
    assert Credentials.read(None, environ).storage() == {"my-minio": wanted}


def test_values_are_in_no_repr() -> None:
    credentials = Credentials.read(None, {"HF_TOKEN": CANARY, "D__k": CANARY})
    granted = credentials.grant(task(hf={"HF_TOKEN": "t"}, d="/m"))
    assert isinstance(granted, Granted) and granted.environment["HF_TOKEN"] == CANARY
    for value in (credentials, granted):
        for text in (repr(value), str(value), f"{value}", f"{[value]}"):
            assert CANARY not in text
