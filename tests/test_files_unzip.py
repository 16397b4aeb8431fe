"""A zip from outside: what could leave its folder or grow without end is refused."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from dataset_maker import tree
from noescape.files.fresh import UNFINISHED, fresh_folder
from noescape.files.unzip import ZipLimits, unzip
from noescape.records import DataError


def made(path: Path, entries: dict[str, bytes], *, link: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = ((stat.S_IFLNK | 0o777) if name == link else 0o644) << 16
            out.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


def test_what_is_wanted_comes_out_whole(tmp_path: Path) -> None:
    data = {"a/é 1.png": b"1" * 5000, "a/b.json": b"{}", "c.txt": b"no"}
    names = unzip(made(tmp_path / "z.zip", data), tmp_path / "out", wanted=lambda name: not name.endswith(".txt"))
    assert names == ["a/b.json", "a/é 1.png"]
    assert tree(tmp_path / "out") == {name: data[name] for name in names}


BAD = ["../up.png", "a/../../up.png", "/etc/passwd", "C:\\x.png", "a\\..\\..\\x.png", "~/x.png", "//host/x"]


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_leads_out_stops_everything(name: str, tmp_path: Path) -> None:
    archive = made(tmp_path / "z.zip", {"good.png": b"1", name: b"2"})
    with pytest.raises(DataError, match="not unpacked"):
        unzip(archive, tmp_path / "in" / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["z.zip"]


def test_links_and_names_given_twice_are_refused_together(tmp_path: Path) -> None:
    archive = made(tmp_path / "z.zip", {"link": b"/etc", "A.png": b"1", "a.png": b"2"}, link="link")
    with pytest.raises(DataError) as caught:
        unzip(archive, tmp_path / "out")
    assert "is a link" in str(caught.value) and "is there twice" in str(caught.value)


def test_a_bomb_is_refused_by_what_it_says(tmp_path: Path) -> None:
    archive = made(tmp_path / "z.zip", {"a.png": bytes(3_000_000)})
    limits = ZipLimits(slack_bytes=1000)
    with pytest.raises(DataError, match="would become 3000000 bytes"):
        unzip(archive, tmp_path / "out", limits=limits)
    assert unzip(archive, tmp_path / "out", limits=ZipLimits()) == ["a.png"]
    with pytest.raises(DataError, match="holds 3 entries"):
        unzip(made(tmp_path / "n.zip", dict.fromkeys("abc", b"")), tmp_path / "n", limits=ZipLimits(entries=2))


def test_a_bomb_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    """The directory says 10 bytes, the data unpack to 3 MB."""
    archive = made(tmp_path / "z.zip", {"a.png": bytes(3_000_000)})
    data, size = archive.read_bytes(), struct.pack("<L", 3_000_000)
    assert data.count(size) == 2
    archive.write_bytes(data.replace(size, struct.pack("<L", 10)))
    with pytest.raises(DataError, match=r"z\.zip"):
        unzip(archive, tmp_path / "out", limits=ZipLimits(slack_bytes=1000))
    assert sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file()) <= 61_000


def test_what_is_no_zip_or_is_damaged_or_locked_is_said(tmp_path: Path) -> None:
    (tmp_path / "z.zip").write_bytes(b"PK no")
    with pytest.raises(DataError, match="expected a zip"):
        unzip(tmp_path / "z.zip", tmp_path / "out")
    with pytest.raises(DataError, match="no such file"):
        unzip(tmp_path / "none.zip", tmp_path / "out")
    archive = made(tmp_path / "d.zip", {"a.png": bytes(range(256)) * 40})
    data = bytearray(archive.read_bytes())
    data[60] ^= 255
    archive.write_bytes(data)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unzip(archive, tmp_path / "out")
    data = bytearray(made(tmp_path / "e.zip", {"a.png": b"1"}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag for encryption in the directory
    (tmp_path / "e.zip").write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        unzip(tmp_path / "e.zip", tmp_path / "out")


def test_a_fresh_folder_is_whole_or_empty_and_begins_anew_after_a_kill(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with fresh_folder(out) as scratch:
        (scratch / "x").write_text("on the way")
        (out / "a").write_text("result")
    assert tree(out) == {"a": b"result"} and not (out / UNFINISHED).exists()
    with pytest.raises(DataError, match="holds files already"), fresh_folder(out):
        pass
    other = tmp_path / "other"
    with pytest.raises(ZeroDivisionError), fresh_folder(other):
        (other / "half").write_text("half")
        _ = 1 / 0
    assert list(other.iterdir()) == []
    (other / UNFINISHED).mkdir()  # as a kill leaves it
    (other / "half").write_text("half")
    with fresh_folder(other):
        (other / "b").write_text("whole")
    assert tree(other) == {"b": b"whole"}
