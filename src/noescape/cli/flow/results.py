"""Where the results of a run lie, and how many of those asked for there are: its card knows, the store is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noescape.flow.format.load import Loaded

ROOT = "dig_url_root"


@dataclass(frozen=True, kw_only=True)
class Results:
    """`place` is a folder or url. `made` counts the results, None where nobody could; `asked` None: no number was."""

    places: tuple[str, ...]
    made: int | None = None
    asked: int | None = None

    def lines(self) -> list[str]:
        """For people."""
        from noescape.flow.cards.sizing import gave

        told = [f"results:          {place}" for place in self.places]
        if self.made is not None and self.asked is not None:
            told.append(gave(self.made, self.asked))
        elif self.made is not None:
            told.append(f"gave {self.made} result{'s' * (self.made != 1)}")
        return told

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"places": list(self.places), "made": self.made, "asked": self.asked}


def results_of(
    loaded: Loaded, base: Path, secrets: Mapping[str, Mapping[str, str]], wanted: int | None
) -> Results | None:
    """The results of a run that has ended. None for a workflow without a card, or without a place for results.

    A place that cannot be looked into costs the count, never the end of a run.
    """
    from noescape.flow.cards.catalog import find
    from noescape.flow.storage import absolute
    from noescape.records import NoescapeError

    try:
        card = find(str(loaded.path)).card
        root = str(loaded.variables.get(ROOT) or "")
        if card is None or not root:
            return None
        if card.output is None:
            there = (absolute(f"{root.rstrip('/')}/{path}", base) for path in card.provides)
            return Results(places=tuple(place for place in there if _there(place, secrets)))
        place = absolute(f"{root.rstrip('/')}/runs/{loaded.variables.get('name', '')}/{card.output.folder}", base)
        count = str(loaded.variables.get(card.output.count or "", ""))
        asked = wanted if wanted is not None else int(count) if count.isdecimal() else None
        return Results(places=(place,), made=_count(place, card.output.files, secrets), asked=asked)
    except (NoescapeError, OSError):
        return None


def _there(place: str, secrets: Mapping[str, Mapping[str, str]]) -> bool:
    from noescape.flow.storage import open_store

    return open_store(place, secrets=secrets).exists()


def _count(place: str, files: str, secrets: Mapping[str, Mapping[str, str]]) -> int | None:
    from noescape.flow.storage import open_store
    from noescape.records import NoescapeError

    try:
        return sum(1 for _ in open_store(place, secrets=secrets).entries(files))
    except (NoescapeError, OSError):
        return None
