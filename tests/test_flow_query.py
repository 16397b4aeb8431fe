"""The query JSON of a local run has the cluster's keys, no more and no fewer, for programs written against it."""

from __future__ import annotations

import json
from pathlib import Path

from flow_maker import Bench, sh
from noescape.flow.query import query
from noescape.flow.watching.snapshot import read_query

RUN = """
name uuid submitted_by cancelled_by spec template_spec logs events overview parent_name parent_job_id dashboard_url
grafana_url tags submit_time start_time end_time exec_timeout queue_timeout duration queued_time status outputs groups
pool backend app_owner app_name app_version plugins priority labels warnings
"""
GROUP = """
name status start_time end_time processing_start_time scheduling_start_time initializing_start_time
remaining_upstream_groups downstream_groups failure_message tasks
"""
TASK = """
name retry_id status failure_message exit_code logs error_logs processing_start_time scheduling_start_time
initializing_start_time events start_time end_time input_download_start_time input_download_end_time
output_upload_start_time dashboard_url pod_name pod_ip task_uuid node_name lead
"""


def test_keys_and_values(tmp_path: Path) -> None:
    """In status.json as in what the journal tells."""
    bench = Bench(tmp_path)
    bench.run(sh("up", "true"), sh("a", "exit 9", needs=["up"]), sh("b", "true", needs=["a"]))
    told = json.loads(bench.place.status.read_text())
    assert told == query(bench.place.path)
    assert set(told) == set(RUN.split())
    assert all(set(group) == set(GROUP.split()) for group in told["groups"])
    assert all(set(task) == set(TASK.split()) for group in told["groups"] for task in group["tasks"])
    assert (told["name"], told["status"], told["backend"]) == ("demo-1", "FAILED", "local")
    middle, last = told["groups"][1], told["groups"][2]
    assert middle["tasks"][0]["exit_code"] == 9 and middle["downstream_groups"] == ["b-group"]
    assert last["tasks"][0]["exit_code"] == 3000 and last["remaining_upstream_groups"] == ["a-group"]


def test_every_try_has_a_row(tmp_path: Path) -> None:
    """The last one last; a task that will be tried again after a kill has a row for the try to come."""
    bench = Bench(tmp_path)
    bench.run(sh("a", f"[ -e {tmp_path}/x ] && exit 0; touch {tmp_path}/x; exit 9", exitActions={"RESCHEDULE": "9"}))
    rows = query(bench.place.path)["groups"][0]["tasks"]
    assert [(row["retry_id"], row["status"], row["exit_code"]) for row in rows] == [
        (0, "RESCHEDULED", 9),
        (1, "COMPLETED", 0),
    ]
    task = read_query(query(bench.place.path)).task("a")
    assert task is not None and task.retry_id == 1


def test_moments_are_in_order(tmp_path: Path) -> None:
    """As a chart of a run needs them, for runs that wait for room too."""
    bench = Bench(tmp_path)
    bench.run(*[sh(f"t{i}", "sleep 0.05") for i in range(8)])
    names = ("processing", "scheduling", "initializing", "")
    for group in query(bench.place.path)["groups"]:
        times = [group[f"{name}_start_time" if name else "start_time"] for name in names] + [group["end_time"]]
        assert None not in times and times == sorted(times)
