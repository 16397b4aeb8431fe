"""Bring the results of a run to a folder, from wherever it ran: one folder per task that has results.

Results are what tasks upload by `url:` outputs; a task without one, which no other task reads either, gives its task
output. A task that is asked for by name gives what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.files import contained, parse_yaml
from noescape.flow.watching.anywhere import ClusterRun, LocalRun, Run
from noescape.flow.watching.snapshot import Snapshot, failed, read_query
from noescape.records import UsageError, WorkError


@dataclass(frozen=True, kw_only=True)
class Result:
    """One thing to fetch: `url`, or (None) the task's own output. It goes to the folder `place` under the target."""

    task: str
    url: str | None
    place: str


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What became of one result; `problem` is None when it lies in `folder` now."""

    task: str
    source: str
    folder: Path
    problem: str | None = None


def results_of(spec: str, run_id: str, *, tasks: Iterable[str] = ()) -> list[Result]:
    """What the rendered file `spec` says there will be; `tasks` narrows it to some. UsageError for an unknown one."""
    found = _tasks(parse_yaml(spec, name=f"spec of {run_id}"))
    wanted = list(tasks)
    names = [str(task.get("name")) for task in found]
    if unknown := [name for name in wanted if name not in names]:
        raise UsageError(f"{run_id} has no task {', '.join(unknown)}; there are: {', '.join(names)}")
    read = {str(i["task"]) for task in found for i in _dicts(task.get("inputs")) if "task" in i}
    results = []
    for task, name in zip(found, names, strict=True):
        urls = [str(o["url"]).replace("{{workflow_id}}", run_id) for o in _dicts(task.get("outputs")) if "url" in o]
        urls = list(dict.fromkeys(urls))
        if wanted and name not in wanted:
            continue
        for number, url in enumerate(urls):
            results.append(Result(task=name, url=url, place=name if len(urls) == 1 else f"{name}/{number}"))
        if not urls and (wanted or name not in read):
            results.append(Result(task=name, url=None, place=name))
    return results


def fetch(run: Run, target: Path, *, tasks: Iterable[str] = ()) -> list[Fetched]:
    """Fetch every result of `run` into `target`; what cannot be had costs one row. Repeat it to go on after a break."""
    results = results_of(run.spec(), run.id, tasks=tasks)
    if not results:
        raise WorkError(f"{run.id} has nothing to fetch: none of its tasks keeps an output")
    query = run.query()
    snapshot = read_query(query, run_id=run.id)
    target.mkdir(parents=True, exist_ok=True)
    done = []
    for result in results:
        folder = target
        try:
            folder = contained(target, result.place)
            source = _source(run, query, snapshot, result)
            _download(run, source, folder)
            problem = None
        except (WorkError, OSError) as error:
            source, problem = result.url or "its output", _why(error, snapshot, result.task)
        done.append(Fetched(task=result.task, source=str(source), folder=folder, problem=problem))
    return done


def _source(run: Run, query: Mapping[str, Any], snapshot: Snapshot, result: Result) -> str | Path:
    if result.url is not None:
        return _here(run, result.url) if isinstance(run, LocalRun) else result.url
    state = snapshot.task(result.task)
    if isinstance(run, LocalRun):
        output = run.folder.task(result.task, state.retry_id if state else 0).output
        contained(run.folder.path, f"tasks/{result.task}")
        if not output.is_dir():
            raise WorkError("it has made no output")
        return output
    root = query.get("outputs")
    if isinstance(root, str) and "://" in root and not root.startswith("http"):
        return f"{root.rstrip('/')}/{result.task}"
    raise WorkError("it has no url output, and the cluster does not tell where task outputs lie: give it one")


def _here(run: LocalRun, url: str) -> str:
    """A folder of a run is relative to where that was started."""
    from noescape.flow.storage import absolute

    return absolute(url, Path(str(run.folder.read_facts().get("base", "."))))


def _download(run: Run, source: str | Path, folder: Path) -> None:
    if isinstance(run, ClusterRun):
        run.osmo.data_download(str(source), folder, resume=folder.is_dir() and any(folder.iterdir()))
        return
    from noescape.flow.storage import open_store

    open_store(str(source)).download(folder)


def _why(error: Exception, snapshot: Snapshot, task: str) -> str:
    state = snapshot.task(task)
    reason = str(error) or type(error).__name__
    if state is None or state.status == "COMPLETED":
        return reason
    return (
        f"the task is {state.status}" + ("" if failed(state.status) else ", so not all is there yet") + f" ({reason})"
    )


def _tasks(value: object) -> list[dict[str, Any]]:
    workflow = value.get("workflow", value) if isinstance(value, dict) else None
    if not isinstance(workflow, dict):
        return []
    inside = [task for group in _dicts(workflow.get("groups")) for task in _dicts(group.get("tasks"))]
    return [*_dicts(workflow.get("tasks")), *inside]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
