"""An image-edit service behind one interface: is it well, does it serve the model, edit this image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from noescape.defects.restyle.chat import Chat
from noescape.defects.restyle.config import RestyleConfig
from noescape.defects.restyle.errors import EndpointError
from noescape.defects.restyle.keys import key_from
from noescape.defects.restyle.nim import Nim
from noescape.defects.restyle.openai_images import OpenAIImages
from noescape.defects.restyle.retry import Backoff, asked_wait
from noescape.defects.restyle.transport import Reply, Transport
from noescape.defects.restyle.wire import Order, WireFormat, image_bytes, is_link

FORMATS: dict[str, Callable[[], WireFormat]] = {"chat": Chat, "images": OpenAIImages, "nim": Nim}  # order of `auto`
PROBE_S = 20.0
MAX_LIST_BYTES = 4 << 20
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_EVERYWHERE = (401, 403, 404, 405, 501)
_NOT_HERE = (404, 405, 501)


@dataclass(frozen=True, kw_only=True)
class Edited:
    """The bytes of an answered image, by which wire format, after how many attempts."""

    data: bytes
    api: str
    attempts: int


class Endpoint:
    """The service at `config.endpoint`. `check` first; then `edit` once per image.

    Nothing is ever asked of another service or another model than those named.
    """

    def __init__(self, config: RestyleConfig, backoff: Backoff) -> None:
        self.config, self._backoff, self._secret = config, backoff, key_from(config.api_key_env)
        most = int(config.max_answer_mb * 2**20)
        self._transport = Transport(config.endpoint, self._secret, max_bytes=most)
        self._lists = Transport(config.endpoint, self._secret, max_bytes=min(most, MAX_LIST_BYTES))
        self._formats = [FORMATS[config.api]()] if config.api != "auto" else [make() for make in FORMATS.values()]
        self._order = Order(
            prompt=config.prompt, model=config.model, num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale, seed=config.seed, parameters=config.parameters,
        )  # fmt: skip

    @property
    def root(self) -> str:
        """The address without `/v1`, for messages and provenance; it holds no secret."""
        return self._transport.root

    def check(self) -> list[str]:
        """Health, then the list of models: the ids served. EndpointError if it is not well or serves another model."""
        self._backoff.run(self._health)
        if not self.config.check_model:
            return []
        models, _ = self._backoff.run(self._models)
        if self.config.model not in models:
            served = ", ".join(repr(name[:80]) for name in models[:8]) or "no model"
            text = f"serves {served}, not {self.config.model!r}; start it with that model, or name another endpoint"
            raise self._error("wrong_model", text, everywhere=True)
        return models

    def edit(self, png: bytes) -> Edited:
        """Send a PNG, get the bytes of the edited image (checked to be base64, not yet to be an image)."""
        while True:
            form = self._formats[0]
            try:
                data, attempts = self._backoff.run(lambda form=form: self._ask(form, png))  # type: ignore[misc]
            except EndpointError as error:
                if len(self._formats) > 1 and error.code in [f"http_{status}" for status in _NOT_HERE]:
                    self._formats = self._formats[1:]  # this service does not speak that format
                    continue
                raise
            self._formats = [form]
            return Edited(data=data, api=form.name, attempts=attempts)

    def _ask(self, form: WireFormat, png: bytes) -> bytes:
        call = form.call(png, self._order)
        limit = self.config.timeout_s or form.timeout_s
        reply = self._transport.send(call.path, timeout_s=limit, body=call.body, content_type=call.content_type)
        answer = self._json(self._good(reply, call.path))
        try:
            picked = form.picked(answer)
            return self._fetch(picked, limit) if is_link(picked) else image_bytes(picked)
        except EndpointError as error:
            raise self._error(error.code, f"{call.path}: {error}", again=error.again) from None

    def _fetch(self, link: str, limit: float) -> bytes:
        """An image that the answer only points to, from the same origin or not at all."""
        if "://" in link and not self._transport.same_origin(link):
            raise EndpointError("off_origin", "the answer points to another place for the image, which is not fetched")
        return self._good(self._transport.send(link, timeout_s=limit), "the image").body

    def _health(self) -> None:
        """Ready by /v1/health/ready, or /health where there is no such page; a service without both may be well."""
        for path in ("/v1/health/ready", "/health"):
            reply = self._lists.send(path, timeout_s=PROBE_S)
            if reply.status not in _NOT_HERE:
                self._good(reply, path)
                return

    def _models(self) -> list[str]:
        reply = self._lists.send("/v1/models", timeout_s=PROBE_S)
        if reply.status in _NOT_HERE:
            text = "has no list of models at /v1/models, so that nothing says which model answers"
            hint = "if it can only be the right one, say check_model: false"
            raise self._error("no_models", f"{text}; {hint}", everywhere=True)
        answer = self._json(self._good(reply, "/v1/models"))
        try:
            return [str(row["id"]) for row in answer["data"]]
        except (KeyError, TypeError):
            raise self._error(
                "no_models", "/v1/models answers, but not with a list of models", everywhere=True
            ) from None

    def _good(self, reply: Reply, path: str) -> Reply:
        if 200 <= reply.status < 300 and reply.status != 202:
            return reply
        code, again = f"http_{reply.status}", reply.status in _AGAIN
        said = _detail(reply.body)
        text = f"{path} answers HTTP {reply.status}" + (f": {said}" if said else "")
        if reply.status in (401, 403):
            text += f" (a key is read from the environment variable {self.config.api_key_env})"
        wait_s = asked_wait(reply.headers.get("retry-after")) if again else None
        raise self._error(code, text, again=again, wait_s=wait_s, everywhere=reply.status in _EVERYWHERE)

    def _json(self, reply: Reply) -> Any:
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            start = reply.body[:60].decode("utf-8", "replace")
            raise self._error("bad_answer", f"expected JSON, the answer starts with {start!r}", again=True) from None

    def _error(self, code: str, text: str, **more: Any) -> EndpointError:
        return EndpointError(
            code, self._secret.scrub(text if text.startswith(self.root) else f"{self.root} {text}"), **more
        )


def _detail(body: bytes) -> str:
    """What an error answer says, in at most 300 characters."""
    try:
        value = json.loads(body)
        for key in ("detail", "error", "message"):
            if isinstance(value, dict) and value.get(key):
                value = value[key]
        text = value if isinstance(value, str) else json.dumps(value)
    except (ValueError, RecursionError):
        text = body[:2000].decode("utf-8", "replace")
    return " ".join(text.split())[:300]
