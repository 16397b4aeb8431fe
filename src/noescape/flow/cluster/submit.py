"""Before a workflow goes to the cluster: everything that can be checked here is checked here, then one call.

The cluster sees only what would run: no folders of this machine, nothing left open, and a name of its own per
submission, so that two of them never write into one output folder.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noescape.flow.cluster.osmo import PRIORITIES, Osmo, Submitted
from noescape.flow.format.spec import MAX_NAME
from noescape.records import UsageError

if TYPE_CHECKING:
    from noescape.flow.format.spec import Workflow

NAME_KNOB = "name"
ROOT_KNOB = "dig_url_root"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What will be submitted: valid for the cluster as far as can be known without it."""

    file: Path
    name: str
    pool: str | None
    sets: tuple[str, ...]
    string_sets: tuple[str, ...]
    priority: str | None = None
    warnings: tuple[str, ...] = ()


def stamped(stem: str) -> str:
    """`<flow>-<8 hex>`, different each time, and a name that the format accepts whatever the file is called."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")
    if not plain[:1].isalpha():
        plain = f"flow-{plain}".rstrip("-")
    return f"{plain[: MAX_NAME - 9].rstrip('-_')}-{secrets.token_hex(4)}"


def prepare(
    file: Path,
    *,
    stem: str,
    pool: str | None = None,
    sets: Sequence[str] = (),
    string_sets: Sequence[str] = (),
    priority: str | None = None,
    required: Iterable[str] = (),
) -> Submission:
    """Check all of it offline. UsageError with every problem (file, line, mend) if the cluster would not run it.

    `required`: knobs that must be given. `name` is stamped unless it is among the sets.
    """
    from noescape.flow.format.load import load, require

    if priority is not None and priority.upper() not in PRIORITIES:
        raise UsageError(f"--priority: expected {', '.join(PRIORITIES)}, got {priority!r}")
    given = _names(sets) | _names(string_sets)
    all_sets = tuple(sets)
    if NAME_KNOB not in given:
        all_sets = (f"{NAME_KNOB}={stamped(stem)}", *all_sets)
    loaded = load(file, sets=all_sets, string_sets=tuple(string_sets), target="osmo", required=tuple(required))
    workflow = require(loaded)
    warnings = [str(problem) for problem in loaded.problems]
    if NAME_KNOB not in given and f"{NAME_KNOB}={workflow.name}" not in all_sets:
        warnings.append(f"{file}: its name is always {workflow.name}; with {{{{ name }}}} each submission has its own")
    if problems := folder_problems(workflow, (*all_sets, *string_sets)):
        raise UsageError("\n".join(problems))
    return Submission(
        file=file,
        name=workflow.name,
        pool=pool or workflow.pool,
        sets=all_sets,
        string_sets=tuple(string_sets),
        priority=priority.upper() if priority else None,
        warnings=tuple(warnings),
    )


def folder_problems(workflow: Workflow, sets: Iterable[str]) -> list[str]:
    """Addresses that only this machine knows, each in one line with its mend."""
    from noescape.flow.storage import url_problem

    found = []
    for item in sets:
        knob, _, value = item.partition("=")
        if knob == ROOT_KNOB and (problem := url_problem(value, "osmo")):
            found.append(f"--set {knob}={value}: {problem}")
    for task in workflow.tasks:
        urls = [i.url for i in task.inputs] + [o.url for o in task.outputs] + [c.url for c in task.checkpoint]
        for url in urls:
            if url is not None and (problem := url_problem(url, "osmo")):
                found.append(f"task {task.name}: {url}: {problem}")
    return list(dict.fromkeys(found))


def choose_pool(submission: Submission, osmo: Osmo) -> str:
    """The pool that was asked for, else the default one of the profile; UsageError with the accessible ones if none."""
    if submission.pool:
        return submission.pool
    profile = osmo.profile()
    settings, pools = profile["profile"], profile["pools"]
    default = settings.get("pool") if isinstance(settings, dict) else None
    if isinstance(default, str) and default:
        return default
    names = ", ".join(str(name) for name in pools) if isinstance(pools, list) and pools else "none that you may use"
    raise UsageError(f"which pool? --pool POOL, or `osmo profile set pool POOL` once. Accessible: {names}")


def submit(submission: Submission, osmo: Osmo, *, dry_run: bool = False) -> Submitted:
    """Hand it to the cluster; with `dry_run` the cluster only renders it."""
    return osmo.submit(
        submission.file,
        pool=choose_pool(submission, osmo),
        sets=submission.sets,
        string_sets=submission.string_sets,
        priority=submission.priority,
        dry_run=dry_run,
    )


def _names(sets: Iterable[str]) -> set[str]:
    return {item.partition("=")[0].strip() for item in sets}
