"""Verdicts of checks that need not be made anew each time, with their day, in the user's config folder.

The pod template's verdict is a preference too, since `noescape flow init` may ask a person for it: it is kept there,
and only its day here. No value of any credential is among them: names and words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noescape.files import read_json_object, utc_stamp, write_json
from noescape.flow.cards import preferences
from noescape.flow.preflight.pod_template import KEY as POD_TEMPLATE
from noescape.records import NoescapeError

FILE = "verdicts.json"
_VERSION = 1


class Verdicts:
    """What is remembered in the config folder that `environ` names. A damaged file counts as none."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Nothing is read before it is asked for."""
        self._environ = environ
        self._path = preferences.folder(environ) / FILE

    def recall(self, key: str) -> tuple[str, str] | None:
        """Verdict and day (`2026-11-21`; `an earlier day` where only the verdict is known), or None."""
        row = self._rows().get(key)
        verdict, day = (row.get("verdict"), row.get("day")) if isinstance(row, dict) else (None, None)
        if key == POD_TEMPLATE:
            kept = preferences.read(self._environ).get(POD_TEMPLATE)
            verdict, day = kept, (day if kept == verdict else None)
        return (str(verdict), str(day or "an earlier day")) if verdict else None

    def remember(self, key: str, verdict: str | None) -> None:
        """Keep it with today's day; None forgets. The file appears whole or not at all."""
        rows = self._rows()
        rows.pop(key, None)
        if verdict is not None:
            rows[key] = {"verdict": verdict, "day": utc_stamp()[:10]}
        if key == POD_TEMPLATE and preferences.read(self._environ).get(POD_TEMPLATE) != verdict:
            preferences.remember({POD_TEMPLATE: verdict}, self._environ)
        if rows or self._path.exists():
            write_json(self._path, {"version": _VERSION, "verdicts": dict(sorted(rows.items()))})

    def _rows(self) -> dict[str, Any]:
        if not self._path.is_file():
            return {}
        try:
            found = read_json_object(self._path, "remembered verdicts").get("verdicts")
        except NoescapeError:
            return {}
        return dict(found) if isinstance(found, dict) else {}
