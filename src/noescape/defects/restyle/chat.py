"""Wire format of chat completions with an image in and an image out (vLLM-Omni): POST /v1/chat/completions."""

from __future__ import annotations

import json
from typing import Any

from noescape.defects.restyle.wire import Call, Order, data_url, nothing_in


class Chat:
    """One user message with the prompt and the image as a `data:` URL; parameters under a key named `extra_body`.
    The answer's image is `choices[0].message.content[…].image_url.url`, or stands in `message.images`."""

    name = "chat"
    timeout_s = 120.0

    def call(self, png: bytes, order: Order) -> Call:
        """The request for a PNG."""
        content = [
            {"type": "text", "text": order.prompt},
            {"type": "image_url", "image_url": {"url": data_url(png)}},
        ]
        extra = {"num_inference_steps": order.num_inference_steps, "guidance_scale": order.guidance_scale}
        extra |= {"seed": order.seed, **order.parameters}
        body = {"model": order.model, "messages": [{"role": "user", "content": content}], "extra_body": extra}
        return Call(path="/v1/chat/completions", body=json.dumps(body).encode(), content_type="application/json")

    def picked(self, answer: Any) -> str:
        """The first image among the parts of the first choice."""
        try:
            message = answer["choices"][0]["message"]
            for parts in (message.get("content"), message.get("images")):
                for part in parts if isinstance(parts, list) else []:
                    url = (part.get("image_url") or {}).get("url") if isinstance(part, dict) else None
                    if isinstance(url, str) and url:
                        return url
        except (KeyError, IndexError, TypeError, AttributeError):
            pass
        raise nothing_in(answer, "choices[0].message.content[0].image_url.url")
