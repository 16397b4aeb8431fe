"""What one check found, and everything that the checks look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from noescape.flow.cards.card import Card
    from noescape.flow.cards.catalog import Flow
    from noescape.flow.format.spec import Workflow
    from noescape.flow.machine import Machine
    from noescape.flow.secrets.credentials import Credentials

Status = Literal["ok", "missing", "warning", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the result. `missing` stops a run; `warning` does not; `unknown`: not asked. `mend`: what to do."""

    check: str
    name: str
    status: Status
    detail: str
    mend: str = ""


class Memory(Protocol):
    """Verdicts that hold longer than one command, each with the day it was reached."""

    def recall(self, key: str) -> tuple[str, str] | None:
        """Verdict and day (`2026-11-21`), or None."""

    def remember(self, key: str, verdict: str | None) -> None:
        """Keep `verdict` with the date of today; None forgets."""


class Forgetful:
    """Remembers nothing: for checks that must not leave a trace."""

    def recall(self, key: str) -> tuple[str, str] | None:
        """Nothing."""
        return None

    def remember(self, key: str, verdict: str | None) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One start of a flow: with which values, where, and how far the checks may go.

    `values` are all knobs as text, `workflow` what the file says with them (None: it could not be read, or is planned).
    `probe` False: nothing leaves this machine. `base`: what relative folders are relative to. `runs`: where runs lie.
    """

    flow: Flow
    card: Card | None
    values: Mapping[str, str]
    workflow: Workflow | None
    target: Literal["local", "osmo"]
    pool: str | None
    probe: bool
    base: Path
    runs: Path
    credentials: Credentials
    machine: Machine
    environ: Mapping[str, str]
    memory: Memory = field(default_factory=Forgetful)

    def ok(self, check: str, name: str, detail: str) -> Finding:
        """A finding that is fine."""
        return Finding(check=check, name=name, status="ok", detail=detail)


NOT_ASKED = "not asked (--no-probe)"
