"""What every object store must keep, whichever server it is: a class of tests for each server to inherit."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from noescape.flow.storage import ClaimedError, StorageError, Store, UnfinishedError, objects, open_store
from noescape.flow.storage.names import MARKER
from storage_child import Children
from storage_room import content, data, fetched, fill, write


class Bucket(Protocol):
    """One bucket or container of a running server, as seen by a client of another make."""

    root: str  # its url
    secrets: Mapping[str, Mapping[str, str]]

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""

    def names(self) -> list[str]:
        """Every key, sorted."""

    def drop(self, key: str) -> None:
        """Remove an object."""


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    """Processes that may be killed."""
    with Children() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with files of all kinds."""
    fill(tmp_path / "source", 1)
    return tmp_path / "source"


def store_at(bucket: Bucket, path: str) -> Store:
    """The store of a path in a bucket."""
    return open_store(f"{bucket.root}/{path}".rstrip("/"), secrets=bucket.secrets)


class RemotePromises:
    """Inherit, and give a fixture `bucket` with an empty one."""

    def test_what_goes_up_comes_down_and_says_what_it_is(self, bucket: Bucket, source: Path, tmp_path: Path) -> None:
        """Every byte; the claim beside it; the same identity as the folder, also for a part of it, wherever it lies."""
        store, told = store_at(bucket, "runs/x/out"), list[int]()
        assert not store.exists()
        entries = store.upload(source, owner="flow/task", on_bytes=told.append)
        assert store.exists() and tuple(store.entries()) == entries
        assert sum(told) == sum(e.size for e in entries) == sum(map(len, content(source).values()))
        assert bucket.names() == sorted(["runs/x/.out.claim.json", *(f"runs/x/out/{path}" for path in content(source))])
        told.clear()
        assert store.download(tmp_path / "in", on_bytes=told.append) == entries and sum(told) == sum(
            e.size for e in entries
        )
        assert content(tmp_path / "in") == content(source)
        assert store.identity() == open_store(str(source)).identity()
        assert store_at(bucket, "runs/x/out/img").identity() == open_store(str(source / "img")).identity()
        one = store_at(bucket, "runs/x/out/img/0001.png")
        assert one.exists() and fetched(one, tmp_path / "one") == {"0001.png": content(source)["img/0001.png"]}
        assert [e.path for e in store.entries("img/.*png")] == [
            e.path for e in open_store(str(source)).entries("img/.*png")
        ]
        assert data(tmp_path / "in") == {
            p[len("x/out/") :]: d for p, d in self._under(bucket, tmp_path / "all").items()
        }

    def _under(self, bucket: Bucket, dest: Path) -> dict[str, bytes]:
        """By way of a prefix above: the claim governs, but is no data."""
        return fetched(store_at(bucket, "runs"), dest)

    def test_the_owner_replaces_and_others_are_refused(self, bucket: Bucket, source: Path, tmp_path: Path) -> None:
        store = store_at(bucket, "out")
        store.upload(source, owner="flow/one")
        before = bucket.names()
        for path in ("out", "out/img", "out/new", ""):
            with pytest.raises(ClaimedError, match=r"flow/one|no flow has written"):
                store_at(bucket, path).claim("flow/two")
            with pytest.raises(ClaimedError, match=r"flow/one|no flow has written"):
                store_at(bucket, path).upload(source, owner="flow/two")
        bucket.put("mine/thesis.txt", b"years of work")
        for work in (lambda: store_at(bucket, "mine").upload(source, owner="o"), store_at(bucket, "mine").delete):
            with pytest.raises(ClaimedError, match="no flow has"):
                work()
        assert bucket.names() == sorted([*before, "mine/thesis.txt"])
        new = fill(tmp_path / "new", 2, names=("a.txt", "other"))
        store.upload(tmp_path / "new", owner="flow/one")
        assert fetched(store, tmp_path / "in") == new
        store.delete()
        assert bucket.names() == ["mine/thesis.txt"] and not store.exists()
        store.upload(source, owner="flow/two")

    def test_while_it_goes_up_it_is_not_there(
        self, bucket: Bucket, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither as a whole nor in parts, for us by the claim, for others by an object that says so."""
        store, said, put = store_at(bucket, "out"), list[str](), objects.Objects.put

        def look(*args: Any) -> None:
            put(*args)
            assert f"out/{MARKER}" in bucket.names()
            for path in ("out", "out/img", "", "out/a.txt"):
                with pytest.raises(UnfinishedError):
                    [*store_at(bucket, path).entries()]
            assert not store.exists() and not store_at(bucket, "out/img").exists()
            said.append("looked")

        monkeypatch.setattr(objects.Objects, "put", look)
        store.upload(source, owner="o")
        assert said and store.exists() and store_at(bucket, "out/img").exists()
        bucket.put(f"out/{MARKER}", b"")
        assert not store.exists()
        with pytest.raises(UnfinishedError):
            store.identity()

    def test_of_two_at_once_one_gets_it(self, bucket: Bucket, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both have looked and seen nothing; then both claim."""
        first, second = store_at(bucket, "out"), store_at(bucket, "out")
        create = objects.Objects.create
        once = list[int]()

        def late(self: objects.Objects, key: str, text: bytes) -> None:
            if not once:
                once.append(1)
                second.upload(source, owner="flow/two")
            create(self, key, text)

        monkeypatch.setattr(objects.Objects, "create", late)
        with pytest.raises(ClaimedError, match="flow/two has begun"):
            first.upload(source, owner="flow/one")
        assert second.exists() and b"flow/two" in objects.Objects.read(second._objects, second._claim)  # type: ignore

    def test_a_killed_upload_is_never_taken_for_whole(
        self, bucket: Bucket, source: Path, tmp_path: Path, children: Children
    ) -> None:
        """Killed before chosen requests: absent, or unfinished and refused, or all there; the next run ends it."""
        new = fill(tmp_path / "new", 2, names=("a.txt", "x/other"))
        self.kill_uploads(bucket, source, tmp_path, new, children, most=4)

    def kill_uploads(
        self, bucket: Bucket, source: Path, folder: Path, new: dict[str, bytes], children: Children, *, most: int
    ) -> None:
        """Replace `source` by `new` again and again, killed at another request each time."""
        options: dict[str, Any] = {"secrets": bucket.secrets}
        url = f"{bucket.root}/out"
        store, old = store_at(bucket, "out"), content(source)
        store.upload(source, owner="flow/task")
        total = children.run("upload", url, folder / "new", **options)["calls"]
        assert total > 8
        for call in sorted(random.Random(total).sample(range(1, total + 1), min(most, total))):
            store.upload(source, owner="flow/task")
            assert children.run("upload", url, folder / "new", call=call, **options)["killed"]
            whole = store.exists()
            for path, at in (("out", ""), ("", "out/")):
                try:
                    found = fetched(store_at(bucket, path), folder / f"in{call}{len(path)}")
                    assert found in ({at + p: d for p, d in files.items()} for files in (old, new))
                    assert whole
                except UnfinishedError as error:
                    assert "was begun" in str(error) and not whole
            assert children.run("upload", url, folder / "new", **options)["error"] == ""
            assert fetched(store, folder / f"after{call}") == new and f"out/{MARKER}" not in bucket.names()

    def test_a_killed_download_goes_on_within_the_file(
        self, bucket: Bucket, tmp_path: Path, children: Children
    ) -> None:
        """What has its name is whole; what was fetched of the others is not fetched again."""
        whole = random.Random(1).randbytes((20 << 20) + 5)
        bucket.put("big/one", whole)
        bucket.put("big/two", b"small")
        options = {"secrets": bucket.secrets}
        done = children.run("download", f"{bucket.root}/big", tmp_path / "whole", **options)
        last = done["calls"]
        assert done["error"] == "" and content(tmp_path / "whole") == {"one": whole, "two": b"small"}
        assert children.run("download", f"{bucket.root}/big", tmp_path / "in", call=last - 1, **options)["killed"]
        assert data(tmp_path / "in").items() <= {"two": b"small"}.items()
        assert sum(map(len, content(tmp_path / "in").values())) > 8 << 20
        again = children.run("download", f"{bucket.root}/big", tmp_path / "in", **options)
        assert content(tmp_path / "in") == {"one": whole, "two": b"small"}
        idle = children.run("download", f"{bucket.root}/big", tmp_path / "in", **options)
        assert again["calls"] <= idle["calls"] + 2 < last  # the listing; the last piece, and a look at the object

    def test_what_was_changed_behind_our_back_is_noticed(self, bucket: Bucket, source: Path, tmp_path: Path) -> None:
        store = store_at(bucket, "out")
        store.upload(source, owner="o")
        first, old = store.identity(), content(source)["a.txt"]
        bucket.put("out/a.txt", old[:-1] + b"?")
        assert store.identity() != first
        with pytest.raises(StorageError, match=r"a\.txt.*other content"):
            store.download(tmp_path / "in")
        assert "a.txt" not in content(tmp_path / "in")
        bucket.put("out/a.txt", b"short")
        with pytest.raises(StorageError, match=r"a\.txt.*5 bytes instead of"):
            [*store.entries()]
        bucket.drop("out/a.txt")
        with pytest.raises(StorageError, match=r"a\.txt.*gone"):
            store.identity()
        assert fetched(store_at(bucket, "out/img"), tmp_path / "img")  # what is as it was can be had

    @pytest.mark.parametrize("key", ["x/../../up", "a//b", "back\\slash", "A/b.PNG", "~root/x"])
    def test_hostile_names_cost_an_error_and_write_nothing(self, key: str, bucket: Bucket, tmp_path: Path) -> None:
        bucket.put("in/a/b.png", b"x")
        try:
            bucket.put(f"in/{key}", b"x")
        except Exception:  # a server that refuses it itself
            return
        if f"in/{key}" in bucket.names():
            with pytest.raises(StorageError, match=r"not taken|one file"):
                store_at(bucket, "in").download(tmp_path / "dest")
        assert not (tmp_path / "dest").exists() and sorted(p.name for p in tmp_path.iterdir()) == []

    def test_names_that_are_no_text_stay_here(self, bucket: Bucket, tmp_path: Path) -> None:
        write(tmp_path / "s", {"b\udcff": b"x"})
        with pytest.raises(StorageError, match="no text"):
            store_at(bucket, "out").upload(tmp_path / "s", owner="o")
        assert bucket.names() == []

    def test_an_empty_upload_is_there(self, bucket: Bucket, tmp_path: Path) -> None:
        (tmp_path / "s").mkdir()
        assert store_at(bucket, "out").upload(tmp_path / "s", owner="o") == () and store_at(bucket, "out").exists()
        assert fetched(store_at(bucket, "out"), tmp_path / "in") == {}
        with pytest.raises(StorageError, match="nothing is there"):
            [*store_at(bucket, "nowhere").entries()]

    def test_unchanged_objects_do_not_travel_again(
        self, bucket: Bucket, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, put = store_at(bucket, "out"), list[str]()
        store.upload(source, owner="o")
        monkeypatch.setattr(objects.Objects, "put", lambda self, path, key, size, on_bytes: put.append(key))
        store.upload(source, owner="o")
        assert put == [] and store.exists()
        (source / "a.txt").write_bytes(b"new")
        with pytest.raises(StorageError, match="try again"):  # it did not arrive, which is noticed
            store.upload(source, owner="o")
        assert [key.rpartition("/")[2] for key in put] == ["a.txt"] and not store.exists()


def no_trace_of(secret: str, error: BaseException) -> bool:
    """Whether nothing that could be logged of an error holds the secret."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        link = link.__cause__ or link.__context__
    text = "".join(repr(e) + str(e) for e in seen) + "".join(traceback.format_exception(error))
    return secret not in text
