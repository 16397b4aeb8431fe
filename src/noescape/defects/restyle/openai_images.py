"""Wire format of OpenAI's images: POST /v1/images/edits, a form with the file, JSON back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from noescape.defects.restyle.wire import Call, Order, nothing_in


class OpenAIImages:
    """A multipart form with `image`, `prompt`, `model`, `n`, `size`, `response_format` and the model's own parameters,
    to `{"data": [{"b64_json": …, "url": …}]}`."""

    name = "images"
    timeout_s = 120.0

    def call(self, png: bytes, order: Order) -> Call:
        """The request for a PNG; the boundary comes from the content, so that equal requests are equal bytes."""
        fields: dict[str, Any] = {"prompt": order.prompt, "model": order.model, "n": 1, "size": "auto"}
        fields |= {"response_format": "b64_json", "output_format": "png"}
        fields |= {"num_inference_steps": order.num_inference_steps, "guidance_scale": order.guidance_scale}
        fields |= {"seed": order.seed, **order.parameters}
        boundary = "noescape-" + hashlib.sha256(png + repr(fields).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        parts = [_part(boundary, key, _text(value)) for key, value in fields.items() if value is not None]
        parts.append(_part(boundary, "image", png, file="image.png", kind="image/png"))
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return Call(path="/v1/images/edits", body=body, content_type=f"multipart/form-data; boundary={boundary}")

    def picked(self, answer: Any) -> str:
        """`data[0].b64_json`, else `data[0].url`."""
        rows = answer.get("data") if isinstance(answer, dict) else None
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            for key in ("b64_json", "url"):
                if isinstance(rows[0].get(key), str) and rows[0][key]:
                    return str(rows[0][key])
        raise nothing_in(answer, "data[0].b64_json")


def _text(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")


def _part(boundary: str, name: str, content: bytes, *, file: str = "", kind: str = "") -> bytes:
    safe = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{safe}"'
    head += f'; filename="{file}"\r\nContent-Type: {kind}' if file else ""
    return head.encode("utf-8", "replace") + b"\r\n\r\n" + content + b"\r\n"
