"""What the three wire formats have in common: what is asked, what is sent, and where the image is in the answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from noescape.defects.restyle.errors import EndpointError


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of every image: prompt, exact model id, steps, guidance, seed, and further parameters."""

    prompt: str
    model: str
    num_inference_steps: int
    guidance_scale: float
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP POST: path from the root of the service, body and its content type."""

    path: str
    body: bytes
    content_type: str


class WireFormat(Protocol):
    """One way of asking for an edited image."""

    name: str
    timeout_s: float

    def call(self, png: bytes, order: Order) -> Call:
        """The request for a PNG."""
        ...

    def picked(self, answer: Any) -> str:
        """The image in a parsed JSON answer: base64, a `data:` URL, or a URL. EndpointError where there is none."""
        ...


def data_url(png: bytes) -> str:
    """A PNG as a `data:` URL; services refuse base64 without that prefix."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def is_link(picked: str) -> bool:
    """Whether the answer names a place to fetch the image from."""
    return picked[:8].lower().startswith(("http://", "https://")) or picked.startswith("/v1/")


def image_bytes(picked: str) -> bytes:
    """Decode base64, with or without the `data:` prefix; EndpointError (not_an_image) otherwise."""
    head, comma, rest = picked.partition(",") if picked.startswith("data:") else ("", "", picked)
    if comma and not head.endswith(";base64"):
        raise EndpointError("not_an_image", f"expected an image in base64, the answer holds {head[:60]!r}")
    try:
        data = base64.b64decode("".join(rest.split()), validate=True)
    except (binascii.Error, ValueError):
        raise EndpointError("not_an_image", "expected an image in base64, the answer holds something else") from None
    if not data:
        raise EndpointError("not_an_image", "expected an image in base64, the answer's is empty")
    return data


def nothing_in(answer: Any, expected: str) -> EndpointError:
    """The error for an answer without an image: what was expected and which keys came."""
    came = (
        f"an object with {', '.join(sorted(map(str, answer))[:8])}"
        if isinstance(answer, dict)
        else type(answer).__name__
    )
    return EndpointError("bad_answer", f"expected {expected} in the answer, got {came[:200]}")
