"""JSON files from outside: an object, of a bounded size, or one clear error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noescape.records import DataError, WorkError

MAX_JSON_BYTES = 256 << 20


def read_json_object(path: Path, what: str, *, error: type[WorkError] = DataError) -> dict[str, Any]:
    """The JSON object in `path`, a file of at most 256 MiB.

    Raises `error`, with the file, what was expected (`what`, in words) and what came, if it is anything else.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"larger than {MAX_JSON_BYTES} bytes")
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{path}: expected {what}, but it cannot be read as JSON ({reason})") from None
    if not isinstance(value, dict):
        raise error(f"{path}: expected {what}, a JSON object; it holds {type(value).__name__}")
    return value
