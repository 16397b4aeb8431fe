"""A plan as text with labelled sections, the same each time, so that nothing gets lost in the middle."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from noescape.flow.cards.plan import Plan

WIDTH = 100
SECTIONS = (
    "Workflow",
    "Preflights",
    "Required URL Artifacts",
    "Submit Command",
    "Run Command",
    "Monitoring",
    "Output Location",
    "Expected",
    "Settings",
    "Notes",
)


def plan_text(plan: Plan) -> str:
    """Every section with its label; commands stand on one line each, however long, so that they can be copied."""
    bodies = {
        "Workflow": _workflow(plan),
        "Preflights": iter(plan.preflights),
        "Required URL Artifacts": _artifacts(plan),
        "Submit Command": _submit(plan),
        "Run Command": _run(plan),
        "Monitoring": _monitoring(plan),
        "Output Location": _output(plan),
        "Expected": _expected(plan),
        "Settings": _settings(plan),
        "Notes": _wrapped(plan.notes, "- "),
    }
    lines = []
    for label in SECTIONS:
        body = list(bodies[label])
        title = f"{label} under {plan.root}:" if label == "Required URL Artifacts" else f"{label}:"
        if body:
            lines += [title, *(f"  {line}" for line in body), ""]
    return "\n".join(lines).rstrip() + "\n"


def _workflow(plan: Plan) -> Iterator[str]:
    yield f"{plan.flow} ({plan.title}; {plan.state})"
    yield plan.workflow
    yield from _wrapped((f"makes {plan.makes}",), "")
    if plan.usecase or plan.classes:
        yield "; ".join(part for part in (plan.usecase, ", ".join(plan.classes)) if part)
    yield from (f"{number}. {step}" for number, step in enumerate(plan.steps, 1))


def _artifacts(plan: Plan) -> Iterator[str]:
    if not plan.artifacts:
        yield "none"
        return
    width = max(len(artifact.path) for artifact in plan.artifacts)
    for artifact in plan.artifacts:
        yield f"{artifact.path:<{width}}  {artifact.holds}"
    yield "what is not there is made by, in this order:"
    makers = {a.command: a.state for a in sorted(plan.artifacts, key=lambda a: a.path.startswith("models/"))}
    for command, state in makers.items():  # models are fitted to data, so they come last
        yield f"  {command}{'   # planned' if state == 'planned' else ''}"


def _submit(plan: Plan) -> Iterator[str]:
    if plan.submit is None or plan.osmo is None:
        yield f"none: {plan.no_submit}"
        return
    yield plan.submit
    yield "the same by the cluster's own command:"
    yield plan.osmo


def _run(plan: Plan) -> Iterator[str]:
    yield plan.run


def _monitoring(plan: Plan) -> Iterator[str]:
    width = max(len(command) for command in plan.monitoring.values())
    meanings = {
        "watch": "a live table, until the end; ID is what run and submit print",
        "status": "once, for programs",
        "logs": "of one task; the last lines are enough",
        "cancel": "asks first",
    }
    for key, command in plan.monitoring.items():
        yield f"{command:<{width}}  {meanings[key]}"
    if plan.quiet_s:
        quiet = ", ".join(f"{task} {seconds // 60} min" for task, seconds in plan.quiet_s.items())
        yield from _wrapped((f"silence up to this long is no trouble: {quiet} (docs/monitoring.md)",), "")


def _output(plan: Plan) -> Iterator[str]:
    yield plan.output
    yield from _wrapped((plan.output_holds,), "")
    if plan.fetch:
        yield plan.fetch


def _expected(plan: Plan) -> Iterator[str]:
    facts = plan.expected
    results = facts.count_note if facts.count is None else f"{facts.count} ({facts.count_note})"
    yield from _wrapped((f"results  {results}",), "")
    limit = (
        f"; a group of tasks may run {facts.exec_timeout} and wait {facts.queue_timeout}" if facts.exec_timeout else ""
    )
    yield from _wrapped((f"time     {facts.time}{limit}",), "")
    yield from _wrapped((f"disk     {facts.disk + ': ' if facts.disk else ''}{facts.disk_note}",), "")
    for stage, size in facts.sizes.items():
        yield f"size     {stage}: {size['cpu']} cores, {size['memory']}, {size['gpu']} GPU"


def _settings(plan: Plan) -> Iterator[str]:
    width = max(map(len, plan.knobs), default=0)
    for knob, value in plan.knobs.items():
        settled = "" if knob not in plan.settled else "   (settled)"
        yield f"{knob:<{width}}  {value!r}{settled}" if value == "" else f"{knob:<{width}}  {value}{settled}"


def _wrapped(lines: tuple[str, ...], mark: str) -> Iterator[str]:
    for line in lines:
        for part in line.split("\n"):
            yield from textwrap.wrap(
                part,
                WIDTH - 2,
                initial_indent=mark,
                subsequent_indent=" " * len(mark),
                break_long_words=False,
                break_on_hyphens=False,
            )
