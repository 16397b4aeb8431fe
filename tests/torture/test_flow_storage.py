"""Storage killed at every place where it changes something, and by the clock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from noescape.flow.storage import open_store
from object_servers import s3_is_here, s3_server
from storage_child import Children
from storage_room import content, data, fetched, fill
from test_flow_storage_kills import kill_downloads, kill_uploads

pytestmark = pytest.mark.torture


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children() as server:
        yield server


@pytest.mark.parametrize("swapless", [False, True])
def test_uploads_killed_at_every_change(swapless: bool, children: Children, tmp_path: Path) -> None:
    kill_uploads(children, tmp_path, swapless=swapless, most=10_000, seed=3)


def test_downloads_killed_at_every_change(children: Children, tmp_path: Path) -> None:
    kill_downloads(children, tmp_path, most=10_000, seed=5)


def test_uploads_killed_by_the_clock(children: Children, tmp_path: Path) -> None:
    """200 kills of replacements of 40 files; what a reader gets is one of the two, every time."""
    names = tuple(f"{number % 7}/{number}.bin" for number in range(40))
    files = [fill(tmp_path / str(number), number, names=names) for number in range(2)]
    place, rng, seen = tmp_path / "out/out", random.Random(11), set[int]()
    store = open_store(str(place))
    store.upload(tmp_path / "0", owner="flow/task")
    for kill in range(200):
        children.run("upload", place, tmp_path / str(kill % 2), seconds=rng.uniform(0, 0.15))
        found = fetched(store, tmp_path / f"in{kill}")
        assert found in files
        seen.add(files.index(found))
    assert seen == {0, 1}
    assert children.run("upload", place, tmp_path / "1")["error"] == "" and data(place) == files[1]
    assert sorted(p.name for p in place.parent.iterdir()) == [".out.claim.json", "out"]


if s3_is_here():
    from storage_promises import RemotePromises
    from test_flow_storage_s3 import S3Bucket

    @pytest.fixture(scope="module")
    def port() -> Iterator[int]:
        with s3_server() as number:
            yield number

    def test_uploads_to_a_server_killed_at_every_request(port: int, children: Children, tmp_path: Path) -> None:
        fill(tmp_path / "source", 1)
        new = fill(tmp_path / "new", 2, names=("a.txt", "x/other"))
        assert content(tmp_path / "new") == new
        RemotePromises().kill_uploads(S3Bucket(port), tmp_path / "source", tmp_path, new, children, most=10_000)
