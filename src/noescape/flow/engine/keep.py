"""What a resumed run need not do again: groups whose tasks are the same, and whose outputs are still there."""

from __future__ import annotations

from noescape.flow.engine import manifest
from noescape.flow.engine.identity import task_identity, tool_of
from noescape.flow.engine.localize import localized
from noescape.flow.engine.shop import Shop
from noescape.flow.engine.state import GroupState, RunState, Try
from noescape.flow.format.spec import Group, Task, Workflow
from noescape.flow.status import TaskStatus
from noescape.records import NoescapeError


def kept_groups(
    workflow: Workflow, state: RunState, shop: Shop, *, accept_version: bool
) -> tuple[list[str], list[str]]:
    """The groups to keep, in order, and for each completed one that is not kept a line that says why.

    A group is kept if it completed, every upstream group is kept, each task has the identity and the tool that were
    recorded (`accept_version`: whatever tool), and its recorded outputs are unchanged.
    """
    home = {task.name: group.name for group in workflow.groups for task in group.tasks}
    kept: list[str] = []
    reasons: list[str] = []
    for group in workflow.groups:
        known = state.groups.get(group.name)
        if known is None or not _completed(group, known, state):
            continue
        again = [i.task for t in group.tasks for i in t.inputs if i.task in home and home[i.task] not in kept]
        reason = f"its input {again[0]} runs again" if again else _difference(group, state, shop, accept_version)
        if reason is None:
            kept.append(group.name)
        else:
            reasons.append(f"group {group.name} runs again: {reason}")
    return kept, reasons


def _completed(group: Group, known: GroupState, state: RunState) -> bool:
    """Also a group whose last task's end was written down, and its own was not any more."""
    if known.status.ended:
        return known.status is TaskStatus.COMPLETED
    last = {task.name: state.tasks[task.name].last for task in group.tasks if task.name in state.tasks}
    ends = {name: one.status for name, one in last.items() if one is not None and one.status.ended}
    if len(ends) < len(group.tasks):
        return False
    lead = next((task.name for task in group.tasks if task.lead), group.tasks[0].name)
    counted = [ends[lead]] if group.ignoreNonleadStatus else [*ends.values()]
    return all(status is TaskStatus.COMPLETED for status in counted)


def _difference(group: Group, state: RunState, shop: Shop, accept_version: bool) -> str | None:
    for task in group.tasks:
        last = state.tasks[task.name].last if task.name in state.tasks else None
        if last is None:
            return f"task {task.name} is new"
        reason = _task_difference(task, last, shop, accept_version)
        if reason is not None:
            return reason
    return None


def _task_difference(task: Task, last: Try, shop: Shop, accept_version: bool) -> str | None:
    record = last.record
    if "identity" not in record:
        return None  # a member that was stopped before it had begun; the group completed without it
    if not accept_version and record.get("tool") != tool_of(task, shop.environment.get("PATH", "")):
        return f"the program that task {task.name} runs has changed (--accept-version keeps it)"
    try:
        if record.get("identity") != task_identity(task, _inputs_now(task, last, shop)):
            return f"task {task.name}, its inputs or its settings have changed"
        if last.status is TaskStatus.COMPLETED:
            return _outputs_difference(task, last, shop)
    except (OSError, NoescapeError) as error:
        return f"task {task.name}: {error}"
    return None


def _inputs_now(task: Task, last: Try, shop: Shop) -> list[list[str]]:
    facts = []
    local = localized(task, shop.root.task(task.name, last.retry), shop.run.id, ())
    for one in local.inputs:
        if one.task is not None:
            source = shop.upstream(one.task)
            facts.append([source.identity, source.tool, source.digest])
        else:
            from noescape.flow.engine.urls import input_identity, store_at

            facts.append([input_identity(shop, store_at(shop, one.url or ""), one.regex) or ""])
    return facts


def _outputs_difference(task: Task, last: Try, shop: Shop) -> str | None:
    folder = shop.run.task(task.name, last.retry)
    made = manifest.read(folder.manifest)
    if manifest.digest_of(made) != last.record.get("digest"):
        return f"{folder.manifest}: not what was recorded"
    difference = manifest.changed(folder.output, made)
    if difference is not None or not last.record.get("urls"):
        return difference
    from noescape.flow.engine.urls import listing_of, store_at

    for url, listing in last.record["urls"].items():
        if listing_of(store_at(shop, url)) != listing:
            return f"{url}: not what task {task.name} uploaded"
    return None
