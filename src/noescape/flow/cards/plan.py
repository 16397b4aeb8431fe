"""The plan of a run: everything a person needs before it starts, as facts first and as text from the same facts.

Needs no cluster and no workflow file: a planned flow has a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from noescape.flow.cards.card import Card, Required
from noescape.flow.cards.card_parts import Profile
from noescape.flow.cards.catalog import find, planned
from noescape.flow.cards.command import is_for_a_cluster, mend, ours, theirs, workflow_file
from noescape.flow.cards.resolve import Resolved
from noescape.flow.cards.sizing import expected, table_for
from noescape.flow.storage import url_problem
from noescape.records import UsageError


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An artifact that must be there, and the command that makes it when it is not."""

    path: str
    holds: str
    setup: str
    state: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What will come out and what it costs; `count` None where nobody knows it before the run."""

    count: int | None
    wanted: int | None
    count_note: str
    time: str
    exec_timeout: str
    queue_timeout: str
    disk: str
    disk_note: str
    sizes: dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All facts of a plan. `submit` and `osmo` are None where the root is a folder, with the reason in `no_submit`."""

    flow: str
    title: str
    kind: str
    state: str
    workflow: str
    makes: str
    steps: tuple[str, ...]
    classes: tuple[str, ...]
    usecase: str
    name: str
    knobs: dict[str, str]
    preflights: tuple[str, ...]
    root: str
    artifacts: tuple[Wanted, ...]
    provides: tuple[str, ...]
    submit: str | None
    osmo: str | None
    no_submit: str
    run: str
    monitoring: dict[str, str]
    quiet_s: dict[str, int]
    output: str
    output_files: str
    output_holds: str
    fetch: str
    expected: Expected
    settled: dict[str, str]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def plan(resolved: Resolved, *, pool: str | None = None) -> Plan:
    """The plan of a decided run. UsageError for a flow without a card."""
    flow, card, values = resolved.flow, resolved.flow.card, resolved.values
    if card is None:
        raise UsageError(
            f"{flow.place} has no card, so there is nothing to plan with; `noescape flow validate` checks it"
        )
    root, name = values.get("dig_url_root", ""), values.get("name", "")
    cluster = is_for_a_cluster(root)
    sets, texts = resolved.sets, resolved.string_sets
    output = _output(card, root, name)
    return Plan(
        flow=flow.stem,
        title=card.title,
        kind=card.kind,
        state="ready" if flow.ready else "planned",
        workflow=str(workflow_file(flow)),
        makes=card.makes,
        steps=card.steps,
        classes=resolved.classes,
        usecase=values.get(card.usecase_knob or "", ""),
        name=name,
        knobs={knob: values.get(knob, "") for knob in card.knobs},
        preflights=_preflights(resolved, cluster, pool),
        root=root,
        artifacts=tuple(_wanted(r, values, pool) for r in card.required(values)),
        provides=card.provides,
        submit=ours("submit", flow, sets, texts, pool=pool) if cluster else None,
        osmo=theirs(flow, sets, texts, pool=pool) if cluster else None,
        no_submit="" if cluster else f"{url_problem(root, 'osmo')}",
        run=ours("run", flow, sets, texts),
        monitoring={
            "watch": "noescape flow watch ID",
            "status": "noescape flow status ID --json",
            "logs": "noescape flow logs ID -t TASK",
            "cancel": "noescape flow cancel ID",
        },
        quiet_s=dict(card.quiet),
        output=output,
        output_files=card.output.files if card.output else "",
        output_holds=card.output.holds if card.output else ", ".join(card.provides),
        fetch="noescape flow fetch ID DEST" if card.output else "",
        expected=_expected(card, resolved),
        settled=dict(card.settled),
        notes=(*resolved.notes, *card.notes, *(() if flow.ready else (planned(flow),))),
    )


def _preflights(resolved: Resolved, cluster: bool, pool: str | None) -> tuple[str, ...]:
    flow = resolved.flow
    target = "osmo" if cluster else "local"
    given = (resolved.sets, resolved.string_sets)
    lines = [f"{ours('preflight', flow, *given, pool=pool if cluster else None)} --for {target}"]
    needs = _profile(flow.card, resolved.values)
    if cluster and needs and (needs.nvoptix or needs.shm):
        lines.append("noescape flow preflight pod-template")
    if flow.ready:
        lines.append(f"{ours('validate', flow, *given)} --for {target}")
    return tuple(lines)


def _wanted(required: Required, values: Mapping[str, str], pool: str | None) -> Wanted:
    return Wanted(
        path=required.path,
        holds=required.holds,
        setup=required.setup,
        state=_state(required.setup),
        command=mend(required.setup, required.path, values, pool=pool),
    )


def _state(setup: str) -> str:
    """Of a setup flow: `own` where the user brings the files himself."""
    try:
        return "ready" if find(setup).ready else "planned"
    except UsageError:
        return "own"


def _output(card: Card, root: str, name: str) -> str:
    base = root.rstrip("/") or "/"
    if card.output is None:
        return f"{base}/"
    return f"{base}/runs/{name}/{card.output.folder}/"


def _expected(card: Card, resolved: Resolved) -> Expected:
    count, note = _count(card, resolved)
    profile = _profile(card, resolved.values)
    limits = card.timeouts
    return Expected(
        count=count,
        wanted=resolved.wanted,
        count_note=note,
        time=card.time,
        exec_timeout=limits.exec if limits else "",
        queue_timeout=limits.queue if limits else "",
        disk=(profile.disk or "") if profile else "",
        disk_note=(profile.disk_note or "not measured here") if profile else "not measured here",
        sizes={stage: r.model_dump() for stage, r in profile.stages.items()} if profile else {},
    )


def _count(card: Card, resolved: Resolved) -> tuple[int | None, str]:
    values = resolved.values
    if card.output is None:
        return None, "no results of its own: it puts artifacts in place"
    if card.output.count:
        return int(values[card.output.count]), f"the knob {card.output.count}"
    table = table_for(card, values)
    if table is None:
        return None, "not known before the run" if not card.yields else "never measured for these settings"
    setting = values.get(table.knob, "")
    if not setting.isdecimal():
        meaning = card.knobs[table.knob].words.get(setting, "")
        cut = resolved.wanted if _is_cut(card, values) else None
        return cut, f"{'at most, ' if cut else 'not known before the run, '}{table.knob}={setting}: {meaning}"
    about = expected(table, int(setting), values)
    asked = f", {resolved.wanted} asked for" if resolved.wanted is not None else ""
    if _is_cut(card, values) and resolved.wanted is not None:
        return resolved.wanted, f"cut to that many; {table.knob}={setting} gives {about:.0f} or more"
    return round(about), f"about, for {table.knob}={setting}{asked}; {table.source}"


def _is_cut(card: Card, values: Mapping[str, str]) -> bool:
    return any(intent.cut and values.get(intent.cut, "").isdecimal() for intent in card.intents.values())


def _profile(card: Card | None, values: Mapping[str, str]) -> Profile | None:
    return card.profiles.get(values.get("profile", "")) if card else None
