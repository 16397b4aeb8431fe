"""The doors of the engine: start a run, or go on with one."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from noescape.flow.engine import process
from noescape.flow.engine.checks import checkpoint_places, problems_before
from noescape.flow.engine.engine import Engine, Message
from noescape.flow.engine.environment import from_caller, mark
from noescape.flow.engine.journal import Journal
from noescape.flow.engine.keep import kept_groups
from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.lock import EngineLock
from noescape.flow.engine.needs import cap_notices
from noescape.flow.engine.outcome import Outcome, failures_of
from noescape.flow.engine.places import Alias, local_place
from noescape.flow.engine.prepare import Lender, prepare, refuse_claimed, reload, tool_version
from noescape.flow.engine.shop import Shop
from noescape.flow.engine.state import RunState, shape_of
from noescape.flow.format.load import Loaded, require
from noescape.flow.format.spec import Workflow
from noescape.flow.format.units import parse_duration
from noescape.flow.machine import Machine
from noescape.flow.status import TaskStatus
from noescape.records import UsageError

GRACE_S = 10.0
MAX_RETRIES = 3
__all__ = ["GRACE_S", "MAX_RETRIES", "Outcome", "prepare", "reload", "run", "work"]

OnEvent = Callable[[dict[str, Any]], None]


def run(
    loaded: Loaded,
    *,
    runs: Path,
    base: Path,
    machine: Machine,
    credentials: Lender,
    max_retries: int = MAX_RETRIES,
    on_event: OnEvent = lambda row: None,
    grace_s: float = GRACE_S,
    environ: Mapping[str, str] | None = None,
    storage_secrets: Mapping[str, Mapping[str, str]] = {},
    facts: Mapping[str, Any] = {},
) -> Outcome:
    """Run a workflow from its beginning in a new folder `<runs>/<name>-<n>`; returns when every group has ended.

    `base` is what relative folders in urls are relative to. `on_event` gets every row of the journal, notices, and a
    tick twice a second.
    """
    folder = prepare(
        loaded,
        runs=runs,
        base=base,
        machine=machine,
        credentials=credentials,
        storage_secrets=storage_secrets,
        facts=facts,
    )
    return work(
        folder,
        require(loaded),
        machine=machine,
        credentials=credentials,
        max_retries=max_retries,
        on_event=on_event,
        grace_s=grace_s,
        environ=environ,
        storage_secrets=storage_secrets,
    )


def work(
    run: RunFolder,
    workflow: Workflow,
    *,
    machine: Machine,
    credentials: Lender,
    max_retries: int = MAX_RETRIES,
    accept_version: bool = False,
    on_event: OnEvent = lambda row: None,
    grace_s: float = GRACE_S,
    environ: Mapping[str, str] | None = None,
    storage_secrets: Mapping[str, Mapping[str, str]] = {},
) -> Outcome:
    """Bring a run to its end: a new one from the start, one that stopped from where it stands.

    Processes that a killed engine left are ended first. Finished groups that are still the same are kept.
    """
    start = time.monotonic()
    facts = run.read_facts()
    token, base = str(facts.get("token", "")), Path(facts.get("base", "."))
    found = problems_before(workflow, machine=machine, credentials=credentials, base=base, run_id=run.id)
    if found:
        raise UsageError("\n".join(found))
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    with EngineLock(run), Alias(run.path, token) as plain, Journal(run, on_event) as journal:
        notice = _notices(run, on_event)
        if journal.state.groups:
            process.kill_marked([mark(run.id, token)], settle=process.SETTLE_S)
            _clear_leftovers(run, workflow, journal.state)
            refuse_claimed(workflow, base, run.id, token, storage_secrets)
        shop = Shop(
            run=run,
            root=RunFolder(plain),
            token=token,
            base=base,
            environment=from_caller(os.environ if environ is None else environ),
            credentials=credentials,
            kept=checkpoint_places(workflow, base, run.id),
            storage_secrets=storage_secrets,
            state=lambda: journal.state,
            post=inbox.put,
            note=lambda text: inbox.put(("note", text)),
        )
        log(run, f"{'gone on with' if journal.state.groups else 'begun'} by process {os.getpid()}")
        kept, reasons = kept_groups(workflow, journal.state, shop, accept_version=accept_version)
        for line in [*cap_notices(workflow, machine), *reasons]:
            notice(line)
        timeout = workflow.timeout
        journal.write(
            "engine",
            pid=os.getpid(),
            version=tool_version(),
            groups=shape_of(workflow),
            kept=kept,
            exec_timeout=parse_duration(timeout.exec_timeout) if timeout.exec_timeout is not None else None,
            queue_timeout=parse_duration(timeout.queue_timeout) if timeout.queue_timeout is not None else None,
        )
        for name in kept:
            if journal.state.groups[name].status is not TaskStatus.COMPLETED:
                journal.write("group", group=name, status=TaskStatus.COMPLETED)
        engine = Engine(
            workflow,
            shop,
            journal,
            inbox,
            machine=machine,
            max_retries=max_retries,
            grace_s=grace_s,
            notice=notice,
            tick=lambda: on_event({"event": "tick"}),
        )
        journal.write_status()
        engine.work()
        journal.write("end", status=journal.state.status)
        log(run, f"ended: {journal.state.status}")
        problem = journal.write_status(sync=True)
        if problem:
            notice(problem)
        state = journal.state
    return Outcome(
        run=run.path,
        run_id=run.id,
        status=state.status,
        failures=failures_of(run, state),
        kept=len(kept),
        ran=len(workflow.groups) - len(kept),
        seconds=time.monotonic() - start,
    )


def _clear_leftovers(run: RunFolder, workflow: Workflow, state: RunState) -> None:
    """What a kill may leave: an old wish for an end, and files with secrets."""
    run.cancel.unlink(missing_ok=True)
    for task in workflow.tasks:
        mounts = [mount for mount in task.credentials.values() if isinstance(mount, str)]
        tries = state.tasks[task.name].tries if task.name in state.tasks else []
        for mount in mounts:
            for one in tries:
                place = local_place(run.task(task.name, one.retry), mount)
                if one.code is None and place.is_dir():
                    shutil.rmtree(place, ignore_errors=True)


def _notices(run: RunFolder, on_event: OnEvent) -> Callable[[str], None]:
    def notice(text: str) -> None:
        log(run, text)
        on_event({"event": "notice", "message": text})

    return notice


def log(run: RunFolder, text: str) -> None:
    """A line in engine.log; a full disk must not keep anything else from happening."""
    with contextlib.suppress(OSError), run.log.open("a", encoding="utf-8", errors="backslashreplace") as f:
        f.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")
