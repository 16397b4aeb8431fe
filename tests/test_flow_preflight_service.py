"""The question to a service: answered or not within the limit, asked of what was named and of nothing else."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from noescape.flow.preflight.service import ask, is_loopback

MODELS = json.dumps({"object": "list", "data": [{"id": "org/One"}, {"id": "two\x1b[31m"}]}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the path's first part says."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Handler.seen.append(self.path)
        kind = self.path.split("/")[1]
        status = {"404": 404, "401": 401, "500": 500, "moved": 302}.get(kind, 200)
        body = {"words": b"hello", "odd": b'{"data": [1]}', "big": b"x" * (3 << 20), "none": b'{"data": []}'}.get(
            kind, MODELS
        )
        self.send_response(status)
        if kind == "moved":
            self.send_header("Location", "/v1/models")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        elif kind == "silent":
            time.sleep(3)
        else:
            self.wfile.write(body[: len(body) // 2] if kind == "half" else body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a small server on this machine."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None: ...  # the asker leaves early where the answer is too long

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_a_list_of_models_is_an_answer(tail: str, base: str) -> None:
    fine, words = ask(base + tail, limit_s=5)
    assert fine and "serves org/One, two\\x1b[31m" in words and Handler.seen[-1] == "/v1/models"


def test_a_service_without_models_still_answers(base: str) -> None:
    assert ask(f"{base}/none", limit_s=5) == (True, f"{base}/none/v1/models serves no model")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("404", "HTTP 404"),
        ("500", "HTTP 500"),
        ("401", "wants a key"),
        ("moved", "HTTP 302"),
        ("words", "not with a list"),
        ("odd", "not with a list"),
        ("big", "more than 1 MiB"),
        ("half", "not with a list"),
    ],
)
def test_anything_else_is_told_in_words(kind: str, said: str, base: str) -> None:
    fine, words = ask(f"{base}/{kind}", limit_s=5)
    assert not fine and said in words and f"{base}/{kind}/v1/models" in words


@pytest.mark.parametrize("kind", ["drip", "silent"])
def test_a_slow_answer_ends_at_the_limit(kind: str, base: str) -> None:
    start = time.monotonic()
    fine, words = ask(f"{base}/{kind}", limit_s=0.5)
    assert not fine and (kind == "silent" or "did not finish" in words) and time.monotonic() - start < 2.5


def test_nobody_there_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        fine, words = ask(f"http://127.0.0.1:{taken.getsockname()[1]}", limit_s=5)
    assert not fine and "does not answer" in words and "refused" in words


def test_a_proxy_is_not_asked_for_this_machine(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look on its own machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert ask(base, limit_s=5)[0]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0"])  # noqa: S104
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "128.0.0.1", "example", "", "::2"])
def test_names_of_other_machines(host: str) -> None:
    assert not is_loopback(host)
