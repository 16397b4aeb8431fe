"""Ask a vision model behind an OpenAI-compatible endpoint where on an image a defect belongs.

GET  <base>/models            must list the model
POST <base>/chat/completions  {"model", "messages": [system, user: image as data URL and the prompt], "temperature": 0}
     -> choices[0].message.content holds JSON: [{"bbox_2d": [x0, y0, x1, y1], "label": "…"}], coordinates 0..1000
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.imaging import fit_within, png_bytes
from noescape.records import Box, UsageError, WorkError

KEY_VARIABLE = "NOESCAPE_VISION_KEY"
MAX_ANSWER = 1 << 20
MAX_SIDE = 1280  # of the image as it is sent
TASK = (
    "You find regions in images of parts. Answer with a JSON array alone: "
    '[{"bbox_2d": [x0, y0, x1, y1], "label": "name"}], the tightest box around each region that is asked for, in whole '
    "numbers from 0 to 1000 of the width and of the height. Answer [] where there is none."
)


class VisionError(WorkError):
    """The endpoint was given and does not do its work; nothing stands in for it.

    `again` says that the same request may succeed later.
    """

    again = False


@dataclass(frozen=True, kw_only=True)
class VisionEndpoint:
    """`base` ends where `/chat/completions` begins (often `…/v1`). The key, if needed, is in NOESCAPE_VISION_KEY."""

    base: str
    model: str
    timeout_s: float = 120.0
    tries: int = 3
    wait_s: float = 1.0

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.base)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is none, brackets that do not close
            sound = False
        if not sound or re.search(r"[\s?#@\x00-\x1f]", self.base):
            raise UsageError(
                "the vision endpoint must be a http:// or https:// address up to …/v1, with no name, password or query"
            )
        if not self.model.strip():
            raise UsageError("the vision endpoint needs the id of its model")

    def check(self) -> None:
        """VisionError unless the endpoint answers and lists the model."""
        answer = self._ask("GET", "/models", None)
        rows = answer.get("data") if isinstance(answer, dict) else None
        names = [str(row.get("id")) for row in rows or [] if isinstance(row, dict)]
        if self.model not in names:
            raise VisionError(
                f"{self._name}: expected the model {self.model!r}, it serves {', '.join(names[:8]) or 'none'}; "
                "no other is taken in its place"
            )

    def find(self, rgb: npt.NDArray[np.uint8], prompt: str) -> list[Box]:
        """Boxes in pixels of the image, in the order of the answer; [] where the model sees none.

        VisionError when the endpoint fails after its tries, or answers something that holds no boxes.
        """
        height, width = rgb.shape[:2]
        small = fit_within(rgb, MAX_SIDE)
        url = "data:image/png;base64," + base64.b64encode(png_bytes(small)).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
        body = {
            "model": self.model,
            "messages": [{"role": "system", "content": TASK}, {"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": 1024,
        }
        answer = self._ask("POST", "/chat/completions", body)
        try:
            text = answer["choices"][0]["message"]["content"]
            return boxes_in(text if isinstance(text, str) else json.dumps(text), width, height)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise VisionError(f"{self._name}: its answer holds no boxes ({error}); expected {TASK[49:112]}…") from None

    @property
    def _name(self) -> str:
        parts = urllib.parse.urlsplit(self.base)
        return f"vision endpoint {parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        for number in range(1, self.tries + 1):
            try:
                return self._once(method, path, body)
            except VisionError as error:
                if number == self.tries or not error.again:
                    raise
                time.sleep(self.wait_s * 2 ** (number - 1))
        raise AssertionError

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE]}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base.rstrip("/") + path, data, headers, method=method)  # noqa: S310
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=self.timeout_s) as response:
                raw = _read_within(response.read1, self.timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode("utf-8", "replace")
            raise self._failed(f"answered {error.code} to {method} {path}: {_short(said)}", error.code) from None
        except (OSError, ValueError, _TooMuchError) as error:
            reason = getattr(error, "reason", None) or error
            raise self._failed(f"{method} {path} failed ({_short(str(reason))})", 0) from None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise self._failed(f"answered {method} {path} with something that is no JSON", None) from None

    def _failed(self, what: str, code: int | None) -> VisionError:
        error = VisionError(f"{self._name} {what}")
        error.again = code is not None and (code == 0 or code == 429 or code >= 500)
        return error


def boxes_in(text: str, width: int, height: int) -> list[Box]:
    """Boxes in pixels out of a model's answer: a JSON array, alone, in a fence, or after its thoughts.

    ValueError where there is no array; entries that are no boxes of at least a pixel are left out.
    """
    tail = text.rpartition("</think>")[2]
    start, end = tail.find("["), tail.rfind("]")
    if start < 0 or end < start:
        raise ValueError(f"no JSON array in {_short(text)!r}")
    value = json.loads(tail[start : end + 1])
    rows = [value] if len(value) == 4 and all(isinstance(v, int | float) for v in value) else value
    found = []
    for row in rows:
        numbers = row.get("bbox_2d", row.get("bbox")) if isinstance(row, dict) else row
        if isinstance(numbers, list) and len(numbers) == 4 and all(_is_number(v) for v in numbers):
            xs, ys = sorted((numbers[0], numbers[2])), sorted((numbers[1], numbers[3]))
            (x0, x1), (y0, y1) = ([min(max(v, 0), 1000) / 1000 for v in pair] for pair in (xs, ys))
            box = (round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height))
            if box[2] > box[0] and box[3] > box[1]:
                found.append(box)
    if rows and not found:
        raise ValueError(f"no box in {_short(text)!r}")
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The image and the key go to the address that was given and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _TooMuchError(Exception):
    """More came than is read."""


def _read_within(read: Callable[[int], bytes], seconds: float) -> bytes:
    """At most MAX_ANSWER bytes in at most so many seconds, however slowly they drip."""
    end, out = time.monotonic() + seconds, b""
    while chunk := read(65536):
        out += chunk
        if len(out) > MAX_ANSWER:
            raise _TooMuchError(f"more than {MAX_ANSWER} bytes came")
        if time.monotonic() > end:
            raise _TooMuchError(f"it took more than {seconds:g} s")
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()[:160]
