"""The reader of s-expressions keeps what is written and stops at what is hostile, with a line to look at."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.board.cad import sexpr
from noescape.board.cad.sexpr import MAX_DEPTH, Node, line_of, parse, read_file
from noescape.records import DataError


def _shape(node: Node) -> list[object]:
    return [node.name, *(_shape(item) if isinstance(item, Node) else item for item in node.items)]


def test_a_tree_with_words_and_strings() -> None:
    """Strings may hold parentheses, quotes, line breaks and escapes; the order is kept."""
    text = '(a "b (c)" (d 1.5 "x\\"y\\n\\\\\\x41") e (f))\n'
    assert _shape(parse(text, "s")) == ["a", "b (c)", ["d", "1.5", 'x"y\n\\A'], "e", ["f"]]


_ATOMS = st.one_of(st.from_regex(r"[A-Za-z0-9_.+*$-]{1,8}", fullmatch=True), st.text(max_size=8))
_TREES = st.recursive(_ATOMS, lambda kids: st.lists(kids, max_size=4).map(lambda items: ["n", *items]), max_leaves=20)


def _written(item: object) -> str:
    if isinstance(item, list):
        return "(" + " ".join(_written(part) for part in item) + ")"
    return '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'


@settings(max_examples=80, deadline=None)
@given(st.lists(_TREES, max_size=4))
def test_what_is_written_comes_back(items: list[object]) -> None:
    tree = ["root", *items]
    assert _shape(parse(_written(tree), "s")) == tree


WRONG = {
    "(a (b)": "line 1: a list without an end",
    "(a\n(b\n": "line 2: a list without an end",
    "(a))": "closing parenthesis too many",
    "(a) (b)": "a second list",
    "a": "expected an opening parenthesis, found 'a'",
    "(a () b)": "a list without a name",
    '(a\n\n"b)': "line 3: a string without an end",
    '(a "b\\")': "a string without an end",
    "": "empty",
    " \n ": "empty",
    "(" * 100_000: "a list without a name",
    "(a " * (MAX_DEPTH + 1): f"more than {MAX_DEPTH} deep",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:8])
def test_what_is_wrong_has_a_line(text: str) -> None:
    with pytest.raises(DataError) as caught:
        parse(text, "board.kicad_pcb")
    assert WRONG[text] in str(caught.value) and "board.kicad_pcb" in str(caught.value)


HOSTILE = (
    '(a "' + "\\" * 400_001,
    '(a "' + "x" * 400_000,
    "(a " + '"" ' * 200_000,
    "(a" + " " * 400_000,
    "(a" + " " * 200_000 + '"' + "x" * 200_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_costs_little(text: str) -> None:
    """Half a megabyte of one thing takes no more than a moment, whether it is right or wrong."""
    start = time.process_time()
    with pytest.raises(DataError):
        parse(text, "s")
    assert time.process_time() - start < 2


def test_files_are_bounded_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.kicad_pcb"
    path.write_bytes(b"\xef\xbb\xbf(a b)")
    assert read_file(path)[0].items == ["b"]
    path.write_bytes(b"(a \xff)")
    with pytest.raises(DataError, match="not UTF-8 text at byte 3"):
        read_file(path)
    monkeypatch.setattr(sexpr, "MAX_BYTES", 2)
    with pytest.raises(DataError, match="boards of up to"):
        read_file(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_file(tmp_path / "none")


def test_lines_are_counted_from_one() -> None:
    assert [line_of("a\nb\n", at) for at in (0, 2, 4)] == [1, 2, 3]
