"""Going on: what finished and is the same is kept, everything else runs again, and nobody works on a run twice."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

import noescape.flow.engine.identity as identity
from flow_maker import Bench, leftovers, sh, write_flow
from noescape.files import read_jsonl
from noescape.flow.engine.cancel import request_cancel
from noescape.flow.engine.lock import EngineLock, engine_pid
from noescape.records import UsageError, WorkError


def chain(folder: Path, middle: str = "tr a-z A-Z") -> list[dict[str, object]]:
    """first -> middle -> last, and a task beside them."""
    return [
        sh("first", "cat {{input:0}}/t > {{output}}/x", inputs=[{"url": "data"}]),
        sh("middle", f"{middle} < {{{{input:0}}}}/x > {{{{output}}}}/x", needs=["first"]),
        sh("last", "cat {{input:0}}/x > {{output}}/x", needs=["middle"]),
        sh("beside", "echo 1 > {{output}}/x"),
    ]


@pytest.fixture
def done(tmp_path: Path) -> Bench:
    """A completed run of the chain."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t").write_text("abc\n")
    bench = Bench(tmp_path)
    assert bench.run(*chain(tmp_path)).status == "COMPLETED"
    return bench


def test_a_completed_run_has_nothing_to_do(done: Bench) -> None:
    before = done.made()
    outcome = done.resume()
    assert (outcome.status, outcome.kept, outcome.ran) == ("COMPLETED", 4, 0)
    assert done.ran() == [] and done.made() == before


def test_a_changed_task_runs_again_with_all_behind_it(done: Bench) -> None:
    write_flow(done.folder, *chain(done.folder, "sed s/a/b/"))
    outcome = done.resume()
    assert done.ran() == ["middle", "last"] and outcome.kept == 2
    assert done.made()["last/x"] == "bbc\n"


def test_a_changed_input_runs_again_with_all_behind_it(done: Bench) -> None:
    (done.folder / "data" / "t").write_text("xyz\n")
    done.resume()
    assert sorted(done.ran()) == ["first", "last", "middle"] and done.made()["last/x"] == "XYZ\n"


def test_an_input_that_was_only_touched_is_the_same(done: Bench) -> None:
    (done.folder / "data" / "t").touch()
    assert done.resume().kept == 4


@pytest.mark.parametrize("harm", ["change", "remove", "same size", "manifest"])
def test_outputs_that_are_no_longer_there_are_made_again(done: Bench, harm: str) -> None:
    """With everything behind them; what is untouched stays."""
    path = done.task("middle").output / "x"
    if harm == "manifest":
        done.task("middle").manifest.write_bytes(b"")
    elif harm == "remove":
        path.unlink()
    else:
        path.write_text("QQQ\n" if harm == "same size" else "changed")
    done.resume()
    assert done.ran() == ["middle", "last"] and done.made()["last/x"] == "ABC\n"


def test_uploaded_outputs_that_are_gone_are_made_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("a", "echo 1 > {{output}}/x", outputs=[{"url": "out"}]), sh("b", "true"))
    (tmp_path / "out" / "x").unlink()
    assert bench.resume().kept == 1 and bench.ran() == ["a"] and (tmp_path / "out" / "x").exists()


def test_a_failed_task_runs_again_and_finished_ones_do_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    gate = f"test -e {tmp_path}/mended; cat {{{{input:0}}}}/x > {{{{output}}}}/x"
    tasks = [sh("a", "date +%N > {{output}}/x"), sh("b", gate, needs=["a"]), sh("c", "true", needs=["b"])]
    assert bench.run(*tasks).status == "FAILED"
    first = bench.made()["a/x"]
    (tmp_path / "mended").touch()
    outcome = bench.resume()
    assert outcome.status == "COMPLETED" and bench.ran() == ["b", "c"] and bench.made()["b/x"] == first
    assert [t.retry for t in bench.state.tasks["b"].tries] == [0, 1]


def test_new_tasks_join_and_removed_ones_leave(done: Bench) -> None:
    tasks = chain(done.folder)
    write_flow(done.folder, *tasks[:2], sh("new", "cat {{input:0}}/x > {{output}}/x", needs=["middle"]))
    assert done.resume().status == "COMPLETED"
    assert done.ran() == ["new"] and set(done.state.tasks) == {"first", "middle", "new"}


def test_where_and_with_how_much_a_task_runs_is_not_what_it_is(tmp_path: Path) -> None:
    """Another request for resources or another flag of the cluster keeps what is finished."""
    bench = Bench(tmp_path)
    bench.run(sh("a", "true"))
    write_flow(tmp_path, sh("a", "true", resource="default", privileged=True), resources={"default": {"cpu": 3}})
    assert bench.resume().kept == 1


def test_other_settings_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text(
        "workflow:\n  name: demo\n  tasks:\n"
        "  - {name: a, image: i, command: [sh, -c, 'echo {{ word }} > {{output}}/x']}\n"
        "  - {name: b, image: i, command: [sh, -c, 'echo b > {{output}}/x']}\n"
        "default-values: {word: one}\n"
    )
    bench = Bench(tmp_path)
    bench.run(path=path)
    bench.resume(sets=("word=two",))
    assert bench.ran() == ["a"] and bench.made() == {"a/x": "two\n", "b/x": "b\n"}


def test_the_kept_source_serves_when_the_file_is_gone(done: Bench) -> None:
    (done.folder / "demo.yaml").unlink()
    (done.task("last").output / "x").unlink()
    assert done.resume().kept == 3 and done.ran() == ["last"]


def test_code_that_a_task_calls_belongs_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """noescape's own code where it is called, and scripts; what another version made can be accepted."""
    script = tmp_path / "tool.sh"
    script.write_text("#!/bin/sh\necho 1 > $1/x\n")
    script.chmod(0o755)
    bench = Bench(tmp_path)
    bench.run(
        sh("calls", ": noescape fit"),
        sh("plain", "true"),
        {"name": "script", "image": "i", "command": [str(script)], "args": ["{{output}}"]},
    )
    monkeypatch.setattr(identity, "own_code", lambda: "another version")
    assert bench.resume(accept_version=True).kept == 3
    assert bench.resume().kept == 2 and bench.ran() == ["calls"]
    script.write_text("#!/bin/sh\necho 2 > $1/x\n")
    assert bench.resume().kept == 2 and bench.made()["script/x"] == "2\n"


def test_another_image_counts_where_no_code_is_known(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("own", ": noescape"), sh("other", "true"))
    write_flow(tmp_path, *[sh("own", ": noescape") | {"image": "new"}, sh("other", "true") | {"image": "new"}])
    assert bench.resume().kept == 1 and bench.ran() == ["other"]


def test_a_second_engine_is_refused(done: Bench) -> None:
    with EngineLock(done.place):
        assert engine_pid(done.place) is not None
        with pytest.raises(WorkError, match="is working on it already"):
            done.resume()
    assert engine_pid(done.place) is None and done.resume().kept == 4


def test_a_run_can_be_ended_from_outside_and_gone_on_with(tmp_path: Path) -> None:
    """Everything stops, waiting groups too; outputs are not uploaded; a resume ends it well."""
    bench = Bench(tmp_path)
    tasks = [
        sh("quick", "true"),
        sh(
            "a",
            f"touch {tmp_path}/up; echo 1 > {{{{output}}}}/x; [ -e {tmp_path}/go ] || sleep 60",
            outputs=[{"url": "out"}],
        ),
        sh("b", "true", needs=["a"]),
    ]

    def ask() -> None:
        while not (tmp_path / "up").exists():
            time.sleep(0.01)
        assert request_cancel(bench.runs / "demo-1", "enough")

    thread = threading.Thread(target=ask)
    thread.start()
    start = time.monotonic()
    outcome = bench.run(*tasks)
    thread.join()
    assert time.monotonic() - start < 10 and outcome.status == "FAILED_CANCELED"
    assert [bench.status(n) for n in ("quick", "a", "b")] == ["COMPLETED", "FAILED_CANCELED", "FAILED_CANCELED"]
    assert "enough" in bench.message("a") and not (tmp_path / "out").exists() and leftovers(bench.place) == []
    (tmp_path / "go").touch()
    assert bench.resume().status == "COMPLETED" and bench.ran() == ["a", "b"]
    assert not request_cancel(bench.place.path)


def test_run_numbers_are_never_given_twice(tmp_path: Path) -> None:
    """Sixteen at once get sixteen folders, also beside foreign names."""
    from noescape.flow.engine.layout import reserve

    for name in ("demo-7", "demo-x", "demos-99", "other-3-1"):
        (tmp_path / name).mkdir()
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(reserve(tmp_path, "demo").id)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=lambda n: int(n[5:])) == [f"demo-{n}" for n in range(8, 24)]


def test_two_that_write_one_folder_are_refused_before_work_starts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(UsageError, match="tasks a and b both write"):
        bench.run(sh("a", "true", outputs=[{"url": "out"}]), sh("b", "true", outputs=[{"url": "./out/../out/deeper"}]))
    assert not bench.runs.exists()
    first = [sh("a", f"touch {tmp_path}/ran; echo 1 > {{{{output}}}}/x", outputs=[{"url": "out"}])]
    assert bench.run(*first).status == "COMPLETED"
    (tmp_path / "ran").unlink()
    with pytest.raises(WorkError, match="out"):
        bench.run(*first)
    assert not (tmp_path / "ran").exists() and bench.place.id == "demo-1"
    assert bench.resume().kept == 1, "its own run may go on with it"


def test_the_journal_alone_tells_everything(done: Bench) -> None:
    """status.json, engine.log and workflow.yaml can be lost; a torn last line is cut off."""
    for path in (done.place.status, done.place.log, done.place.workflow):
        path.unlink(missing_ok=True)
    with done.place.journal.open("ab") as f:
        f.write(b'{"event": "task", "task": "la')
    assert done.resume().kept == 4 and done.place.status.exists()
    assert [row["event"] for row in read_jsonl(done.place.journal)][-2:] == ["engine", "end"]


def test_a_lost_task_folder_is_made_again(done: Bench) -> None:
    shutil.rmtree(done.place.path / "tasks")
    assert done.resume().status == "COMPLETED" and done.made()["last/x"] == "ABC\n"
