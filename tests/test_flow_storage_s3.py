"""Object stores of the S3 kind, against a real server on the loopback."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noescape.flow.storage import StorageError, open_store
from object_servers import KEYS, CuttingProxy, s3_client, s3_is_here, s3_secrets, s3_server
from storage_child import Children
from storage_promises import RemotePromises, children, no_trace_of, source, store_at
from storage_room import content, data

__all__ = ["children", "source"]  # fixtures

_numbers = itertools.count()


class S3Bucket:
    """A new bucket."""

    def __init__(self, port: int) -> None:
        self.port, self.name = port, f"bucket-{next(_numbers)}"
        self.root, self.secrets = f"s3://{self.name}", s3_secrets(port)
        self.client: Any = s3_client(port)
        self.client.create_bucket(Bucket=self.name)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def names(self) -> list[str]:
        return sorted(item["Key"] for item in self.client.list_objects_v2(Bucket=self.name).get("Contents", []))

    def drop(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)


if s3_is_here():

    @pytest.fixture(scope="module")
    def port() -> Iterator[int]:
        with s3_server() as number:
            yield number

    @pytest.fixture
    def bucket(port: int) -> S3Bucket:
        return S3Bucket(port)

    @pytest.fixture
    def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
        """Waits between the attempts of a library are short."""
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0.01)

    class TestS3(RemotePromises):
        """The promises of all object stores."""

    @pytest.mark.usefixtures("hasty")
    def test_connections_that_are_cut_cost_an_error_or_nothing(bucket: S3Bucket, tmp_path: Path) -> None:
        """Cut in the middle of every answer: a clear error, no torn file; later it goes on and does not begin anew."""
        whole = random.Random(1).randbytes(30 << 20)
        bucket.put("in/big", whole)
        with CuttingProxy(bucket.port) as proxy:
            store = open_store(f"{bucket.root}/in", secrets=s3_secrets(proxy.port))
            assert len([*store.entries()]) == 1
            proxy.allow = 12 << 20  # of each connection: the second request dies
            with pytest.raises(StorageError, match=r"run the same again|try again"):
                for _ in range(2):
                    store.download(tmp_path / "in")
                    (tmp_path / "in/big").unlink()
                    proxy.allow = 3 << 20
            assert data(tmp_path / "in") == {}
            have = sum(map(len, content(tmp_path / "in").values()))
            proxy.allow, proxy.passed = None, 0
            store.download(tmp_path / "in")
            assert content(tmp_path / "in") == {"big": whole} and proxy.passed < len(whole) - have + 100_000

    @pytest.mark.usefixtures("hasty")
    def test_uploads_through_a_broken_network_are_unfinished(bucket: S3Bucket, source: Path, tmp_path: Path) -> None:
        with CuttingProxy(bucket.port) as proxy:
            store = open_store(f"{bucket.root}/out", secrets=s3_secrets(proxy.port))
            store.claim("o")
            proxy.allow = 0
            with pytest.raises(StorageError, match="network"):
                store.upload(source, owner="o")
            proxy.allow = None
            assert not store.exists()
            store.upload(source, owner="o")
            store.download(tmp_path / "in")
        assert content(tmp_path / "in") == content(source)

    def test_memory_does_not_grow_with_the_objects(bucket: S3Bucket, children: Children, tmp_path: Path) -> None:
        """72 MB in one object need little more than 24 MB, up and down."""
        grown = {}
        for name, size in (("small", 24 << 20), ("large", 72 << 20)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_bytes(b"\1" * size)
            url = f"{bucket.root}/{name}"
            up = children.run("upload", url, tmp_path / name, secrets=bucket.secrets)
            down = children.run("download", url, tmp_path / f"in-{name}", secrets=bucket.secrets)
            assert up["error"] == down["error"] == ""
            grown[name] = max(up["grown"], down["grown"])
        assert grown["large"] < grown["small"] + (16 << 20), grown

    @pytest.mark.usefixtures("hasty")
    def test_secrets_are_in_no_message_and_no_log(
        bucket: S3Bucket, source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Refused, unreachable, absent: whatever the library says, the keys are not in it, nor in what hangs on it."""
        caplog.set_level(logging.INFO)
        key, name = KEYS["access_key"], KEYS["access_key_id"]
        keys = {"override_url": f"http://user:{key}@127.0.0.1:9", "access_key_id": name, "access_key": key}
        said = []
        for secrets in ({"x": keys}, {"x": {**keys, "override_url": f"ftp://{key}"}}):
            with pytest.raises(StorageError) as caught:
                open_store("s3://bucket/out", secrets=secrets).exists()
            said.append(caught.value)
        store: Any = store_at(bucket, "out")

        def telltale(*args: object, **options: object) -> None:
            raise ValueError(f"with {key} of {name} at AccountKey={key};") from ValueError(key)

        monkeypatch.setattr(store._objects._system, "cat_file", telltale)
        with pytest.raises(StorageError, match=r"ValueError: with \*\*\*") as caught:
            store.exists()
        assert all(no_trace_of(secret, error) for error in (*said, caught.value) for secret in (key, name))
        assert key not in caplog.text and key not in repr(vars(store_at(bucket, "x"))["_objects"])

    def test_the_environment_leads_to_the_server_too(
        bucket: S3Bucket, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the libraries do it; the wrong bucket is told by name."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["access_key"])
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{bucket.port}")
        open_store(f"{bucket.root}/out").upload(source, owner="o")
        assert open_store(f"{bucket.root}/out").exists()
        for work in ("entries", "upload"):
            store = open_store("s3://no-such-bucket/out")
            with pytest.raises(StorageError, match="no-such-bucket"):
                [*store.entries()] if work == "entries" else store.upload(source, owner="o")

    def test_folder_placeholders_are_no_files(bucket: S3Bucket, tmp_path: Path) -> None:
        """Consoles of object stores make empty objects whose names end with a slash."""
        bucket.put("in/", b"")
        bucket.put("in/sub/", b"")
        bucket.put("in/sub/a", b"x")
        store_at(bucket, "in").download(tmp_path / "in")
        assert content(tmp_path / "in") == {"sub/a": b"x"}

    def test_a_whole_bucket_can_be_an_output(bucket: S3Bucket, source: Path, tmp_path: Path) -> None:
        store_at(bucket, "").upload(source, owner="o")
        store_at(bucket, "").download(tmp_path / "in")
        assert content(tmp_path / "in") == content(source) and ".noescape.claim.json" in bucket.names()

    def test_google_with_keys_speaks_the_language_of_s3(bucket: S3Bucket, source: Path) -> None:
        """HMAC keys of gs:// go the same way as on the cluster."""
        store = open_store(f"gs://{bucket.name}/out", secrets=bucket.secrets)
        store.upload(source, owner="o")
        assert store.exists() and "out/a.txt" in bucket.names()
