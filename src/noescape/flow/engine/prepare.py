"""Before a run: everything that can be checked, and its folder; and reading its workflow again later."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from noescape.files import utc_stamp
from noescape.flow.engine.checks import problems_before, resolved, written_urls
from noescape.flow.engine.layout import RunFolder, reserve, write_facts
from noescape.flow.engine.shop import owner_of
from noescape.flow.format.load import Loaded, load, require
from noescape.flow.format.spec import Task, Workflow
from noescape.flow.machine import Machine
from noescape.flow.secrets.credentials import Granted
from noescape.records import UsageError, WorkError


class Lender(Protocol):
    """Where credentials come from."""

    def grant(self, task: Task) -> Granted:
        """Everything the task asks for."""

    def missing(self, workflow: Workflow) -> list[str]:
        """Credentials without a value."""


def prepare(
    loaded: Loaded,
    *,
    runs: Path,
    base: Path,
    machine: Machine,
    credentials: Lender,
    storage_secrets: Mapping[str, Mapping[str, str]] = {},
    facts: Mapping[str, Any] = {},
) -> RunFolder:
    """Check all that can be checked, and make the folder of a new run; nothing starts yet.

    UsageError with every problem; ClaimedError when an output folder belongs to another run.
    """
    workflow = require(loaded)
    token = secrets.token_hex(16)
    provisional = f"{workflow.name}-0"
    found = problems_before(workflow, machine=machine, credentials=credentials, base=base, run_id=provisional)
    if found:
        raise UsageError("\n".join(["the workflow cannot run here:", *found]) if len(found) > 1 else found[0])
    refuse_claimed(workflow, base, provisional, token, storage_secrets)
    run = reserve(runs, workflow.name)
    everything = {
        "flow": loaded.stem,
        "file": str(Path(loaded.path).absolute()),
        "sets": list(loaded.sets),
        "string_sets": list(loaded.string_sets),
        "base": str(base.absolute()),
        "version": tool_version(),
        "created": utc_stamp(),
        "token": token,
        **facts,
    }
    try:
        run.workflow.write_bytes(loaded.text.encode("utf-8", "backslashreplace"))
        write_facts(run, everything, loaded.source)
    except (OSError, WorkError) as error:
        shutil.rmtree(run.path, ignore_errors=True)
        raise WorkError(f"{run.path}: a run cannot be kept here ({error})") from None
    return run


def reload(run: RunFolder, *, sets: Iterable[str] = (), string_sets: Iterable[str] = ()) -> Loaded:
    """The workflow of a run, from its file as it is now (or as it was, if that is gone), with further settings."""
    facts = run.read_facts()
    path = Path(facts.get("file", ""))
    all_sets = [*facts.get("sets", ()), *sets]
    all_strings = [*facts.get("string_sets", ()), *string_sets]
    if path.is_file():
        return load(path, sets=all_sets, string_sets=all_strings)
    kept = load(run.source, sets=all_sets, string_sets=all_strings)
    # Files that the source names lay beside it; the rendered text holds them.
    return load(run.workflow) if kept.failed and not sets and not string_sets else kept


def refuse_claimed(
    workflow: Workflow, base: Path, run_id: str, token: str, storage_secrets: Mapping[str, Mapping[str, str]]
) -> None:
    """ClaimedError where a task would write what another task, or a person, wrote."""
    from noescape.flow.storage import open_store

    for task in workflow.tasks:
        for url in resolved(task, written_urls(task), base, run_id)[0]:
            open_store(url, secrets=storage_secrets).claim(owner_of(run_id, token, task.name))


def tool_version() -> str:
    """Of noescape."""
    from importlib.metadata import version

    return version("noescape")
