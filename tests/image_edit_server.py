"""A stand-in for an image-edit service on the loopback: it enforces the wire formats, and misbehaves when told to."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

MODEL = "nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL"
Rgb = npt.NDArray[np.uint8]
CHAT, IMAGES, NIM = "/v1/chat/completions", "/v1/images/edits", "/v1/infer"


class Service:
    """What the stand-in serves and how: change the fields, read `seen` (path and parsed request, in order)."""

    def __init__(self) -> None:
        self.models: Any = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        self.paths = {CHAT, IMAGES, NIM}
        self.health: dict[str, int] = {"/health": 200}
        self.key = ""
        self.edit: Callable[[Rgb], Rgb] = lambda rgb: (255 - rgb).astype(np.uint8)
        self.misbehave: list[Callable[[Handler], bool]] = []  # one per POST, popped from the front; True: it answered
        self.answer: Callable[[bytes], bytes] = lambda png: png  # what is put in the place of the image
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.gets: list[str] = []
        self.flooded = 0  # bytes that somebody took of an endless answer
        self.headers: list[dict[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    """One request. `self.server.service` says what to do."""

    protocol_version = "HTTP/1.1"

    @property
    def service(self) -> Service:
        return self.server.service  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def say(self, status: int, value: Any, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.service.gets.append(self.path)
        self.service.headers.append(dict(self.headers))
        if self.path in self.service.health:
            self.say(self.service.health[self.path], {})
        elif self.path == "/v1/models" and self.service.models is not None:
            self.say(200, self.service.models)
        elif self.path == "/v1/files/1.png":
            self.say(200, self.service.answer(b""))
        else:
            self.say(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.service.headers.append(dict(self.headers))
        if self.path not in self.service.paths:
            self.say(404, {"detail": "Not Found"})
            return
        if self.service.key and self.headers.get("Authorization") != f"Bearer {self.service.key}":
            self.say(401, {"detail": f"invalid key {self.headers.get('Authorization')}"})
            return
        if self.service.misbehave and self.service.misbehave.pop(0)(self):
            return
        try:
            request, png = {CHAT: _chat, IMAGES: _images, NIM: _nim}[self.path](body, dict(self.headers))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.say(422, {"detail": f"Image has been provided in the invalid form: {error}"})
            return
        self.service.seen.append((self.path, request))
        if request.get("model", MODEL) != MODEL:
            self.say(404, {"error": {"message": f"The model {request['model']!r} does not exist."}})
            return
        text = base64.b64encode(self.service.answer(png_of(self.service.edit(rgb_of(png))))).decode()
        self.say(200, _answers(self.path, text))


def _answers(path: str, text: str) -> dict[str, Any]:
    if path == CHAT:
        content = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + text}}]
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
    if path == IMAGES:
        return {"created": 1, "data": [{"b64_json": text, "url": None, "revised_prompt": None}]}
    return {"artifacts": [{"base64": text, "finishReason": "SUCCESS"}]}


def _chat(body: bytes, headers: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    request = json.loads(body)
    (message,) = request["messages"]
    text, image = message["content"]
    if (
        message["role"] != "user"
        or not text["text"]
        or not isinstance(request["extra_body"]["num_inference_steps"], int)
    ):
        raise ValueError("messages")
    return request, _from_data_url(image["image_url"]["url"])


def _nim(body: bytes, headers: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    request = json.loads(body)
    if not {"prompt", "image"} <= set(request) or headers.get("Content-Type") != "application/json":
        raise ValueError("fields")
    return request, _from_data_url(request["image"])


def _images(body: bytes, headers: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    if parts["image"].get_content_type() != "image/png" or not parts["image"].get_filename():
        raise ValueError("image is no file")
    request = {str(name): part.get_payload(decode=True).decode() for name, part in parts.items() if name != "image"}
    if not request["prompt"] or request["response_format"] != "b64_json" or not int(request["n"]) == 1:
        raise ValueError("fields")
    return request, parts["image"].get_payload(decode=True)


def _from_data_url(url: str) -> bytes:
    if not url.startswith("data:image/png;base64,"):
        raise ValueError("no data: prefix")
    return base64.b64decode(url.split(",", 1)[1], validate=True)


def rgb_of(png: bytes) -> Rgb:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def png_of(rgb: Rgb) -> bytes:
    out = BytesIO()
    Image.fromarray(rgb).save(out, "PNG")
    return out.getvalue()


def status(code: int, detail: str = "no", **headers: str) -> Callable[[Handler], bool]:
    """Answers with an error."""

    def act(handler: Handler) -> bool:
        handler.say(code, {"detail": detail}, **headers)
        return True

    return act


def cut(handler: Handler) -> bool:
    """Announces more than it sends, and hangs up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True
    return True


def drip(handler: Handler) -> bool:
    """A byte every 50 ms for as long as somebody listens."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        try:
            handler.wfile.write(b" ")
            time.sleep(0.05)
        except OSError:
            break
    handler.close_connection = True
    return True


def flood(handler: Handler) -> bool:
    """An answer without an announced length that does not end."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    try:
        for _ in range(1024):
            handler.service.flooded += handler.wfile.write(b" " * 65536)
    except OSError:
        pass
    handler.close_connection = True
    return True


def say(value: Any, code: int = 200, **headers: str) -> Callable[[Handler], bool]:
    """Answers with these bytes, or this JSON."""

    def act(handler: Handler) -> bool:
        handler.say(code, value, **headers)
        return True

    return act


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on what is too slow or too large: that is what is tested."""


@contextmanager
def serving() -> Iterator[tuple[str, Service]]:
    """The address (with /v1) and the service behind it."""
    server = _Server(("127.0.0.1", 0), Handler)
    server.service = service = Service()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
