"""A YAML mapping as a typed record; one error says all that does not fit: the key, the file, the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from noescape.files import load_yaml
from noescape.records import UsageError


class Strict(BaseModel):
    """A part of a cookbook: no unknown keys, frozen, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. UsageError where it is no mapping, or a key is no text."""
    found = load_yaml(path)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected keys and values, got {type(found).__name__}")
    for key in found:
        if not isinstance(key, str):
            raise UsageError(f"{path}: the key {key!r} must be text")
    return found


def typed(model: type[M], values: Mapping[str, Any], where: Path | str, elsewhere: Mapping[str, str]) -> M:
    """`values` as a `model`. `elsewhere` says of a key that is known but not taken here, what to do with it.

    UsageError lists everything that is wrong, one line each.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        lines = [_line(model, one, elsewhere) for one in error.errors()]
    raise UsageError(f"{where}: " + "; ".join(dict.fromkeys(lines)))


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or the known names where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"


def _line(model: type[BaseModel], one: Any, elsewhere: Mapping[str, str]) -> str:
    place = tuple(one["loc"])
    name = ".".join(str(p) for p in place)
    if one["type"] != "extra_forbidden":
        got = "" if one["type"] == "missing" else f" (got {_short(one['input'])})"
        return f"{name}: {one['msg'].removeprefix('Value error, ')}{got}"
    key = str(place[-1])
    if len(place) == 1 and key in elsewhere:
        return f"{name}: {elsewhere[key]}"
    return f"{name}: unknown key; {nearest(key, _fields(model, place[:-1]))}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _fields(model: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    """The names that are known at a place; maps and lists are looked through."""
    for step in place:
        if isinstance(step, int) or step not in model.model_fields:
            continue
        inner = _model_in(model.model_fields[step].annotation)
        if inner is not None:
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
