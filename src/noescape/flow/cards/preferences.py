"""What is the same each time, remembered once in the user's own config folder: a few allowed keys and nothing else.

Which keys there are, how each is asked for, and what is never remembered, is data (`assets/flow/first_time.yaml`).
The folder: NOESCAPE_CONFIG_DIR, else XDG_CONFIG_HOME/noescape, else ~/.config/noescape.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from noescape.files import parse_yaml, read_json_object, write_json
from noescape.flow.cards.card_parts import Option, Question
from noescape.records import UsageError, WorkError

FILE = "preferences.json"
_VERSION = 1
_SECRET = re.compile(r"token|secret|password|passwd|api_?key|access_?key|credential|bearer", re.IGNORECASE)
_CREDENTIALS_IN_URL = re.compile(r"://[^/\s]*@|[?&](x-amz-|x-goog-|sig=|signature=|token=|key=)", re.IGNORECASE)
_TOKENS = re.compile(r"\b(hf_[A-Za-z0-9]{16,}|nvapi-[\w-]{16,}|AKIA[0-9A-Z]{16}|ghp_\w{20,}|eyJ[\w-]{20,}\.)")


class Key(BaseModel):
    """One thing that may be remembered, and the question for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["text", "url", "choice"]
    ask: str
    options: tuple[Option, ...]
    words: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    optional: bool = False
    nothing: str = ""
    source: Literal["", "pools", "roles"] = Field(default="", alias="from")
    when: Literal["always", "forbidden", "never"] = "always"

    @property
    def question(self) -> Question:
        """As a card would ask it."""
        return Question(ask=self.ask, options=self.options)


@functools.cache
def _first_time() -> tuple[dict[str, Key], dict[str, str]]:
    name = "first_time.yaml"
    text = (resources.files("noescape.assets") / "flow" / name).read_text("utf-8")
    value = parse_yaml(text, name=name)
    return {key: Key.model_validate(entry) for key, entry in value["keys"].items()}, dict(value["never"])


def keys() -> dict[str, Key]:
    """Everything that may be remembered, in the order in which it is asked."""
    return dict(_first_time()[0])


def never() -> dict[str, str]:
    """What is never remembered, with the reason."""
    return dict(_first_time()[1])


def folder(environ: Mapping[str, str] | None = None) -> Path:
    """The user's config folder for noescape; it need not exist."""
    source = os.environ if environ is None else environ
    if own := source.get("NOESCAPE_CONFIG_DIR"):
        return Path(own).expanduser().absolute()
    shared = source.get("XDG_CONFIG_HOME", "")
    if Path(shared).is_absolute():  # the XDG rules: a relative one is ignored
        return Path(shared) / "noescape"
    return Path(source.get("HOME") or Path.home()) / ".config" / "noescape"


def read(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is remembered, for use: answers that mean there is nothing are left out. See `answered`."""
    return {key: value for key, value in answered(environ).items() if value != keys()[key].nothing}


def answered(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every answer: allowed keys only, whatever the file holds. UsageError when it is no such file."""
    path = folder(environ) / FILE
    if not path.is_file():
        return {}
    try:
        value = read_json_object(path, "remembered preferences")
    except WorkError as error:
        raise UsageError(f"{error}; remove it and run `noescape flow init` again") from None
    found = value.get("preferences")
    known = found if isinstance(found, dict) else {}
    return {
        key: text for key, text in known.items() if isinstance(text, str) and key in keys() and not problem(key, text)
    }


def remember(values: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Keep these beside what is remembered already (None forgets); every answer then.

    UsageError, with nothing written, for a key or a value that may not be kept. The file appears whole or not at all.
    """
    wrong = [f"{key}: {why}" for key, value in values.items() if (why := problem(key, value))]
    if wrong:
        raise UsageError("not remembered:\n  " + "\n  ".join(wrong))
    kept = {**answered(environ), **{key: value for key, value in values.items() if value is not None}}
    kept = {key: kept[key] for key in keys() if key in kept and values.get(key, "") is not None}
    write_json(folder(environ) / FILE, {"version": _VERSION, "preferences": kept})
    return kept


def problem(key: str, value: str | None) -> str:
    """Why this may not be remembered; empty when it may."""
    if key in never():
        return f"never remembered: {never()[key]}"
    if key not in keys():
        if _SECRET.search(key):
            return "secrets are never remembered; they come from the environment or from a credential of the cluster"
        return f"not a thing to remember; these are: {', '.join(keys())}"
    if value is None:
        return ""
    spec = keys()[key]
    if _CREDENTIALS_IN_URL.search(value) or _TOKENS.search(value):
        return "it holds a secret, which is never remembered; give the plain address"
    if not value.strip() or any(ord(char) < 32 for char in value):
        return f"expected one line of text, got {value!r}"
    if spec.type == "choice" and value not in spec.choices:
        return f"expected one of {', '.join(spec.choices)}, got {value!r}"
    return ""
