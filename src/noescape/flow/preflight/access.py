"""Are the credentials there that the tasks will ask for: as variables here, by name on the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from noescape.flow.cards.card import holds
from noescape.flow.preflight.finding import NOT_ASKED, Finding, Situation
from noescape.flow.secrets.credentials import Need, needs

if TYPE_CHECKING:
    from noescape.flow.cluster.osmo import Osmo

CHECK = "credentials"


def wanted(s: Situation) -> dict[Need, str]:
    """What the card names for this target, then what the tasks name besides; each with who or what needs it."""
    found: dict[Need, list[str]] = {}
    for c in s.card.credentials if s.card else ():
        if c.target in (s.target, "both") and holds(c.when, s.values):
            found.setdefault(Need(credential=c.name, variable=c.variable, key=c.key), []).append(c.why)
    for task in s.workflow.tasks if s.workflow else ():
        for need in needs(task):
            found.setdefault(need, []).append(f"task {task.name}")
    return {need: ", ".join(dict.fromkeys(words)) for need, words in found.items()}


def here(s: Situation) -> Iterator[Finding]:
    """For a run on this machine: the environment and the `.env` file."""
    for warning in s.credentials.warnings:
        detail, _, mend = warning.partition(": ")
        yield Finding(check=CHECK, name="env file", status="warning", detail=detail, mend=mend)
    for need, why in wanted(s).items():
        lack = s.credentials.lack(need)
        part = f"key {need.key}" if need.variable else f"files in {need.mount}"
        if lack is None:
            yield s.ok(CHECK, need.credential, f"{part}: found, for {why}")
        else:
            yield Finding(
                check=CHECK, name=need.credential, status="missing", detail=f"{part}: needed for {why}", mend=lack[1]
            )


def on_cluster(s: Situation, osmo: Osmo | None) -> Iterator[Finding]:
    """By name, as the cluster lists them; values are never asked for. Without `osmo`: what is remembered."""
    needed: dict[str, tuple[Need, str]] = {}
    for need, why in wanted(s).items():
        needed.setdefault(need.credential, (need, why))
    have = {name.casefold() for name in _names(osmo)} if osmo and needed else set()
    for name, (need, why) in needed.items():
        key = f"credential {name}"
        if osmo is None:
            before = s.memory.recall(key)
            detail = f"{NOT_ASKED}; {before[0]} on {before[1]}" if before else NOT_ASKED
            yield Finding(check=CHECK, name=name, status="ok" if before else "unknown", detail=detail)
        elif name.casefold() in have:
            s.memory.remember(key, "verified")
            yield s.ok(CHECK, name, f"is set on the cluster, for {why}")
        else:
            payload = f"{need.key or 'KEY'}=FILE_THAT_HOLDS_IT"
            mend = f"osmo credential set {name} --type GENERIC --payload-file {payload}"
            yield Finding(check=CHECK, name=name, status="missing", detail=f"is not set; for {why}", mend=mend)


def _names(osmo: Osmo) -> list[str]:
    rows = osmo.credentials()
    return [str(row.get("cred_name") or row.get("credential_name") or row.get("name") or "") for row in rows]
