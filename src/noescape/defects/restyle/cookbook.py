"""The nested cookbook form of an image-edit configuration (`augmentation_config_ovsl2sl.yaml`), read as the flat one.

data                                  where images lie: taken from the command line instead
endpoints.image_edit.{url, model}     also as a list of {id, role: image_edit, url, model, adapter}
pipeline.retry
captioning.llm.text                   the prompt
augmentation.parameters               num_inference_steps, guidance_scale, seed, …, also under extra_body
data_processing.alignment             keys of `alignment`
data_processing.preprocessing.resize  keys of `resize`
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

SECTIONS = ("data", "endpoints", "pipeline", "captioning", "augmentation", "data_processing")
ADAPTERS = {"nim": "nim", "openai.images.edits": "images", "openai.chat.completions": "chat"}
_KNOWN: dict[str, tuple[str, ...]] = {
    "pipeline": ("retry", "regenerate_caption_on_retry", "logging"),
    "captioning": ("llm",),
    "captioning.llm": ("text",),
    "augmentation": ("model", "parameters"),
    "data_processing": ("alignment", "preprocessing"),
    "data_processing.preprocessing": ("resize",),
    "endpoint": ("id", "role", "url", "model", "adapter", "timeout", "api_key_env"),
}
_OWN = ("num_inference_steps", "guidance_scale", "seed")
_ALIAS = {"steps": "num_inference_steps", "cfg_scale": "guidance_scale"}


def is_cookbook(value: dict[Any, Any]) -> bool:
    """Whether this is the nested form: it has one of its sections."""
    return any(key in value for key in SECTIONS)


def unknown_keys(place: str, keys: Iterable[object], known: Iterable[str]) -> list[str]:
    """What there is to say about the unknown ones of `keys`, which stand at `place`: nothing, or one sentence with the
    known name most like each, and all known names once where one has none."""
    names = sorted(known)
    said, lost = [], False
    for key in (str(k) for k in keys if k not in names):
        like = difflib.get_close_matches(key, names, 1, cutoff=0.6)
        where = f"{place}.{key}" if place else key
        said.append(f"{where!r}" + (f" (did you mean {like[0]!r}?)" if like else ""))
        lost = lost or not like
    if not said:
        return []
    return ["unknown " + ("key " if len(said) == 1 else "keys ") + ", ".join(said)
            + (f"; known are {', '.join(names)}" if lost else "")]  # fmt: skip


def flattened(book: dict[Any, Any], problems: list[str]) -> dict[str, Any]:
    """The flat form of a cookbook; what is not understood is added to `problems`."""
    out: dict[str, Any] = {}
    problems += unknown_keys("", book, SECTIONS)
    _take_endpoint(book.get("endpoints"), out, problems)
    pipeline = _map(book, "pipeline", problems)
    if "retry" in pipeline:
        out["retry"] = pipeline["retry"]
    prompt = _map(_map(book, "captioning", problems), "llm", problems, "captioning.llm").get("text")
    if prompt is not None:
        out["prompt"] = prompt
    _take_parameters(_map(book, "augmentation", problems).get("parameters"), out, problems)
    processing = _map(book, "data_processing", problems)
    if "alignment" in processing:
        out["alignment"] = processing["alignment"]
    before = _map(processing, "preprocessing", problems, "data_processing.preprocessing")
    if "resize" in before:
        out["resize"] = before["resize"]
    return out


def _map(parent: dict[Any, Any], key: str, problems: list[str], place: str = "") -> dict[Any, Any]:
    place = place or key
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(f"{place}: expected a map, got {type(value).__name__}")
        return {}
    problems += unknown_keys(place, value, _KNOWN[place])
    return value


def _take_endpoint(value: Any, out: dict[str, Any], problems: list[str]) -> None:
    if value is None:
        return
    if isinstance(value, dict):
        rows = [value["image_edit"]] if value.get("image_edit") else []  # others speak to captions, not to images
    elif isinstance(value, list):
        rows = [row for row in value if isinstance(row, dict) and row.get("role") == "image_edit"]
    else:
        rows = [value]
    if len(rows) > 1 or not all(isinstance(row, dict) for row in rows):
        problems.append("endpoints: expected one endpoint of role image_edit, with url and model")
        return
    for row in rows:
        problems += unknown_keys("endpoints.image_edit", row, _KNOWN["endpoint"])
        for source, name in (("url", "endpoint"), ("model", "model"), ("timeout", "timeout_s"), ("api_key_env",) * 2):
            if row.get(source) is not None:
                out[name] = row[source]
        adapter = row.get("adapter")
        if adapter is not None and adapter not in ADAPTERS:
            expected = ", ".join(sorted(ADAPTERS))
            problems.append(f"endpoints.image_edit.adapter: expected one of {expected}, got {adapter!r}")
        elif adapter is not None:
            out["api"] = ADAPTERS[adapter]


def _take_parameters(value: Any, out: dict[str, Any], problems: list[str]) -> None:
    if value is None:
        return
    nested = value.get("extra_body") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(nested, dict | None):
        problems.append("augmentation.parameters: expected a map of the parameters of a request")
        return
    merged = {k: v for k, v in value.items() if k != "extra_body"} | (nested or {})
    own = {_ALIAS.get(str(k), str(k)): v for k, v in merged.items()}
    out.update({k: v for k, v in own.items() if k in _OWN})
    out["parameters"] = {k: v for k, v in own.items() if k not in _OWN}
