"""Labels by the names of prims: glob rules as cookbooks write them.

`**` stands for any characters, `*` for those of one segment, `?` for one of them; the whole path must match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import Field, field_validator

from noescape.board.scene.strict import Strict

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Rule(Strict):
    """`labels` for every prim whose path matches, and for all that lies under it."""

    match: Annotated[str, Field(min_length=1, max_length=4096)]
    labels: dict[Annotated[str, Field(pattern=r"^\w+$")], Text]

    @field_validator("labels")
    @classmethod
    def _some(cls, value: dict[str, str]) -> dict[str, str]:
        if not value:
            raise ValueError("a rule must give at least one label, as {class: pad}")
        return value


@lru_cache(maxsize=4096)
def pattern(glob: str) -> re.Pattern[str]:
    """The regular expression of a glob. Runs of `*` count as one `**`, so that no pattern can be slow."""
    parts = re.split(r"(\*+|\?)", glob)
    out = []
    for part in parts:
        if part.startswith("**"):
            out.append(r".*")
        elif part == "*":
            out.append(r"[^/]*")
        elif part == "?":
            out.append(r"[^/]")
        else:
            out.append(re.escape(part))
    return re.compile("".join(out) + r"\Z", re.DOTALL)


class Labels:
    """What the rules say of the prims on the way from the root down; ask for parents before their children.

    The last rule that matches a prim or one of the prims above it wins, label by label; rules win over what the stage
    itself says, wherever in the tree it says so. Without a rule, the label nearest above a prim is its own.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [(pattern(rule.match), rule.labels) for rule in rules]
        self._globs = [rule.match for rule in rules]
        self._used = [False] * len(self._rules)

    def matched(self, path: str, above: Mapping[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
        """Label -> (place of its rule, value) of a prim, from that of the prim above it."""
        out = dict(above)
        for place, (regex, labels) in enumerate(self._rules):
            if not regex.match(path):
                continue
            self._used[place] = True
            for key, value in labels.items():
                if key not in out or out[key][0] <= place:
                    out[key] = (place, value)
        return out

    def unused(self) -> tuple[str, ...]:
        """The globs that matched no prim."""
        return tuple(glob for glob, used in zip(self._globs, self._used) if not used)


def merged(authored: Mapping[str, str], ruled: Mapping[str, tuple[int, str]]) -> dict[str, str]:
    """Labels of one prim: the stage's, overruled by the rules'."""
    return {**authored, **{key: value for key, (_, value) in ruled.items()}}


def first_text(values: Iterable[object]) -> str:
    """Several values of one label as `a,b`, the form in which mask labels carry them."""
    return ",".join(str(v) for v in values)
