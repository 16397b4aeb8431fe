"""JSON from outside: an object, or one error that says where, what was expected and what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from noescape.files import jsonfile, read_json_object
from noescape.records import BundleError, DataError

BROKEN = [b"", b"{", b"\x00", b"\xff\xfe{", b'{"a": 1} {"b": 2}', b"[" * 100_000, b'{"a": ' * 100_000]
OTHERS = {b"[]": "list", b'"text"': "str", b"7": "int", b"null": "NoneType", b"NaN": "float"}


@pytest.mark.parametrize(
    "data", [b'{"a": "\xe5\x90\x8d"}', b'\xef\xbb\xbf{"a": "\xe5\x90\x8d"}', b' {"a": "\\u540d"}\n']
)
def test_an_object_is_read_with_and_without_a_byte_order_mark(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    assert read_json_object(tmp_path / "a.json", "a name") == {"a": "名"}


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_no_json_is_one_error_with_file_and_expectation(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a name.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match="expected a name, but it cannot be read as JSON") as found:
        read_json_object(path, "a name")
    assert str(path) in str(found.value)


@pytest.mark.parametrize("data", OTHERS)
def test_other_json_than_an_object_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DataError, match=rf"a JSON object; it holds {OTHERS[data]}"):
        read_json_object(tmp_path / "a.json", "a name")


def test_a_file_that_is_gone_a_folder_and_a_huge_file_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(DataError, match=r"No such file|Is a directory"):
            read_json_object(path, "a name")
    monkeypatch.setattr(jsonfile, "MAX_JSON_BYTES", 10)
    (tmp_path / "huge.json").write_bytes(b'{"a": 12345}')
    with pytest.raises(DataError, match="larger than 10 bytes"):
        read_json_object(tmp_path / "huge.json", "a name")


def test_the_kind_of_error_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        read_json_object(tmp_path / "gone.json", "a name", error=BundleError)
