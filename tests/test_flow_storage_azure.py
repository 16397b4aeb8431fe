"""Object stores of the Azure kind, against a real blob server on the loopback."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noescape.flow.storage import StorageError, open_store
from object_servers import AZURE_ACCOUNT, AZURE_KEY, azure_is_here, azure_secrets, azure_server
from storage_promises import RemotePromises, children, no_trace_of, source

__all__ = ["children", "source"]  # fixtures

_numbers = itertools.count()


class AzureBucket:
    """A new container."""

    def __init__(self, port: int) -> None:
        from azure.storage.blob import ContainerClient

        name = f"container-{next(_numbers)}"
        self.root, self.secrets = f"azure://{AZURE_ACCOUNT}/{name}", azure_secrets(port)
        address = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        self.client: Any = ContainerClient(address, name, credential=AZURE_KEY)
        self.client.create_container()

    def put(self, key: str, data: bytes) -> None:
        self.client.upload_blob(key, data, overwrite=True)

    def names(self) -> list[str]:
        return sorted(self.client.list_blob_names())

    def drop(self, key: str) -> None:
        self.client.delete_blob(key)


if azure_is_here():

    @pytest.fixture(scope="module")
    def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
        with azure_server(tmp_path_factory.mktemp("azurite")) as number:
            yield number

    @pytest.fixture
    def bucket(port: int) -> Iterator[AzureBucket]:
        made = AzureBucket(port)
        yield made
        made.client.close()

    class TestAzure(RemotePromises):
        """The promises of all object stores."""

    def test_a_connection_string_and_the_environment_will_do(
        bucket: AzureBucket, port: int, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        text = (
            f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={address};"
        )
        open_store(f"{bucket.root}/one", secrets={"x": {"access_key": text}}).upload(source, owner="o")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        assert open_store(f"{bucket.root}/one").exists()
        with pytest.raises(StorageError, match="no-such-container"):
            open_store(f"azure://{AZURE_ACCOUNT}/no-such-container/x").upload(source, owner="o")

    def test_a_wrong_key_is_told_and_not_shown(bucket: AzureBucket, port: int) -> None:
        wrong = "d3Jvbmc" + AZURE_KEY[7:]
        secrets = {"x": azure_secrets(port)["loopback"] | {"access_key": wrong}}
        with pytest.raises(StorageError, match="check the credentials") as caught:
            [*open_store(f"{bucket.root}/one", secrets=secrets).entries()]
        assert no_trace_of(wrong, caught.value)
        for broken in (f"AccountKey={wrong}", f"AccountKey={wrong};y", f"?sv=2024-11-04&sig={wrong}"):
            secrets = {"x": azure_secrets(port)["loopback"] | {"access_key": broken}}
            with pytest.raises(StorageError) as caught:
                open_store(f"{bucket.root}/one", secrets=secrets).exists()
            assert no_trace_of(wrong, caught.value)
