"""The key of a service: from the environment into one header, and out of every message."""

from __future__ import annotations

import base64
import json
import os
from urllib.parse import quote, quote_plus

from noescape.records import UsageError

HIDDEN = "***"
_LEAST = 8  # encodings of shorter values are too common to look for


class Secret:
    """A key that can be sent and taken out of text, but not printed. Empty: there is none."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN if self._value else ''})"

    def header(self) -> dict[str, str]:
        """The header that carries it, or none."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """`text` with the key as ***, also where it is percent-encoded, escaped as in JSON, or in base64; control
        characters become blanks, so that a service cannot write over a terminal."""
        for form in self._forms():
            text = text.replace(form, HIDDEN)
        return "".join(c if c.isprintable() else " " for c in text)

    def _forms(self) -> list[str]:
        value = self._value
        if not value:
            return []
        out = {value}
        if len(value) >= _LEAST:
            out |= {
                quote(value, safe=""),
                quote_plus(value),
                json.dumps(value)[1:-1],
                json.dumps(value, ensure_ascii=False)[1:-1],
            }
            out |= {_middle(before + value, len(before)) for before in ("", "x", "xx")}
        return sorted(out - {""}, key=len, reverse=True)


def _middle(text: str, before: int) -> str:
    """The characters of base64 that depend on the key alone, whatever stands around it."""
    data = text.encode("utf-8", "surrogateescape")
    whole = base64.b64encode(data).decode("ascii")
    return whole[-(-before * 8 // 6) : len(data) * 8 // 6]


def key_from(variable: str) -> Secret:
    """The key in an environment variable; none if it is unset or empty."""
    value = os.environ.get(variable, "").strip()
    if not value.isprintable() or not value.isascii():
        raise UsageError(f"{variable} holds characters that no key has; set it anew")
    return Secret(value)
