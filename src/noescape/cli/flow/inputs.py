"""Before a run: is everything there that its tasks read, and if not, the command that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.flow.format.load import Loaded

ROOT = "dig_url_root"


def refuse_missing(loaded: Loaded, base: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
    """UsageError that names every folder or prefix which tasks read, which is not there and which no task writes, with
    its mend. A place that cannot be asked is left to the task that reads it."""
    from noescape.flow.format.load import require
    from noescape.flow.storage import absolute, open_store
    from noescape.records import NoescapeError, UsageError

    tasks = require(loaded).tasks
    written = [one.url.rstrip("/") for task in tasks for one in task.outputs]
    written += [one.place for task in tasks for one in task.checkpoint]  # empty before the first run
    lost: dict[str, list[str]] = {}
    for task in tasks:
        for url in (one.url for one in task.inputs if one.url is not None):
            if "{{" in url or any(f"{url.rstrip('/')}/".startswith(f"{w}/") for w in written):
                continue
            try:
                if not open_store(absolute(url, base), secrets=secrets).exists():
                    lost.setdefault(url, []).append(task.name)
            except NoescapeError:
                continue
    if lost:
        lines = [f"  {url} (read by {', '.join(who)})\n    mend: {_mend(loaded, url)}" for url, who in lost.items()]
        raise UsageError("\n".join(["nothing was started; this is not there:", *lines]))


def _mend(loaded: Loaded, url: str) -> str:
    from noescape.flow.cards.catalog import find
    from noescape.flow.cards.command import mend, supply
    from noescape.flow.cards.knobs import as_text

    path = Path(loaded.path)
    card = find(str(path)).card if path.with_name(f"{path.stem}.card.yaml").exists() else None
    values = {name: as_text(value) for name, value in loaded.variables.items() if isinstance(value, (str, int, float))}
    root = values.get(ROOT, "").rstrip("/")
    needed = card.required(values) if card else ()
    found = next((one for one in needed if url.rstrip("/") == f"{root}/{one.path}"), None)
    return mend(found.setup, found.path, values) if found else supply(url, values if card else {})
