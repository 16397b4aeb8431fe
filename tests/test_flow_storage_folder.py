"""Folders as stores: whole or not at all, one owner each, what is there known by its content."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from noescape.flow.storage import ClaimedError, FolderStore, StorageError, open_store
from noescape.flow.storage.copying import copy_file
from noescape.records import UsageError
from storage_room import content, data, fetched, fill, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    fill(tmp_path / "source", 1)
    return tmp_path / "source"


def test_what_goes_up_comes_down_and_says_what_it_is(tmp_path: Path, source: Path) -> None:
    """Every byte, in sorted order, with sizes and digests; progress counts each byte once; the claim lies beside."""
    store, told = open_store(str(tmp_path / "runs/x/out")), list[int]()
    assert not store.exists()
    entries = store.upload(source, owner="flow/task", on_bytes=told.append)
    assert store.exists() and tuple(e.path for e in store.entries()) == tuple(sorted(content(source)))
    assert sum(told) == sum(e.size for e in entries) == sum(map(len, content(source).values()))
    assert [(e.path, e.size, e.digest) for e in store.entries()] == [(e.path, e.size, e.digest) for e in entries]
    assert fetched(store, tmp_path / "in") == content(source)
    assert sorted(p.name for p in (tmp_path / "runs/x").iterdir()) == [".out.claim.json", "out"]
    claim = json.loads((tmp_path / "runs/x/.out.claim.json").read_text("utf-8"))
    assert claim["owner"] == "flow/task" and [row["path"] for row in claim["files"]] == [e.path for e in entries]


def test_the_owner_replaces_the_folder_as_a_whole(tmp_path: Path, source: Path) -> None:
    store = open_store(str(tmp_path / "out"))
    store.upload(source, owner="flow/task")
    new = fill(tmp_path / "new", 2, names=("a.txt", "other"))
    store.upload(tmp_path / "new", owner="flow/task")
    assert data(tmp_path / "out") == new
    store.upload(tmp_path / "new", owner="flow/task", regex="a")
    assert [*data(tmp_path / "out")] == ["a.txt"]


def test_another_owner_is_refused_before_anything_is_written(tmp_path: Path, source: Path) -> None:
    """The folder itself, one inside of it, one around it; the message names the owner."""
    out = tmp_path / "deep/out"
    open_store(str(out)).upload(source, owner="flow/one")
    before = content(tmp_path)
    for place in (out, out / "img", out / "img/new", out.parent):
        store = open_store(str(place))
        with pytest.raises(ClaimedError, match=r"flow/one|no flow has written"):
            store.claim("flow/two")
        with pytest.raises(ClaimedError, match=r"flow/one|no flow has written"):
            store.upload(source, owner="flow/two")
        assert content(tmp_path) == before
    with pytest.raises(ClaimedError):  # not even its owner: the whole would be lost with the next upload
        open_store(str(out / "img")).upload(source, owner="flow/one")


def test_data_of_nobody_are_left_alone(tmp_path: Path, source: Path) -> None:
    write(tmp_path / "mine", {"thesis.txt": b"years of work"})
    store = open_store(str(tmp_path / "mine"))
    with pytest.raises(ClaimedError, match="no flow has written"):
        store.upload(source, owner="flow/task")
    with pytest.raises(ClaimedError):
        store.delete()
    with pytest.raises(ClaimedError, match="a file is there"):
        open_store(str(tmp_path / "mine/thesis.txt")).upload(source, owner="flow/task")
    assert content(tmp_path / "mine") == {"thesis.txt": b"years of work"}
    (tmp_path / "bare").mkdir()
    open_store(str(tmp_path / "bare")).upload(source, owner="flow/task")  # an empty folder may be taken
    assert data(tmp_path / "bare") == content(source)


def test_a_claim_on_nothing_binds_nobody(tmp_path: Path, source: Path) -> None:
    store = open_store(str(tmp_path / "out"))
    store.upload(source, owner="flow/one")
    store.delete()
    assert content(tmp_path) == {f"source/{k}": v for k, v in content(source).items()}
    store.upload(source, owner="flow/one")
    for path in sorted((tmp_path / "out").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "out").rmdir()
    store.upload(source, owner="flow/two")
    assert store.exists()


def test_an_empty_upload_is_there_and_an_empty_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "source/sub").mkdir(parents=True)
    store = open_store(str(tmp_path / "out"))
    assert store.upload(tmp_path / "source", owner="flow/task") == ()
    assert store.exists() and [*store.entries()] == []
    assert not open_store(str(tmp_path / "source")).exists()


def test_a_changed_upload_is_noticed(tmp_path: Path, source: Path) -> None:
    """Another byte, another size or a missing file is an error that says so; without the claim it is just a folder."""
    out, store = tmp_path / "out", open_store(str(tmp_path / "out"))
    store.upload(source, owner="flow/task")
    whole = content(out)
    changes = {"other content": bytes(whole["a.txt"][:-1]) + b"?", "bytes instead of": b"x", "gone": None}
    for number, (word, new) in enumerate(changes.items()):
        if new is None:
            (out / "a.txt").unlink()
        else:
            (out / "a.txt").write_bytes(new)
        for url in (tmp_path / "out", tmp_path):  # also as a part of something larger
            with pytest.raises(StorageError, match=rf"a\.txt.*{word}"):
                open_store(str(url)).download(tmp_path.parent / f"{tmp_path.name}-in{number}")
        assert fetched(FolderStore(str(out / "img")), tmp_path / f"img{number}")  # what is as it was can be had
        write(out, whole)
    (out / "a.txt").unlink()
    (tmp_path / ".out.claim.json").unlink()
    assert "a.txt" not in fetched(store, tmp_path / "plain")


def test_a_regex_is_anchored_at_the_start_of_the_relative_path(tmp_path: Path, source: Path) -> None:
    store = open_store(str(source))
    assert [e.path for e in store.entries(r"img/.*\.png$")] == ["img/0001.png", "img/ü ' \".png"]
    assert [e.path for e in store.entries("txt")] == [] == [e.path for e in store.entries("^$")]
    assert [e.path for e in store.download(tmp_path / "in", regex="a")] == ["a.txt"] == [*content(tmp_path / "in")]
    with pytest.raises(UsageError, match="regular expression"):
        store.identity("(")


def test_one_file_lands_under_its_own_name(tmp_path: Path, source: Path) -> None:
    store = open_store(str(source / "img/0001.png"))
    assert store.exists()
    assert fetched(store, tmp_path / "in") == {"0001.png": (source / "img/0001.png").read_bytes()}
    open_store(str(tmp_path / "out")).upload(source / "a.txt", owner="o")
    assert fetched(open_store(str(tmp_path / "out/a.txt")), tmp_path / "in2") == {"a.txt": content(source)["a.txt"]}


def test_identity_is_names_and_contents_and_nothing_else(tmp_path: Path, source: Path) -> None:
    """A copy elsewhere with other times is the same; any byte, name or choice of files is not."""
    first = open_store(str(source)).identity()
    open_store(str(tmp_path / "out")).upload(source, owner="flow/task")
    copy = open_store(str(tmp_path / "out"))
    os.utime(tmp_path / "out/a.txt", (1, 1))
    assert copy.identity() == first != copy.identity("a")
    (source / "a.txt").rename(source / "b.txt")
    assert open_store(str(source)).identity() != first


def test_identity_reads_a_file_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache goes by size, times and inode; a file as young as its digest, and a broken cache, are not trusted."""
    from noescape.flow.storage import digests

    source, cache, read = tmp_path / "s", tmp_path / "cache/digests.json", list[str]()
    fill(source, 1, names=("a", "b"))
    real = digests.sha256_file
    monkeypatch.setattr(digests, "sha256_file", lambda p: (read.append(p.name), real(p))[1])
    store = open_store(str(source))

    def reads() -> list[str]:
        read.clear()
        store.identity(cache=cache)
        return list(read)

    assert reads() == ["a", "b"] == reads()  # just written: their times could hide a change
    now = time.time_ns()
    monkeypatch.setattr(digests.time, "time_ns", lambda: now + 10**10)
    assert reads() == ["a", "b"] and reads() == []
    old = (source / "a").stat()
    (source / "a").write_bytes(b"!" * old.st_size)
    os.utime(source / "a", ns=(old.st_atime_ns, old.st_mtime_ns))  # nobody fools the time of change
    assert store.identity(cache=cache) == store.identity() and reads() == []
    (source / "b").rename(source / "c")
    assert reads() == ["c"]
    for text in ('{"x": [1', "[]", json.dumps({str(source / "a"): [1], str(source / "c"): "x"})):
        cache.write_text(text)
        assert reads() == ["a", "c"]


def test_a_download_goes_on_and_touches_nothing_else(tmp_path: Path, source: Path) -> None:
    """Files that are right stay as they are, wrong ones are brought again, others in the folder are not looked at."""
    store, dest = open_store(str(source)), tmp_path / "in"
    write(dest, {"notes.md": b"mine", ".noescape-0123456789abcdef.part": b"of an earlier one"})
    store.download(dest)
    kept = (dest / "a.txt").stat().st_ino
    (dest / "img/0001.png").write_bytes(b"torn")
    told = list[int]()
    store.download(dest, on_bytes=told.append)
    assert content(dest) == content(source) | {"notes.md": b"mine"}
    assert (dest / "a.txt").stat().st_ino == kept and sum(told) == sum(map(len, content(source).values()))


def test_links_cost_nothing_and_are_by_choice(tmp_path: Path, source: Path) -> None:
    open_store(str(source)).download(tmp_path / "in")
    open_store(str(source)).download(tmp_path / "linked", link=True)
    assert (tmp_path / "in/a.txt").stat().st_ino != (source / "a.txt").stat().st_ino
    assert (tmp_path / "linked/a.txt").stat().st_ino == (source / "a.txt").stat().st_ino


def test_what_a_source_changes_meanwhile_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (3 << 20))

    def grow(count: int) -> None:
        with path.open("ab") as f:
            f.write(b"more")

    with pytest.raises(StorageError, match="changed while"):
        copy_file(path, tmp_path / "copy", digest=True, on_bytes=grow)


@pytest.mark.parametrize("digest", [True, False])
def test_every_way_of_copying_gives_the_same_file(
    digest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the kernel, by hand, and by hand after the kernel gave up; times come along, a larger old target is cut."""
    from noescape.files import sha256_file
    from noescape.flow.storage import copying

    source = tmp_path / "s"
    source.write_bytes(os.urandom((2 << 20) + 7))
    os.utime(source, ns=(5, 123456789))

    def unable(*args: object) -> int:
        raise OSError(18, "another disk")

    for way in (None, unable, lambda i, o, n: 0):
        if way:
            monkeypatch.setattr(copying.os, "copy_file_range", way)
        (tmp_path / "t").write_bytes(b"x" * (3 << 20))
        told = list[int]()
        value = copy_file(source, tmp_path / "t", digest=digest, sync=True, on_bytes=told.append)
        assert (tmp_path / "t").read_bytes() == source.read_bytes() and sum(told) == source.stat().st_size
        assert value == (sha256_file(source) if digest else None)
        assert (tmp_path / "t").stat().st_mtime_ns == 123456789
