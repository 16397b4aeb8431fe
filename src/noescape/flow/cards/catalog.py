"""Which flows there are: the ones that ship, each by its file stem, and a user's own by path.

A flow may have a card and no workflow yet: it is planned. It can be shown and planned with, but not run.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from noescape.flow.cards.card import Card, read_card
from noescape.records import UsageError

CARD = ".card.yaml"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One flow: `stem` names it, `path` is its workflow file (None while it is planned), `card` what it says of itself.

    `place` is how commands call it: the stem of one that ships, the path of a user's own.
    """

    stem: str
    path: Path | None
    card: Card | None
    place: str

    @property
    def ready(self) -> bool:
        """Whether there is a workflow to run."""
        return self.path is not None


def configs() -> Path:
    """The folder of the flows that ship."""
    return Path(str(resources.files("noescape.assets") / "configs"))


def flows(folder: Path | None = None) -> tuple[Flow, ...]:
    """Every flow in the folder and in its `setup/`, in the order of their cards; UsageError when two share a stem."""
    places = _places(folder)
    return tuple(sorted((_shipped(stem, place) for stem, place in places.items()), key=_order))


def find(name: str, folder: Path | None = None) -> Flow:
    """The flow of this name (stem, alias) or path. UsageError with the nearest names when there is none.

    A path (with a separator or a suffix) is a user's own workflow; a card may lie beside it.
    """
    if "/" in name or name.endswith((".yaml", ".yml")) or Path(name).is_file():
        return _own(Path(name).expanduser())
    places = _places(folder)
    if name in places:
        return _shipped(name, places[name])
    for flow in flows(folder):
        if flow.card and name in flow.card.aliases:
            return flow
    names = sorted(places)
    near = difflib.get_close_matches(name, names, 2, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}."
    raise UsageError(
        f"no flow is called {name!r}; {hint} A file of your own is given by its path, such as ./{name}.yaml"
    )


def load_card(stem: str) -> Card:
    """The card of a shipped flow; UsageError when it has none."""
    flow = find(stem)
    if flow.card is None:
        raise UsageError(f"{stem} has no card ({stem}{CARD})")
    return flow.card


def planned(flow: Flow) -> str:
    """What to say to somebody who wants to run a planned flow."""
    ready = ", ".join(f.stem for f in flows() if f.ready and f.card and f.card.kind == "flow")
    return (
        f"{flow.stem} is planned: its card is here, its workflow is not, so it cannot run yet "
        f"(noescape flow plan {flow.stem} works). Ready to run: {ready or 'none'}"
    )


def cards_of(known: Iterable[Flow]) -> list[tuple[Flow, Card]]:
    """Those that have a card, with it."""
    return [(flow, flow.card) for flow in known if flow.card is not None]


def _places(folder: Path | None) -> dict[str, Path]:
    """The folder of each stem; nothing is read yet."""
    root = folder or configs()
    found: dict[str, Path] = {}
    for place in (root, root / "setup"):
        names = [p.name for p in place.glob("*.yaml")] if place.is_dir() else []
        for stem in {n.removesuffix(CARD) if n.endswith(CARD) else n.removesuffix(".yaml") for n in names}:
            if stem in found:
                raise UsageError(f"two flows are called {stem}: a stem is a name, rename one of them")
            found[stem] = place
    return found


def _shipped(stem: str, place: Path) -> Flow:
    path, card = place / f"{stem}.yaml", place / f"{stem}{CARD}"
    return Flow(
        stem=stem,
        path=path if path.is_file() else None,
        card=_cached(card, card.stat().st_mtime_ns) if card.is_file() else None,
        place=stem,
    )


@functools.lru_cache(maxsize=64)
def _cached(path: Path, changed: int) -> Card:
    return read_card(path)


def _own(path: Path) -> Flow:
    if path.name.endswith(CARD):
        raise UsageError(f"{path} is a card; give the workflow beside it, {path.name.removesuffix(CARD)}.yaml")
    if not path.is_file():
        raise UsageError(f"{path}: no such workflow file")
    card = path.with_name(path.stem + CARD)
    return Flow(stem=path.stem, path=path, card=read_card(card) if card.is_file() else None, place=str(path))


def _order(flow: Flow) -> tuple[int, str]:
    return (flow.card.order if flow.card else 999, flow.stem)
