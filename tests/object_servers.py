"""Object stores on the loopback, and a way to them that cuts connections."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

KEYS = {"access_key_id": "AKIANOBODY", "access_key": "canary/of+the=store", "region": "us-east-1"}
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Y2FuYXJ5IG9mIHRoZSBzdG9yZSwgdG8gYmUgc2VlbiBub3doZXJlIGF0IGFsbA=="


def s3_is_here() -> bool:
    """Whether the tests of S3 can run."""
    return all(importlib.util.find_spec(name) for name in ("s3fs", "moto", "flask", "flask_cors"))


def azure_is_here() -> bool:
    """Whether the tests of Azure can run."""
    return importlib.util.find_spec("adlfs") is not None and shutil.which("azurite-blob") is not None


@contextmanager
def s3_server() -> Iterator[int]:
    """A server of S3 in threads of this process; its port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


def s3_client(port: int) -> Any:
    """A client of another make than the one that is tested."""
    import boto3

    return boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=KEYS["access_key"], region_name=KEYS["region"],
    )  # fmt: skip


def s3_secrets(port: int) -> dict[str, dict[str, str]]:
    """Credentials that lead to the server at `port`."""
    return {"loopback": KEYS | {"override_url": f"http://127.0.0.1:{port}"}}


@contextmanager
def azure_server(folder: Path) -> Iterator[int]:
    """A blob server of Azure as a process of its own, which keeps its data in `folder`; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [
        str(shutil.which("azurite-blob")), "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobHost",
        "127.0.0.1", "--blobPort", str(port), "--location", str(folder),
    ]  # fmt: skip
    environment = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert server.poll() is None, "azurite ended"
                time.sleep(0.1)
            yield port
        finally:
            server.kill()


def azure_secrets(port: int) -> dict[str, dict[str, str]]:
    """Credentials that lead to the blob server at `port`."""
    address = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    return {"loopback": {"access_key": AZURE_KEY, "override_url": address, "endpoint": f"azure://{AZURE_ACCOUNT}"}}


class CuttingProxy:
    """A way to a server on the loopback that ends connections in the middle of answers; a context manager.

    `allow` bytes of each answer get through, no more: set it to None for all. `passed` counts them.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.allow: int | None = None
        self.passed = 0

    def __enter__(self) -> CuttingProxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            for pair in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        count = 0
        with suppress(OSError):
            while piece := source.recv(65536):
                if answers:
                    if self.allow is not None and count + len(piece) > self.allow:
                        break
                    count += len(piece)
                    self.passed += len(piece)
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if answers:
            source.close()
            sink.close()
