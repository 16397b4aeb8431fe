"""Commands of noescape that are killed at a chosen moment.

A server process imports everything once and forks a child for each command, so that kills fall into the work and
not into the imports. A child can be killed from inside, just before its n-th change of a file under a folder (Python
tells of each through its audit hooks), or from outside, after some time.

    python tests/killing.py        reads one job a line from stdin, answers one line each: see `Server.run`
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
HARMLESS = {"SOURCE_DATE_EPOCH": "1750000000", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Server:
    """The forking process; a context manager."""

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | HARMLESS,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def run(
        self, arguments: list[str], *, watch: Path, change: int | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Run `noescape ARGUMENTS`, killed before change number `change` (from 1) under `watch`, or after `seconds`.

        Returns `killed`, the exit `code` (None if killed), the number of `changes` (None if killed), `seconds` and
        what it said (`text`).
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        job = {"arguments": arguments, "watch": str(watch), "change": change, "seconds": seconds}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def _serve() -> None:
    import gc
    import importlib

    import safetensors.numpy  # noqa: F401
    import torch  # noqa: F401

    import noescape.anomaly.evaluate
    import noescape.anomaly.fit
    import noescape.anomaly.inspect
    import noescape.anomaly.recompute
    import noescape.features.nets.efficientnet_lite  # noqa: F401
    from noescape.cli.main import parser

    parser()
    importlib.import_module("openvino.tools.ovc")  # after noescape, which keeps its telemetry out
    gc.collect()
    gc.freeze()  # what never changes needs no copy in the children
    for line in sys.stdin:
        print(json.dumps(_one(json.loads(line))), flush=True)


def _one(job: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    said = Path(os.environ.get("TMPDIR", "/tmp")) / f"noescape-killing-{os.getpid()}.txt"  # noqa: S108
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(job, writer, said)
    os.close(writer)
    if job["seconds"] is not None:
        time.sleep(job["seconds"])
        os.kill(pid, signal.SIGKILL)  # if it has ended by itself, this goes to a zombie: no harm
    _, status = os.waitpid(pid, 0)
    os.set_blocking(reader, False)  # a process that the child left behind may hold the other end
    with os.fdopen(reader, "rb") as pipe:
        changes = (pipe.read() or b"").decode()
    text = said.read_text("utf-8", "replace") if said.exists() else ""
    said.unlink(missing_ok=True)
    killed = os.WIFSIGNALED(status)
    return {
        "killed": killed,
        "code": None if killed else os.WEXITSTATUS(status),
        "changes": int(changes) if changes else None,
        "seconds": time.monotonic() - start,
        "text": text[-3000:],
    }


def _child(job: dict[str, Any], writer: int, said: Path) -> None:
    code = 99
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        count = 0
        watched = job["watch"]

        def hook(event: str, args: tuple[Any, ...]) -> None:
            nonlocal count
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if (writes or event in CHANGES) and watched in os.fsdecode(args[0] if args[0] is not None else ""):
                count += 1
                if count == job["change"]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        from noescape.cli.main import main

        code = main(job["arguments"])
        os.write(writer, str(count).encode())
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 98
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
