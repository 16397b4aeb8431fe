"""Workflows whose inputs and outputs lie in an object store, against a real server on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flow_maker import Bench, sh
from noescape.records import WorkError
from object_servers import s3_client, s3_is_here, s3_secrets, s3_server

if s3_is_here():

    @pytest.fixture(scope="module")
    def port() -> Iterator[int]:
        with s3_server() as number:
            yield number

    def test_from_a_bucket_to_a_bucket(port: int, tmp_path: Path) -> None:
        """What is picked comes, what is made goes; a resume sees what changed there; a second writer is refused."""
        client = s3_client(port)
        client.create_bucket(Bucket="plant")
        for name in ("data/a.txt", "data/sub/b.txt", "data/c.bin"):
            client.put_object(Bucket="plant", Key=name, Body=name.encode())

        def names(prefix: str) -> list[str]:
            found = [one["Key"] for one in client.list_objects_v2(Bucket="plant", Prefix=prefix).get("Contents", [])]
            return sorted(name for name in found if not name.rpartition("/")[2].startswith("."))

        bench = Bench(tmp_path)
        bench.storage_secrets = s3_secrets(port)
        script = "(cd {{input:0}}; cat a.txt sub/b.txt; ls) > {{output}}/all; echo 1 > {{output}}/no"
        task = sh(
            "a",
            script,
            inputs=[{"url": "s3://plant/data", "regex": r".*txt$"}],
            outputs=[{"url": "s3://plant/out/{{workflow_id}}", "regex": "all"}],
        )
        assert bench.run(task, sh("b", "true")).status == "COMPLETED", bench.message("a")
        assert bench.made()["a/all"] == "data/a.txtdata/sub/b.txta.txt\nsub\n"
        assert names("out/demo-1/") == ["out/demo-1/all"]
        assert bench.resume().kept == 2
        client.put_object(Bucket="plant", Key="data/a.txt", Body=b"new ")
        assert bench.resume().kept == 1 and bench.ran() == ["a"]
        body = client.get_object(Bucket="plant", Key="out/demo-1/all")["Body"].read()
        assert body.startswith(b"new data/sub")
        client.delete_object(Bucket="plant", Key="out/demo-1/all")
        assert bench.resume().kept == 1 and names("out/demo-1/") == ["out/demo-1/all"]
        thief = sh("thief", "true", outputs=[{"url": "s3://plant/out/demo-1"}])
        with pytest.raises(WorkError, match="out/demo-1"):
            bench.run(thief, name="other")

    def test_a_bucket_that_is_not_there_fails_the_task_alone(port: int, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        bench.storage_secrets = s3_secrets(port)
        bench.run(sh("a", "true", inputs=[{"url": "s3://nowhere-at-all/x"}]), sh("b", "true"))
        assert (bench.status("a"), bench.code("a"), bench.status("b")) == ("FAILED", 2010, "COMPLETED")
        assert "nowhere-at-all" in bench.message("a")
