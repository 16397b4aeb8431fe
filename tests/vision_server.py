"""A stand-in for a vision endpoint on the loopback: it checks what it is sent, and misbehaves on demand."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

MODEL = "seer/vl-4b"


class VisionServer(ThreadingHTTPServer):
    """Answers `content` (or, called with the size of the image, what it returns); `trouble` are answers before that."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content: Any = '[{"bbox_2d": [250, 250, 750, 750], "label": "screen"}]'
        self.trouble: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextlib.contextmanager
def serving() -> Iterator[VisionServer]:
    server = VisionServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: VisionServer

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("Authorization"))
        if self.path != "/v1/models":
            return self._say(404, {"detail": "no such page"})
        return self._say(200, {"object": "list", "data": [{"id": MODEL}, {"id": "other"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization"))
        if self.server.trouble:
            return self._trouble(self.server.trouble.pop(0))
        if self.path != "/v1/chat/completions" or body["model"] != MODEL:
            return self._say(422, {"detail": "wrong page or model"})
        image, text = body["messages"][1]["content"]
        head, _, data = image["image_url"]["url"].partition(",")
        if head != "data:image/png;base64" or image["type"] != "image_url" or text["type"] != "text":
            return self._say(422, {"detail": "expected a data URL and a text"})
        size = Image.open(io.BytesIO(base64.b64decode(data, validate=True))).size
        self.server.asked.append({"prompt": text["text"], "size": size})
        content = self.server.content
        return self._say(200, {"choices": [{"message": {"content": content(size) if callable(content) else content}}]})

    def _trouble(self, what: Any) -> None:
        if what == "redirect":
            self.send_response(302)
            self.send_header("Location", self.server.base.replace("127.0.0.1", "localhost") + "/chat/completions")
            self.end_headers()
        elif what == "slow":
            time.sleep(1.0)
            self._say(200, {})
        elif what == "much":
            self._say(200, {"x": "y" * (2 << 20)})
        elif what == "noise":
            self._bytes(200, b"<html>")
        else:
            self._say(what, {"detail": f"trouble {what}"})

    def _say(self, code: int, value: Any) -> None:
        self._bytes(code, json.dumps(value).encode())

    def _bytes(self, code: int, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the client may have given up
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass
