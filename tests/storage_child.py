"""Uploads and downloads in a process of their own that may be killed, starved or disarmed at a chosen point.

A server process imports everything once and forks a child for each job, as `killing.py` does for commands.

    python tests/storage_child.py        reads one job a line from stdin, answers one line each: see `Children.run`
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "shutil.rmtree", "ctypes.dlsym")


class Children:
    """The forking process; a context manager."""

    def __enter__(self) -> Children:
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

    def run(self, do: str, url: object, path: object, **options: Any) -> dict[str, Any]:
        """`do` is 'upload' (from `path`) or 'download' (to it). Options, all of them off unless given:

        owner, secrets: as for a store. change: kill before the n-th change (from 1) of a file whose path holds `watch`.
        call: kill before the n-th call to an object store. seconds: kill after so long. limit: largest size of a file
        in bytes. powerless: not even root may write where the mode forbids it. swapless: folders cannot change places.

        Returns `killed`, `error` ('' if none) and its `kind`, the counts `changes` and `calls`, and `grown`: by how
        many bytes the memory of the child was larger at its peak than when the job began.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        job = {"do": do, "url": str(url), "path": str(path), "owner": "flow/task", "watch": "", **options}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def _serve() -> None:
    import gc

    import noescape.flow.storage
    import noescape.flow.storage.remote  # noqa: F401

    with suppress(ImportError):
        import s3fs  # noqa: F401
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_one(json.loads(line))), flush=True)


def _one(job: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.dup2(2, 1)
        answer: dict[str, Any] = {"killed": False}
        try:
            answer |= _work(job)
        except BaseException as error:
            answer |= {"error": str(error) or repr(error), "kind": type(error).__name__}
        os.write(writer, json.dumps(answer | _counts(job)).encode())
        os._exit(0)
    os.close(writer)
    if job.get("seconds") is not None:
        time.sleep(job["seconds"])
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"killed": os.WIFSIGNALED(status)} | (json.loads(data) if data else {})


_seen = {"changes": 0, "calls": 0, "start": 0}


def _work(job: dict[str, Any]) -> dict[str, Any]:
    from noescape.flow.storage import open_store, swap
    from noescape.flow.storage.objects import Objects

    if job.get("limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    if job.get("powerless"):
        _disarm()
    if job.get("swapless"):
        swap.exchange = lambda one, other: False  # type: ignore[attr-defined]
    call = Objects._call

    def counted(self: Objects, *args: Any, **options: Any) -> Any:
        _step("calls", job.get("call"))
        return call(self, *args, **options)

    Objects._call = counted  # type: ignore[method-assign]
    sys.addaudithook(lambda event, args: _watch(event, args, job))
    Path("/proc/self/clear_refs").write_text("5")
    _seen["start"] = _peak()
    store = open_store(job["url"], secrets=job.get("secrets") or {})
    if job["do"] == "upload":
        store.upload(Path(job["path"]), owner=job["owner"])
    else:
        store.download(Path(job["path"]))
    return {"error": "", "kind": ""}


def _watch(event: str, args: tuple[Any, ...], job: dict[str, Any]) -> None:
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if not writes and event not in CHANGES:
        return
    inside = event in ("os.remove", "os.rmdir") and args[1] != -1  # a bare name in a folder that is open: of a tree
    if inside or event == "ctypes.dlsym" or job["watch"] in os.fsdecode(args[0] if args[0] is not None else ""):
        _step("changes", job.get("change"))


def _step(kind: str, fatal: int | None) -> None:
    _seen[kind] += 1
    if _seen[kind] == fatal:
        os.kill(os.getpid(), signal.SIGKILL)


def _counts(job: dict[str, Any]) -> dict[str, Any]:
    return {"changes": _seen["changes"], "calls": _seen["calls"], "grown": _peak() - _seen["start"]}


def _peak() -> int:
    """Bytes of memory at the peak so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def _disarm() -> None:
    """Give up every capability of root, so that modes of files mean something."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), errno.errorcode[ctypes.get_errno()])


if __name__ == "__main__":
    _serve()
