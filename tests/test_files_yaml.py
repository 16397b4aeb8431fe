"""YAML from strangers: plain data or a UsageError with its place; no code, no bombs, no surprises."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.files import dump_yaml, load_yaml, parse_yaml
from noescape.files.yamlfile import MAX_ALIASES, MAX_BYTES
from noescape.records import UsageError

REFUSED = {
    "twice": ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' given twice"),
    "twice, written in two ways": ("1: x\n0x1: y\n", "line 2"),
    "twice, inside": ("x:\n  - {a: 1, a: 2}\n", "line 2"),
    "python object": ("a: !!python/object/apply:os.system ['true']\n", "line 1"),
    "python name": ("a: !!python/name:os.system\n", "line 1"),
    "python as key": ("? !!python/object/new:os.system ['true']\n: 1\n", ""),
    "own tag": ("a: !thing {b: 1}\n", "line 1"),
    "list as key": ("? [1, 2]\n: x\n", "line 1"),
    "mapping as key": ("? {a: 1}\n: x\n", "line 1"),
    "set as key": ("? !!set {a}\n: x\n", ""),
    "two documents": ("a: 1\n---\nb: 2\n", ""),
    "tab": ("a:\n\t- b\n", "line 2"),
    "open bracket": ("a: [1, 2\nb: 3\n", "line"),
    "unknown anchor": ("a: *nothing\n", "line 1"),
    "circle": ("a: &a [1, *a]\n", "line 1: an alias inside"),
    "circle of mappings": ("a: &a {b: {c: *a}}\n", "line 1"),
    "circle by merge": ("a: &a\n  <<: *a\n", "line 2"),
    "control characters": ("a: \x07\n", ""),
    "impossible date": ("a: 2024-13-45\n", ""),
    "endless number": ("a: " + "9" * 5000 + "\n", ""),
    "deep flow": ("[" * 100_000, "nested too deeply"),
    "deep closed flow": ("[" * 5000 + "]" * 5000, "nested too deeply"),
    "deep block": ("".join(" " * i + "a:\n" for i in range(2000)), "nested too deeply"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_text_is_a_usage_error_with_its_place(name: str) -> None:
    text, where = REFUSED[name]
    start = time.monotonic()
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, name="my.yaml")
    assert "my.yaml" in str(caught.value) and where in str(caught.value)
    assert time.monotonic() - start < 20


def test_a_key_said_twice_with_the_same_word_leaves_no_doubt() -> None:
    """Long texts stand between the two in files of others; a list or map said twice is refused whatever it holds."""
    assert parse_yaml("- path: /a\n  text: |\n    b\n  path: /a\n") == [{"path": "/a", "text": "b\n"}]
    for text in ("a: [1]\na: [1]\n", "a: 1\na: '1'\n", "a: 1\na: 1\na: 2\n"):
        with pytest.raises(UsageError, match="given twice"):
            parse_yaml(text)


def test_alias_bombs_are_refused() -> None:
    """Nine lines that would mean a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(UsageError, match=f"more than {MAX_ALIASES} aliases"):
        parse_yaml("\n".join(lines))


def test_honest_anchors_and_merges_work() -> None:
    """A merged mapping may be overridden, also where it was itself merged and stands deeper in the file."""
    text = "base: &base {x: 1, y: 1}\ntop:\n  inner: &own\n    <<: *base\n    x: 2\nuse:\n  <<: *own\n  z: 3\n"
    text += "list: [*base]\n"
    got = parse_yaml(text)
    assert got["top"]["inner"] == {"x": 2, "y": 1} and got["use"] == {"x": 2, "y": 1, "z": 3}
    assert got["list"] == [{"x": 1, "y": 1}]


@pytest.mark.parametrize("codec", ["utf-16", "utf-32", "latin-1", "cp932"])
def test_other_encodings_are_named(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: 名前é\n".encode(codec, "replace") if codec != "latin-1" else "name: é\n".encode(codec))
    with pytest.raises(UsageError, match="UTF-8"):
        load_yaml(path)


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nother: 1\r\n")
    assert load_yaml(path) == {"name": "x", "other": 1}


def test_large_files_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"- a\n" * (5 << 18))
    start = time.monotonic()
    with pytest.raises(UsageError, match=str(MAX_BYTES)):
        load_yaml(path)
    with pytest.raises(UsageError, match=str(MAX_BYTES)):
        parse_yaml("a" * (MAX_BYTES + 1))
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("name", ["missing.yaml", "folder", "nul\0.yaml"])
def test_what_cannot_be_read_is_a_usage_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load_yaml(tmp_path / name)


@given(st.text(max_size=60))
def test_any_text_is_data_or_a_usage_error(text: str) -> None:
    try:
        parse_yaml(text)
    except UsageError:
        return


_PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(
    st.dictionaries(
        _PLAIN, st.none() | st.booleans() | st.integers() | _PLAIN | st.lists(_PLAIN, max_size=3), max_size=4
    )
)
def test_what_is_dumped_is_read_back(value: dict[str, object]) -> None:
    assert parse_yaml(dump_yaml(value)) == value
    assert [*parse_yaml(dump_yaml(value))] == [*value]
