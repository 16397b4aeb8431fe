"""Wire format of NIM: POST /v1/infer, JSON both ways."""

from __future__ import annotations

import json
from typing import Any

from noescape.defects.restyle.wire import Call, Order, data_url, nothing_in

_SINGLE = ("b64_json", "image", "base64")


class Nim:
    """`{"prompt", "image": "data:…", "seed", "steps", "cfg_scale", …}` to `{"artifacts": [{"base64": …}]}`.

    The service holds one model and is not told which; its list of models has been asked before.
    """

    name = "nim"
    timeout_s = 300.0

    def call(self, png: bytes, order: Order) -> Call:
        """The request for a PNG."""
        body = {"prompt": order.prompt, "image": data_url(png), "seed": order.seed}
        body |= {"steps": order.num_inference_steps, "cfg_scale": order.guidance_scale, **order.parameters}
        return Call(path="/v1/infer", body=json.dumps(body).encode(), content_type="application/json")

    def picked(self, answer: Any) -> str:
        """`artifacts[0].base64`, or a single field b64_json, image or base64."""
        rows = answer.get("artifacts") if isinstance(answer, dict) else None
        places = [row for row in rows[:1] if isinstance(row, dict)] if isinstance(rows, list) else []
        if isinstance(answer, dict):
            places.append(answer)
        for place in places:
            for key in ("base64", *_SINGLE):
                if isinstance(place.get(key), str) and place[key]:
                    return str(place[key])
        raise nothing_in(answer, "artifacts[0].base64")
