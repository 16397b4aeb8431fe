"""Folders as stores among hostile neighbours: links, names, things that are no files, claims that are none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from noescape.flow.storage import StorageError, open_store
from noescape.records import NoescapeError
from storage_room import content, data, fetched, fill, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    fill(tmp_path / "source", 1)
    return tmp_path / "source"


def test_links_inside_become_files_and_links_outside_are_refused(tmp_path: Path, source: Path) -> None:
    (source / "again").symlink_to("img")
    (source / "twin.txt").symlink_to(source / "a.txt")
    (source / "a.txt").chmod(0o755)
    store = open_store(str(tmp_path / "out"))
    store.upload(source, owner="o")
    whole = content(source)
    assert data(tmp_path / "out")["again/deep/er/x.bin"] == whole["img/deep/er/x.bin"]
    assert not any(p.is_symlink() for p in (tmp_path / "out").rglob("*"))
    assert (tmp_path / "out/twin.txt").stat().st_mode & 0o111 and not (tmp_path / "out/empty").stat().st_mode & 0o111
    for target in ("/etc/passwd", "../other", "missing", ".", "loop"):
        (tmp_path / "other").mkdir(exist_ok=True)
        (source / "loop").symlink_to(target)
        with pytest.raises(StorageError, match="loop"):
            store.upload(source, owner="o")
        with pytest.raises(StorageError, match="loop"):
            open_store(str(source)).identity()
        (source / "loop").unlink()
    assert store.exists() and data(tmp_path / "out")["a.txt"] == whole["a.txt"]


HOSTILE = [("a\\b",), ("A.png", "a.PNG"), ("x/Straße", "x/STRASSE"), ("e\u0301", "é"), ("c:x",), ("~root",)]


@pytest.mark.parametrize("names", HOSTILE)
def test_names_that_other_places_cannot_hold_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    """On their way up and on their way down, before anything is written."""
    write(tmp_path / "s", dict.fromkeys(names, b"x"))
    with pytest.raises(StorageError, match=r"not taken|one file"):
        open_store(str(tmp_path / "out")).upload(tmp_path / "s", owner="o")
    with pytest.raises(StorageError, match=r"not taken|one file"):
        open_store(str(tmp_path / "s")).download(tmp_path / "in")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s"]


def test_pipes_and_sockets_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").mkdir()
    os.mkfifo(tmp_path / "s/pipe")
    with pytest.raises(StorageError, match="pipe"):
        open_store(str(tmp_path / "out")).upload(tmp_path / "s", owner="o")
    (tmp_path / "s/pipe").unlink()
    monkeypatch.chdir(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("plug")
        with pytest.raises(StorageError, match="plug"):
            open_store(str(tmp_path / "out")).upload(tmp_path / "s", owner="o")


def test_a_download_never_leaves_its_folder(tmp_path: Path, source: Path) -> None:
    """Links that wait in the target: a folder that leads out is refused, a file is replaced, not written through."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "victim").write_bytes(b"whole")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/img").symlink_to(tmp_path / "outside")
    with pytest.raises(NoescapeError, match="leads out"):
        open_store(str(source)).download(tmp_path / "in")
    (tmp_path / "in/img").unlink()
    (tmp_path / "in/a.txt").unlink(missing_ok=True)
    (tmp_path / "in/a.txt").symlink_to(tmp_path / "victim")
    assert fetched(open_store(str(source)), tmp_path / "in") == content(source)
    assert (tmp_path / "victim").read_bytes() == b"whole" and [*(tmp_path / "outside").iterdir()] == []


def test_places_that_make_no_sense_are_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(StorageError, match="nothing is there"):
        [*open_store(str(tmp_path / "no")).entries()]
    with pytest.raises(StorageError, match="nothing is there"):
        open_store(str(tmp_path / "out")).upload(tmp_path / "no", owner="o")
    for place in (source, source / "img/new", source.parent):
        with pytest.raises(StorageError, match="in one another"):
            open_store(str(place)).upload(source, owner="o")
        with pytest.raises(StorageError, match="in one another"):
            open_store(str(source)).download(place)
    (tmp_path / "in/a.txt").mkdir(parents=True)
    with pytest.raises(StorageError, match="a folder is where a file has to go"):
        open_store(str(source)).download(tmp_path / "in")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        open_store(str(source)).download(tmp_path / "file")


@pytest.mark.parametrize("text", ["{", "[]", '{"noescape_claim": 2}', '{"noescape_claim": 1, "owner": 3, "files": []}'])
def test_a_broken_claim_is_an_error_with_a_mend(text: str, tmp_path: Path, source: Path) -> None:
    store = open_store(str(tmp_path / "out"))
    store.upload(source, owner="o")
    (tmp_path / ".out.claim.json").write_text(text)
    for work in (lambda: store.upload(source, owner="o"), lambda: store.identity()):
        with pytest.raises(StorageError, match=r"\.out\.claim\.json.*remove this file"):
            work()


CLAIM = '{"noescape_claim": 1, "owner": "o", "uploading": false, "files": [{"path": %s, "size": %s, "sha256": "%s"}]}'


@pytest.mark.parametrize("path", ['"../a"', '"/etc/passwd"', '"a//b"', '"a\\\\b"', "3", '""', '"a\\u0000"'])
def test_a_claim_cannot_name_what_lies_elsewhere(path: str, tmp_path: Path, source: Path) -> None:
    (tmp_path / ".source.claim.json").write_text(CLAIM % (path, 1, "0" * 64))
    with pytest.raises(StorageError, match=r"\.source\.claim\.json"):
        open_store(str(source)).download(tmp_path / "in")
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize(("size", "digest"), [("-1", "0" * 64), ('"1"', "0" * 64), ("1.5", "0" * 64), ("1", "0")])
def test_a_claim_has_whole_sizes_and_digests(size: str, digest: str, tmp_path: Path, source: Path) -> None:
    (tmp_path / ".source.claim.json").write_text(CLAIM % ('"a.txt"', size, digest))
    with pytest.raises(StorageError, match="cannot be read"):
        open_store(str(source)).identity()


def test_a_deep_claim_is_no_crash(tmp_path: Path, source: Path) -> None:
    (tmp_path / ".source.claim.json").write_text("[" * 100_000)
    with pytest.raises(StorageError, match="cannot be read"):
        open_store(str(source)).identity()
