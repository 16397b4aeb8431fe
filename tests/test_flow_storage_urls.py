"""Urls: the shapes of the format, and folders that stay where the caller meant them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.flow.storage import absolute, is_remote, open_store, url_problem
from noescape.records import UsageError

GOOD = [
    "s3://bucket", "s3://bucket/", "s3://bucket/a/b c/日本.png", "gs://bucket/x", "azure://account/container",
    "azure://account/container/x/y/",
]  # fmt: skip
CLUSTER_ONLY = ["swift://endpoint/account/bucket", "swift://e/a/b/c", "tos://endpoint/bucket/x"]
BAD = [
    "s3://", "s3:///x", "s3://b//x", "s3://b/a,b", "s3://b/a;b", "s3://b/*.png", "azure://account", "azure://a//c",
    "swift://e/a", "tos://e", "http://host/x", "S3://bucket/x", "s4://b", "s3://b/../c", "s3://b/./c", "s3://b/a\\b",
    "s3://b/a\nb", "", "  ", "s3://b/\0",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_urls_of_object_stores_are_taken_here_and_there(url: str) -> None:
    assert url_problem(url, "local") is None and url_problem(url, "osmo") is None
    assert is_remote(url) and absolute(url, Path("/base")) == url.removesuffix("/")


@pytest.mark.parametrize("url", CLUSTER_ONLY)
def test_some_storage_is_for_the_cluster_alone(url: str) -> None:
    assert url_problem(url, "osmo") is None
    assert "cluster alone" in str(url_problem(url, "local"))


@pytest.mark.parametrize("url", BAD)
def test_wrong_urls_are_refused_everywhere(url: str) -> None:
    assert url_problem(url, "osmo") and url_problem(url, "local")
    with pytest.raises(UsageError):
        absolute(url, Path("/base"))
    with pytest.raises(UsageError):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("out", "/base/out"),
        ("../out/./x", "/out/x"),
        ("/a/b/", "/a/b"),
        ("a,b;c*", "/base/a,b;c*"),
        ("file:///a/b%20c", "/a/b c"),
        ("file://localhost/a", "/a"),
        ("~/x", str(Path.home() / "x")),
        ("s3:/bucket", "/base/s3:/bucket"),
    ],
)
def test_a_folder_becomes_absolute_from_where_the_caller_stands(url: str, path: str) -> None:
    assert absolute(url, Path("/base")) == path and not is_remote(url)
    assert url_problem(url, "local") is None
    assert "the cluster cannot see" in str(url_problem(url, "osmo"))


@pytest.mark.parametrize("url", ["file://host/x", "file://relative", "~nobody-of-this-name/x"])
def test_folders_of_nowhere_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        absolute(url, Path("/base"))


def test_a_relative_base_is_meant_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("x", Path("sub")) == str(tmp_path / "sub" / "x")


@given(st.text(max_size=30) | st.from_regex(r"(s3|gs|azure|swift|tos|file)://[a-b/,;*.\\]{0,12}", fullmatch=True))
def test_any_text_is_a_place_or_an_error_and_once_absolute_stays(url: str) -> None:
    try:
        place = absolute(url, Path("/base"))
    except UsageError:
        assert url_problem(url, "local") or url.startswith("~")
        return
    assert url_problem(url, "local") is None
    assert place.startswith("/") or is_remote(place)
    assert absolute(place, Path("/elsewhere")) == place
