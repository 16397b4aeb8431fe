"""Local engines that are killed at a chosen moment, all imports done before, so that kills fall into the work.

python tests/flow_killing.py        reads one job a line from stdin, answers one line each: see `Server.run`
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "shutil.rmtree")


class Server:
    """The forking process; a context manager."""

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def run(
        self, arguments: list[str], *, cwd: Path, seconds: float | None = None, change: int | None = None,
        start: int | None = None, task: float | None = None, seed: int = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """Run `noescape ARGUMENTS` in `cwd`, killed after `seconds`, or before change number `change` of a file below
        `cwd`, or right after the `start`-th command was started; or with one process of a task killed after `task`
        seconds.

        Returns whether something was `killed`, the exit `code` (None if the engine was) and what it said (`text`).
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        job = {"arguments": arguments, "cwd": str(cwd), "seconds": seconds, "change": change, "start": start}
        self._process.stdin.write(json.dumps({**job, "task": task, "seed": seed}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def _serve() -> None:
    import jinja2  # noqa: F401

    import noescape.flow.cards.catalog
    import noescape.flow.cards.resolve
    import noescape.flow.engine.run
    import noescape.flow.engine.urls
    import noescape.flow.query
    import noescape.flow.watching.failure
    import noescape.flow.watching.tail  # noqa: F401
    from noescape.cli.main import parser

    parser()
    for line in sys.stdin:
        print(json.dumps(_one(json.loads(line))), flush=True)


def _one(job: dict[str, Any]) -> dict[str, Any]:
    said = Path(job["cwd"]) / "said.txt"
    pid = os.fork()
    if pid == 0:
        _child(job, said)
    if job["seconds"] is not None:
        time.sleep(job["seconds"])
        os.kill(pid, signal.SIGKILL)  # if it has ended by itself, this goes to a zombie: no harm
    task_killed = False
    if job["task"] is not None:
        time.sleep(job["task"])
        task_killed = _kill_a_task(job, pid)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    text = said.read_text("utf-8", "replace") if said.exists() else ""
    return {"killed": killed or task_killed, "code": None if killed else os.WEXITSTATUS(status), "text": text[-3000:]}


def _kill_a_task(job: dict[str, Any], engine: int) -> bool:
    """Kill one process of a task, as soon as there is one; False when the engine ends before."""
    while os.waitid(os.P_PID, engine, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        found = sorted(_processes(job["cwd"]))
        if found:
            try:
                os.kill(random.Random(job["seed"]).choice(found), signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.005)
    return False


def _processes(folder: str) -> Iterator[int]:
    """Processes of tasks that work below `folder`."""
    for place in Path("/proc").glob("[1-9]*"):
        try:
            ours = b"\0NOESCAPE_RUN=" in b"\0" + (place / "environ").read_bytes()
            if ours and str((place / "cwd").readlink()).startswith(folder):
                yield int(place.name)
        except OSError:
            continue


def _child(job: dict[str, Any], said: Path) -> None:
    code = 99
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(job["cwd"])
        _arm(job)
        from noescape.cli.main import main

        code = main(job["arguments"])
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 98
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _arm(job: dict[str, Any]) -> None:
    """Make this process kill itself at the asked-for moment."""
    from noescape.flow.engine import process

    if job["start"] is not None:
        begin, started = process.start, 0

        def start(*args: Any, **more: Any) -> Any:
            nonlocal started
            child = begin(*args, **more)
            started += 1
            if started == job["start"]:
                os.kill(os.getpid(), signal.SIGKILL)
            return child

        process.start = start
    if job["change"] is not None:
        count, watched = 0, job["cwd"]

        def hook(event: str, args: tuple[Any, ...]) -> None:
            nonlocal count
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in CHANGES:
                place = args[0] if isinstance(args[0], (str, bytes)) or hasattr(args[0], "__fspath__") else ""
                if os.fsdecode(place).startswith(watched):
                    count += 1
                    if count == job["change"]:
                        os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
