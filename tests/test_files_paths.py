"""Names from outside stay inside."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.files import contained, safe_name
from noescape.records import PathEscapeError

ESCAPES = [
    "../x", "a/../../x", "a/..", "..", "a/../b", "..\\x", "a\\..\\..\\x", "/etc/passwd", "//host/share/x",
    "\\\\host\\share\\x", "\\x", "C:\\x", "C:x", "c:/x", "nul\0byte", "~", "~/x", "~root/x", "", ".", "./", "./.",
    "out/x", "out", "far", "loop", "loop/x", "self", "\ud800",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with links that lead out, in a circle, and back to itself."""
    home = tmp_path / "root"
    (home / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "root-twin").mkdir()
    (home / "out").symlink_to(tmp_path / "outside")
    (home / "far").symlink_to("../root-twin")
    (home / "loop").symlink_to("loop")
    (home / "self").symlink_to(".")
    (home / "in").symlink_to("sub")
    return home


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out(name: str, root: Path) -> None:
    with pytest.raises(PathEscapeError) as caught:
        contained(root, name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a", "sub/b.png", "a b", "名前.png", "a..b", "...", "..a", "in/x", "a~", "-rf", "q'\"\n.png"]
)
def test_plain_names_are_taken_as_they_are(name: str, root: Path) -> None:
    assert contained(root, name) == root / name


def test_a_root_behind_a_link_is_a_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(root)
    assert contained(tmp_path / "way", "sub/x") == tmp_path / "way" / "sub" / "x"


@given(st.text(max_size=40) | st.text("./\\~: \0ab", max_size=12))
def test_any_name_is_inside_or_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = contained(Path(folder), name)
        except PathEscapeError:
            return
        assert path.resolve().is_relative_to(Path(folder).resolve()) and path.resolve() != Path(folder).resolve()


@given(st.text(max_size=300) | st.text(".-_~/\\\0 a", max_size=100), st.integers(1, 100))
def test_safe_names_are_one_harmless_part(text: str, limit: int) -> None:
    """Never empty, hidden, a flag, a path, or too long for a file system; always the same for the same text."""
    name = safe_name(text, limit=limit)
    assert name == safe_name(text, limit=limit) and name
    assert name[0] not in ".-_~" and name[-1] not in "._ " and len(name.encode()) <= 200
    assert len(name) <= max(limit, len("unnamed"))
    assert not set(name) & set('/\\\0:*?"<>|\n\r\t ')
    with tempfile.TemporaryDirectory() as folder:
        contained(Path(folder), name).write_bytes(b"")


def test_safe_names_keep_what_is_harmless() -> None:
    assert safe_name("crack-01_v2.png") == "crack-01_v2.png"
    assert safe_name("名前 ü.png") == "名前_ü.png"
    assert safe_name("../../etc/passwd") == "etc_passwd"
    assert safe_name("") == safe_name("...") == "unnamed"
