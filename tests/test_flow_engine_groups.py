"""Groups: start together, end with the lead, and follow its status."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from flow_maker import Bench, leftovers, sh

SERVER = """
import http.server, os, pathlib, sys
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello from " + os.environ["WHO"].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): print(*words, flush=True)
server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
port = pathlib.Path(sys.argv[1]); part = port.with_suffix(".part")
part.write_text(str(server.server_port)); part.rename(port)
server.serve_forever()
"""
CLIENT = """
import pathlib, sys, time, urllib.request
host, port, out = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
while not port.exists(): time.sleep(0.01)
url = f"http://{host}:{port.read_text()}/"
pathlib.Path(out).write_bytes(urllib.request.urlopen(url).read())
"""


def group(*tasks: dict[str, Any], name: str = "g", **more: Any) -> dict[str, Any]:
    return {"name": name, "tasks": list(tasks), **more}


def test_a_server_and_its_client(tmp_path: Path) -> None:
    """A real group: the client (lead) talks to the server over loopback; its end is the server's end."""
    bench = Bench(tmp_path)
    port = tmp_path / "port"
    outcome = bench.run(
        groups=[
            group(
                {
                    "name": "server", "image": "none", "command": ["python3", "/app/server.py"], "args": [str(port)],
                    "files": [{"path": "/app/server.py", "contents": SERVER}], "environment": {"WHO": "the server"},
                },
                {
                    "name": "client", "image": "none", "lead": True, "command": ["python3", "/app/client.py"],
                    "args": ["{{host:server}}", str(port), "{{output}}/answer"],
                    "files": [{"path": "/app/client.py", "contents": CLIENT}],
                },
            )
        ]
    )  # fmt: skip
    assert outcome.status == "COMPLETED"
    assert bench.made()["client/answer"] == "hello from the server"
    assert (bench.status("server"), bench.message("server")) == ("COMPLETED", "Lead task finished")
    assert "GET / HTTP" in bench.log("server") and leftovers(bench.place) == []


def test_the_leads_failure_fails_its_siblings(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    outcome = bench.run(
        groups=[group(sh("lead", "exit 3", lead=True), sh("other", "sleep 60")),
                group(sh("behind", "true", needs=["other"]), name="h")]
    )  # fmt: skip
    assert outcome.status == "FAILED" and (bench.status("lead"), bench.code("lead")) == ("FAILED", 3)
    assert (bench.status("other"), bench.message("other")) == ("FAILED", "Lead task finished")
    assert bench.status("behind") == "FAILED_UPSTREAM" and [f.task for f in outcome.failures] == ["lead"]


def test_a_sibling_that_ignores_term_is_killed_after_the_grace(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    deaf = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.05; done"
    start = time.monotonic()
    bench.run(
        groups=[group(sh("lead", f"while [ ! -e {tmp_path}/deaf ]; do sleep 0.01; done", lead=True), sh("x", deaf))],
        grace_s=0.5,
    )
    assert 0.5 <= time.monotonic() - start < 8
    assert bench.state.status == "COMPLETED" and leftovers(bench.place) == []


def test_a_stopped_sibling_may_tidy_up_in_its_grace(tmp_path: Path) -> None:
    """TERM comes first; what a sibling writes then is among its outputs."""
    bench = Bench(tmp_path)
    polite = f"trap 'echo bye > {{{{output}}}}/bye; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.02; done"
    bench.run(
        groups=[group(sh("lead", f"while [ ! -e {tmp_path}/up ]; do sleep 0.01; done", lead=True), sh("x", polite)),
                group(sh("reads", "cat {{input:0}}/bye > {{output}}/seen", needs=["x"]), name="h")]
    )  # fmt: skip
    assert bench.made()["reads/seen"] == "bye\n"


@pytest.mark.parametrize("ignore", [True, False])
def test_whether_a_non_leads_failure_counts(tmp_path: Path, ignore: bool) -> None:
    """ignoreNonleadStatus true: the group is what its lead is. False: it fails, and the lead is stopped."""
    bench = Bench(tmp_path)
    lead = sh("lead", f"sleep {0.4 if ignore else 60}; echo done > {{{{output}}}}/x", lead=True)
    outcome = bench.run(groups=[group(lead, sh("other", "exit 5"), ignoreNonleadStatus=ignore)])
    assert (bench.status("other"), bench.code("other")) == ("FAILED", 5)
    if ignore:
        assert outcome.status == "COMPLETED" and bench.made() == {"lead/x": "done\n"}
    else:
        assert outcome.status == "FAILED" and bench.message("lead") == "Task other failed"
        assert bench.state.groups["g"].message == "other: exit code 5"


def test_no_command_starts_before_all_inputs_are_there(tmp_path: Path) -> None:
    """Barrier: one member's input takes long to copy; the other, which has none, waits for it."""
    source = tmp_path / "data"
    source.mkdir()
    for index in range(300):
        (source / f"{index}.txt").write_text("x" * 1000)
    bench = Bench(tmp_path)
    bench.run(
        groups=[
            group(
                sh("quick", "true", lead=True),
                sh("slow", "ls {{input:0}} | wc -l > {{output}}/n", inputs=[{"url": str(source)}]),
            )
        ]
    )
    tries = {name: bench.state.tasks[name].last for name in ("quick", "slow")}
    assert tries["quick"] and tries["slow"]
    assert tries["quick"].times["start_time"] >= tries["slow"].times["input_download_end_time"]


def test_without_barrier_a_member_starts_when_it_is_ready(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    outcome = bench.run(
        groups=[
            group(sh("lead", "sleep 0.2", lead=True), sh("lost", "true", inputs=[{"url": "nowhere"}]), barrier=False)
        ]
    )
    assert outcome.status == "COMPLETED" and (bench.status("lost"), bench.code("lost")) == ("FAILED", 2010)


def test_a_member_that_cannot_be_made_ready_breaks_the_barrier(tmp_path: Path) -> None:
    """The lead would wait for ever: it fails with the barrier's code instead, and never starts."""
    bench = Bench(tmp_path)
    outcome = bench.run(
        groups=[group(sh("lead", f"touch {tmp_path}/ran", lead=True), sh("lost", "true", inputs=[{"url": "nowhere"}]))]
    )
    assert outcome.status == "FAILED" and bench.code("lead") == 2024 and "lost" in bench.message("lead")
    assert not (tmp_path / "ran").exists()


def test_members_start_together_only_when_the_group_fits(tmp_path: Path) -> None:
    """A group that needs all four cores does not start by halves."""
    bench = Bench(tmp_path)  # four cores
    busy = f"touch {tmp_path}/busy; sleep 0.3; rm {tmp_path}/busy"
    members = [sh(f"m{i}", f"test ! -e {tmp_path}/busy", lead=i == 0) for i in range(4)]
    bench.run(
        groups=[
            group(sh("a", busy), name="one"),
            group(sh("b", "sleep 0.1"), name="two"),
            group(*members, name="three"),
        ]
    )
    assert bench.state.status == "COMPLETED"
