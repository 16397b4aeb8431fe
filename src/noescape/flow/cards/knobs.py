"""Values of knobs: how they read as text, and whether one fits its type and range."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from noescape.flow.format.units import parse_size

if TYPE_CHECKING:
    from noescape.flow.cards.card_parts import Knob

# `place` is where data lies, `url` the address of a service.
Scalar = bool | int | float | str | None
Type = Literal["int", "float", "text", "bool", "choice", "list", "json", "place", "url", "size"]
_BOOLS = ("true", "false")
_SERVICE = re.compile(r"https?://[^\s/@]+(/\S*)?")


def as_text(value: object) -> str:
    """A value as it is written on a command line: true, false, 5, 0.25, text; None is the empty text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def problem_with(knob: Knob, text: str) -> str:
    """What is wrong with this value for this knob, in words; empty when it fits."""
    if text in knob.words:
        return ""
    wrong = _wrong_type(knob, text)
    if not wrong:
        return ""
    words = "; or " + ", ".join(f"{w!r} ({meaning})" for w, meaning in knob.words.items()) if knob.words else ""
    return f"expected {wrong}{words}; got {text!r}"


def _wrong_type(knob: Knob, text: str) -> str:
    if knob.type in ("int", "float"):
        return _wrong_number(knob, text)
    if knob.type == "bool":
        return "" if text in _BOOLS else "true or false"
    if knob.type == "choice":
        return "" if text in knob.choices else "one of " + ", ".join(knob.choices)
    if knob.type == "list":
        entries = text.split(",")
        good = all(entry in knob.choices for entry in entries) and len(entries) == len(set(entries))
        return "" if good else "one or more, each once and with commas between, of " + ", ".join(knob.choices)
    if knob.type == "json":
        return "" if _is_json(text) else "JSON"
    if knob.type == "size":
        try:
            parse_size(text)
        except ValueError:
            return "a size such as 8Gi"
        return ""
    if knob.type == "url":
        return "" if _SERVICE.fullmatch(text) else "the address of a service, http://… or https://…"
    return "" if text.strip() else "a folder or s3:// gs:// azure://" if knob.type == "place" else "a value"


def _wrong_number(knob: Knob, text: str) -> str:
    kind = "a whole number" if knob.type == "int" else "a number"
    span = f"{kind}{_range(knob)}"
    try:
        value = int(text) if knob.type == "int" else float(text)
    except ValueError:
        return span
    low, high = knob.min, knob.max
    return span if (low is not None and value < low) or (high is not None and value > high) or value != value else ""


def _range(knob: Knob) -> str:
    low, high = (f"{v:g}" if v is not None else None for v in (knob.min, knob.max))
    if low and high:
        return f" from {low} to {high}"
    return f" of {low} or more" if low else f" of {high} or less" if high else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def keeps_its_text(text: str) -> bool:
    """Whether `--set` hands this value on unchanged: text that reads as a number comes out in the number's own form."""
    for cast in (int, float):
        try:
            return str(cast(text)) == text
        except ValueError:
            continue
    return True


def merged(*layers: Mapping[str, object]) -> dict[str, str]:
    """Values as text, later layers over earlier ones."""
    return {name: as_text(value) for layer in layers for name, value in layer.items()}
