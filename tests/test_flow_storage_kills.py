"""Local storage that is killed, starved or shut out: old or new, never something between, and the next run heals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from noescape.flow.storage import open_store
from storage_child import Children
from storage_room import NAMES, content, data, fetched, fill


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children() as server:
        yield server


def steps(total: int, most: int, seed: int) -> list[int]:
    """All of 1 … `total`, or `most` of them by chance."""
    return [*range(1, total + 1)] if total <= most else sorted(random.Random(seed).sample(range(1, total + 1), most))


FEW = ("a.txt", "img/x.bin")


def kill_uploads(
    children: Children, folder: Path, *, swapless: bool, most: int, seed: int, names: tuple[str, ...] = NAMES
) -> None:
    """Kill first uploads and replacements before chosen changes; then look, run the same again, and look again."""
    files = {kind: fill(folder / kind, seed + number, names=names) for number, kind in enumerate(("old", "new"))}
    del files["new"]["a.txt"]
    (folder / "new/a.txt").unlink()
    for first in (True, False):
        place = folder / f"out-{first}" / "out"
        options = {"watch": str(place.parent), "swapless": swapless}
        if not first:
            children.run("upload", place, folder / "old")
        total = children.run("upload", place, folder / "new", **options)["changes"]
        assert total > 10
        seen = set()
        for change in steps(total, most, seed):
            if first:
                open_store(str(place)).delete()
            elif data(place) != files["old"]:
                children.run("upload", place, folder / "old")
            assert children.run("upload", place, folder / "new", change=change, **options)["killed"]
            found = look(place, folder / f"in-{first}-{change}")
            assert found in ((None if first else files["old"]), files["new"]), f"between, killed before change {change}"
            seen.add(found == files["new"])
            after = children.run("upload", place, folder / "new", swapless=swapless)
            assert after["error"] == "" and data(place) == files["new"]
            assert sorted(p.name for p in place.parent.iterdir()) == [".out.claim.json", "out"]
        assert seen == {True, False} or most < total


def look(place: Path, dest: Path) -> dict[str, bytes] | None:
    """What a reader is given at `place`, None if nothing is there for it; all of it digest-checked."""
    store = open_store(str(place))
    return fetched(store, dest) if store.exists() else None


@pytest.mark.parametrize("swapless", [False, True])
def test_a_killed_upload_leaves_the_old_or_the_new(swapless: bool, children: Children, tmp_path: Path) -> None:
    """At every place where files change, also where two folders cannot change places at once."""
    kill_uploads(children, tmp_path, swapless=swapless, most=50, seed=3, names=FEW)


def test_a_killed_owner_still_owns_and_a_living_one_is_alone(children: Children, tmp_path: Path) -> None:
    fill(tmp_path / "new", 1)
    place = tmp_path / "out/out"
    assert children.run("upload", place, tmp_path / "new", watch=str(tmp_path / "out"), change=12)["killed"]
    assert (place.parent / ".out.claim.json").exists()
    second = children.run("upload", place, tmp_path / "new", owner="flow/two")  # nothing came of the first
    assert second["error"] == ""
    third = children.run("upload", place, tmp_path / "new")
    assert third["kind"] == "ClaimedError" and "flow/two" in third["error"]


def test_of_two_at_once_one_waits_outside(tmp_path: Path) -> None:
    """While one upload is filling its folder, neither another owner nor the same one may begin a second."""
    fill(tmp_path / "new", 1)
    store, said = open_store(str(tmp_path / "out")), list[str]()

    def intrude(count: int) -> None:
        for owner in ("flow/task", "flow/other"):
            try:
                open_store(str(tmp_path / "out")).upload(tmp_path / "new", owner=owner)
            except Exception as error:
                said.append(f"{type(error).__name__}: {error}")

    store.upload(tmp_path / "new", owner="flow/task", on_bytes=intrude)
    assert len(said) >= 2 and all("under way" in s for s in said[::2]) and all("ClaimedError" in s for s in said[1::2])
    assert data(tmp_path / "out") == content(tmp_path / "new")


def kill_downloads(children: Children, folder: Path, *, most: int, seed: int) -> None:
    """Kill downloads; every file that has its name is whole, and the next run brings the rest and tidies up."""
    files = fill(folder / "old", seed)
    total = children.run("download", folder / "old", folder / "count", watch=str(folder / "count"))["changes"]
    assert total > 10
    for change in steps(total, most, seed):
        dest = folder / f"in{change}"
        assert children.run("download", folder / "old", dest, watch=str(dest), change=change)["killed"]
        there = {path: (dest / path).stat().st_ino for path in data(dest)}
        assert data(dest).items() <= files.items()
        assert children.run("download", folder / "old", dest)["error"] == ""
        assert content(dest) == files and there.items() <= {p: (dest / p).stat().st_ino for p in files}.items()


def test_a_killed_download_goes_on(children: Children, tmp_path: Path) -> None:
    kill_downloads(children, tmp_path, most=30, seed=5)


@pytest.mark.parametrize("limit", [1, 100, 3000, 20_000])
def test_a_full_disk_costs_an_error_and_nothing_else(limit: int, children: Children, tmp_path: Path) -> None:
    """Files may not grow beyond a limit, be it that of a claim or that of the data; then there is room again."""
    old = fill(tmp_path / "old", 1, most=900)
    new = fill(tmp_path / "new", 2, most=50_000)
    place = tmp_path / "out/out"
    for first in (True, False):
        if not first:
            open_store(str(place)).upload(tmp_path / "old", owner="flow/task")
        before = content(place.parent) if place.parent.exists() else {}
        failed = children.run("upload", place, tmp_path / "new", limit=limit)
        assert (
            failed["kind"] == "StorageError" and "File too large" in failed["error"] and str(place) in failed["error"]
        )
        assert content(place.parent) == before and (first or fetched(open_store(str(place)), tmp_path / "in") == old)
    failed = children.run("download", tmp_path / "new", tmp_path / "down", limit=limit)
    assert failed["kind"] == "StorageError" and data(tmp_path / "down").items() <= new.items()
    assert children.run("upload", place, tmp_path / "new")["error"] == "" and data(place) == new
    assert children.run("download", tmp_path / "new", tmp_path / "down")["error"] == ""
    assert content(tmp_path / "down") == new


def test_a_folder_that_takes_nothing_is_told_of(children: Children, tmp_path: Path) -> None:
    """A read-only place for the upload, the download, and for the old folder itself; what was there stays."""
    fill(tmp_path / "old", 1)
    fill(tmp_path / "new", 2)
    place = tmp_path / "out/out"
    open_store(str(place)).upload(tmp_path / "old", owner="flow/task")
    before = content(place.parent)
    (tmp_path / "shut").mkdir()
    for folder in (place.parent, tmp_path / "shut"):
        folder.chmod(0o555)
    for do, url, path in (
        ("upload", place, tmp_path / "new"),
        ("upload", tmp_path / "shut/deep/out", tmp_path / "new"),
        ("download", tmp_path / "new", tmp_path / "shut"),
        ("download", tmp_path / "new", tmp_path / "shut/deep"),
    ):
        failed = children.run(do, url, path, powerless=True)
        assert failed["kind"] == "StorageError" and "Permission denied" in failed["error"], (do, url, failed)
    for folder in (place.parent, tmp_path / "shut"):
        folder.chmod(0o755)
    assert content(place.parent) == before and content(tmp_path / "shut") == {}
    (tmp_path / "new/a.txt").chmod(0)
    failed = children.run("upload", place, tmp_path / "new", powerless=True)
    assert "Permission denied" in failed["error"] and "a.txt" in failed["error"] and content(place.parent) == before


def test_memory_does_not_grow_with_the_files(children: Children, tmp_path: Path) -> None:
    """100 MB need no more than 1 MB, but for what Python takes by the way."""
    for name, size in (("small", 1 << 20), ("large", 100 << 20)):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "file").open("wb") as f:
            f.truncate(size)
    grown = {}
    for name in ("small", "large"):
        up = children.run("upload", tmp_path / f"out/{name}", tmp_path / name)
        down = children.run("download", tmp_path / f"out/{name}", tmp_path / f"in-{name}")
        assert up["error"] == down["error"] == ""
        grown[name] = max(up["grown"], down["grown"])
    assert grown["large"] < grown["small"] + (4 << 20), grown
