"""What the stand-in cluster remembers between two calls: workflows, their statuses step by step, data, its moods."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noescape.flow.status import TaskStatus, WorkflowStatus, of_group, of_workflow

if TYPE_CHECKING:
    from noescape.flow.format.spec import Workflow

STATUSES = tuple(status.value for status in WorkflowStatus)
_START = datetime(2026, 1, 1)  # the server's times carry no zone
_TIMES = ("processing_start_time", "scheduling_start_time", "initializing_start_time", "start_time", "end_time")


class CommandError(Exception):
    """An error that the command prints; `code` is the server's, `exit_code` the command's."""

    def __init__(self, message: str, code: int | None = None, exit_code: int = 2) -> None:
        super().__init__(message)
        self.code, self.exit_code = code, exit_code


class World:
    """The folder $STANDIN_OSMO.

    script.json tells what shall happen:
      pools, default_pool, admin, credentials, config      what profile, pool, credential and config answer
      steps: [{task: status | [status, exit code, message, retry id], "workflow": …}, …]   a step per query
      logs: {task or "task/retry": text | {"bytes": n}}
      faults: [{"on": "workflow query", "times": n, "exit": …, "message": …, "code": …} | … "delay_s" | "garbage"]
      head: True adds the newest version's keys, extra: {…} adds unknown ones, outputs: where task outputs lie
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.script: dict[str, Any] = self._read(home / "script.json") or {}

    @staticmethod
    def _read(path: Path) -> Any:
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def record(self, argv: list[str]) -> None:
        with (self.home / "calls.jsonl").open("a", encoding="utf-8") as f:
            f.write(json.dumps(argv) + "\n")

    def fault(self, command: str) -> dict[str, Any]:
        """The first fault for this command that is not used up; using it counts."""
        used = self._read(self.home / "faults.json") or {}
        for index, fault in enumerate(self.script.get("faults", [])):
            key = str(index)
            if command.startswith(fault["on"]) and used.get(key, 0) < fault.get("times", 1 << 30):
                used[key] = used.get(key, 0) + 1
                (self.home / "faults.json").write_text(json.dumps(used), "utf-8")
                return dict(fault)
        return {}

    @property
    def pools(self) -> list[str]:
        return list(self.script.get("pools", ["gpu", "cpu"]))

    def pool(self, given: str | None) -> str:
        # The CLI's rule: without --pool the default of the profile is taken; without one, an error.
        name = given or self.script.get("default_pool")
        if not name:
            raise CommandError(
                "No default pool set. Set one in the profile, or specify a pool using --pool or -p.", 400
            )
        if name not in self.pools:
            raise CommandError(f"Pool {name} does not exist", 400)
        return str(name)

    def add(self, workflow: Workflow, text: str, source: str, pool: str, priority: str) -> str:
        folder = self.home / "workflows"
        folder.mkdir(exist_ok=True)
        number = 1 + sum(p.name.rsplit("-", 1)[0] == workflow.name for p in folder.iterdir())
        run = folder / f"{workflow.name}-{number}"  # the server's rule: the id is <name>-<n>
        run.mkdir()
        groups = [
            {"name": g.name, "tasks": [{"name": t.name, "lead": t.lead} for t in g.tasks]} for g in workflow.groups
        ]
        facts = {"name": workflow.name, "pool": pool, "priority": priority, "groups": groups, "canceled": None}
        (run / "facts.json").write_text(json.dumps(facts), "utf-8")
        (run / "spec.yaml").write_text(text, "utf-8")
        (run / "template.yaml").write_text(source, "utf-8")
        (run / "step").write_text("-1", "utf-8")
        return run.name

    def run(self, run_id: str) -> Path:
        path = self.home / "workflows" / run_id
        if "/" in run_id or not (path / "facts.json").exists():
            raise CommandError(f"Workflow {run_id} not found", 404)
        return path

    def runs(self) -> list[str]:
        folder = self.home / "workflows"
        found = sorted(folder.iterdir(), key=lambda p: (p / "facts.json").stat().st_mtime_ns) if folder.is_dir() else []
        return [p.name for p in found]

    def step(self, run: Path) -> int:
        """One step further, as long as there are more."""
        count = len(self.script.get("steps", [])) or 2
        now = min(int((run / "step").read_text("utf-8")) + 1, count - 1)
        (run / "step").write_text(str(now), "utf-8")
        return now

    def query(self, run_id: str, *, verbose: bool = False, advance: bool = True) -> dict[str, Any]:
        """The query JSON at the next step (default: all run, then all completed)."""
        run = self.run(run_id)
        facts = self._read(run / "facts.json")
        at = self.step(run) if advance else max(0, int((run / "step").read_text("utf-8")))
        steps = self.script.get("steps") or [{"*": "RUNNING"}, {"*": "COMPLETED"}]
        step = {key: value for past in steps[: at + 1] for key, value in past.items()}
        groups = [self._group(group, step, at, facts["canceled"]) for group in facts["groups"]]
        known = [TaskStatus(g["status"]) for g in groups if g["status"] in TaskStatus.__members__]
        status = "FAILED_CANCELED" if facts["canceled"] else step.get("workflow") or of_workflow(known).value
        answer = {
            **dict.fromkeys(("cancelled_by", "parent_name", "parent_job_id", "dashboard_url", "grafana_url")),
            **dict.fromkeys(("end_time", "app_owner", "app_name", "app_version", "backend")),
            **dict.fromkeys(("exec_timeout", "queue_timeout")),
            "name": run_id, "uuid": "0" * 32, "submitted_by": "someone", "spec": "…/spec",
            "template_spec": "…/template", "logs": "…/logs", "events": "…/events", "tags": [],
            "overview": f"https://osmo.example/workflows/{run_id}", "submit_time": _START.isoformat(),
            "start_time": _START.isoformat(), "duration": 1.5, "queued_time": 0.5,
            "status": status, "outputs": self.script.get("outputs", ""), "groups": groups, "pool": facts["pool"],
            "plugins": {"rsync": False}, "priority": facts["priority"],
        }  # fmt: skip
        # The server's rule: labels and warnings are there in the newest version only.
        newest = {"labels": {}, "warnings": []} if self.script.get("head") else {}
        return answer | newest | dict(self.script.get("extra", {}))

    def _group(self, group: dict[str, Any], step: dict[str, Any], at: int, canceled: Any) -> dict[str, Any]:
        tasks = []
        for task in group["tasks"]:
            told = step.get(task["name"], step.get("*", "WAITING"))
            status, code, message, retry = [*(told if isinstance(told, list) else [told]), None, None, None][:4]
            if canceled and not status.startswith(("FAILED", "COMPLETED")):
                status = "FAILED_CANCELED"
            over = status.startswith(("FAILED", "COMPLETED"))
            started = status not in ("WAITING", "SUBMITTING", "PROCESSING", "SCHEDULING", "FAILED_UPSTREAM")
            tasks.append(
                {
                    **dict.fromkeys((*_TIMES, "input_download_start_time", "input_download_end_time", "events")),
                    **dict.fromkeys(("output_upload_start_time", "pod_ip", "node_name", "error_logs", "logs")),
                    "name": task["name"], "retry_id": retry or 0, "status": status, "failure_message": message,
                    "exit_code": code if code is not None else (0 if status == "COMPLETED" else None),
                    "start_time": _START.isoformat() if started else None,
                    "end_time": (_START + timedelta(seconds=10 * (at + 1))).isoformat() if over else None,
                    "pod_name": f"pod-{task['name']}", "task_uuid": "1" * 32, "lead": task["lead"],
                }
            )  # fmt: skip
        last = [TaskStatus(t["status"]) for t in tasks if t["status"] in TaskStatus.__members__]
        alive = next((s for s in last if not s.ended), None)
        return {
            **dict.fromkeys((*_TIMES, "failure_message")),
            "name": group["name"], "status": alive or (of_group(last) if last else "RUNNING"),
            "remaining_upstream_groups": [], "downstream_groups": [], "tasks": tasks,
        }  # fmt: skip

    def store(self, url: str) -> Path:
        """Where data of that address lies."""
        scheme, _, rest = url.partition("://")
        return self.home / "store" / scheme / rest.strip("/")
