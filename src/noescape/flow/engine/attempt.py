"""One try of one task, from its empty folder to its uploaded outputs, in a thread of its own.

The thread does what takes time and tells the engine in messages; the engine decides. Its life:
    stage -> ("staged") -> waits for go -> command -> ("started") -> ... -> ("ended", Ending)
          -> waits for a verdict -> uploads, or not -> ("settled", Ending or None)
"""

from __future__ import annotations

import os
import queue
import secrets as randomness
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any

from noescape.flow.engine import manifest, process, staging
from noescape.flow.engine.checkpoints import Checkpoints
from noescape.flow.engine.environment import MARK, mark
from noescape.flow.engine.identity import task_identity, tool_of
from noescape.flow.engine.localize import localized
from noescape.flow.engine.places import local_place
from noescape.flow.engine.pump import Pump
from noescape.flow.engine.shop import Shop
from noescape.flow.format.spec import Task
from noescape.flow.secrets.credentials import Granted
from noescape.flow.status import CODE_DOWNLOAD, CODE_SERVER, CODE_START_ERROR, CODE_UPLOAD
from noescape.records import NoescapeError

_FULL_BYTES = 1 << 16
_SHARED = "changed while this task ran: it, or another that shares it, wrote into its inputs, which no task may"


@dataclass(frozen=True, slots=True)
class Ending:
    """How something ended. `code` None: it was stopped before there was one."""

    code: int | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine wants done after a command's end."""

    outputs: bool
    checkpoints: bool


class Stopped(Exception):  # noqa: N818 - no error
    """The engine asked for an end."""


class Attempt:
    """See above. `begin`, `go`, `stop`, `kill` and `settle` are called by the engine, and return at once."""

    def __init__(self, shop: Shop, task: Task, retry: int, *, gpus: tuple[str, ...], hosts: tuple[str, ...]) -> None:
        self.task, self.retry = task, retry
        self.folder = shop.run.task(task.name, retry)
        self.marks: dict[str, float] = {}
        self.record: dict[str, Any] = {}
        self.mark = mark(shop.run.id, shop.token, task.name, retry)
        self._shop, self._gpus = shop, gpus
        self._hosts = hosts
        self._local = task  # until it is localized
        self._granted = Granted(environment={}, files={}, secrets=())
        self._linked: list[staging.Linked] = []
        self._go = threading.Event()
        self._verdict: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._checkpoints: Checkpoints | None = None

    def begin(self) -> None:
        """Start to stage."""
        threading.Thread(target=self._live, name=f"{self.task.name}/{self.retry}", daemon=True).start()

    def go(self) -> None:
        """Let the command start."""
        self._go.set()

    def stop(self) -> None:
        """Ask for an end: TERM to the command's group; staging and transfers break off."""
        with self._lock:
            self._stopped = True
            self._signal(signal.SIGTERM)
        self._go.set()

    def kill(self) -> None:
        """KILL to the command's group, and to whatever else carries its mark."""
        with self._lock:
            self._signal(signal.SIGKILL)
        process.kill_marked([self.mark])

    def settle(self, verdict: Verdict) -> None:
        """Say what to do after "ended"."""
        self._verdict.put(verdict)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and not self._ended:
            process.signal_group(self._process.pid, number)

    def _live(self) -> None:
        try:
            ending = self._stage() or self._command()
        except Stopped:
            ending = Ending(None)
        except Exception as error:
            ending = Ending(CODE_SERVER, f"{type(error).__name__}: {error}")
        self._shop.post(("ended", self, self._discreet(ending)))
        verdict = self._verdict.get()
        problem: Ending | None = None
        try:
            problem = self._settle(verdict)
        except Stopped:
            problem = Ending(None)
        except Exception as error:
            problem = Ending(CODE_SERVER, f"{type(error).__name__}: {error}")
        self._shop.post(("settled", self, self._discreet(problem) if problem else None))

    def _discreet(self, ending: Ending) -> Ending:
        if not self._granted.secrets or not ending.message:
            return ending
        from noescape.flow.secrets.mask import mask as masked

        return Ending(ending.code, masked(ending.message, self._granted.secrets))

    def _stage(self) -> Ending | None:
        """Put everything in place and wait for go; an Ending when that cannot be done."""
        code = CODE_START_ERROR
        try:
            root = self._shop.root.task(self.task.name, self.retry)
            self._local = localized(self.task, root, self._shop.run.id, self._hosts)
            self._granted = self._shop.credentials.grant(self.task)
            self.record["tool"] = tool_of(self.task, self._environment().get("PATH", os.defpath))
            staging.clear_earlier(self.folder)
            staging.make_folders(self.folder, len(self.task.inputs))
            code = CODE_DOWNLOAD
            self._stage_inputs()
            code = CODE_START_ERROR
            for file in self._local.files:
                staging.write_file(self.folder, file)
            for mount, files in self._granted.files.items():
                staging.write_secrets(self.folder, mount, files)
            for checkpoint in self.task.checkpoint:
                local_place(self.folder, checkpoint.path).mkdir(parents=True, exist_ok=True)
        except (OSError, NoescapeError, ValueError) as error:
            return Ending(code, _words(error))
        self._shop.post(("staged", self))
        self._go.wait()
        if self._stopped:
            raise Stopped
        return None

    def _stage_inputs(self) -> None:
        facts: list[list[str]] = []
        if self.task.inputs:
            self.marks["input_download_start_time"] = time.time()
        for index, one in enumerate(self._local.inputs):
            dest = self.folder.input(index)
            if one.task is not None:
                source = self._shop.upstream(one.task)
                self._linked += staging.link_input(source.output, manifest.picked(source.made, one.regex), dest)
                facts.append([source.identity, source.tool, source.digest])
            else:
                facts.append([self._download(one.url or "", one.regex, index)])
            self._on_bytes(0)
        if self.task.inputs:
            self.marks["input_download_end_time"] = time.time()
        self.record["identity"] = task_identity(self.task, facts)

    def _download(self, url: str, regex: str | None, index: int) -> str:
        from noescape.flow.engine.urls import input_identity, store_at

        store = store_at(self._shop, url)
        identity = input_identity(self._shop, store, regex)
        if identity is not None:
            store.download(self.folder.input(index), regex=regex, on_bytes=self._on_bytes)
        return identity or ""

    def _on_bytes(self, _: int) -> None:
        if self._stopped:
            raise Stopped

    def _environment(self) -> dict[str, str]:
        own = {**self._shop.environment, **self._local.environment, **self._granted.environment}
        return {**own, "CUDA_VISIBLE_DEVICES": ",".join(self._gpus), MARK: self.mark + randomness.token_hex(8)}

    def _command(self) -> Ending:
        environment = self._environment()
        with Pump(self.folder.log, self._granted.secrets, lambda: process.kill_marked([self.mark])) as pump:
            try:
                with self._lock:
                    if self._stopped:
                        raise Stopped
                    self._process = process.start(
                        [*self._local.command, *self._local.args],
                        cwd=self.folder.work,
                        environment=environment,
                        output=pump.entrance,
                    )
            except (OSError, ValueError) as error:
                return Ending(CODE_START_ERROR, self._start_problem(error, environment))
            finally:
                pump.started()
            self._shop.post(("started", self))
            self._checkpoints = Checkpoints(self._shop, self.task.name, self.folder, self._local.checkpoint)
            code = process.wait_whole(self._process)
            with self._lock:
                self._ended = True
            self._checkpoints.end()
        if pump.problem and not code:
            return Ending(CODE_SERVER, pump.problem)
        return Ending(code, "" if code == 0 else _code_words(code) + self._full_disk())

    def _full_disk(self) -> str:
        """A task cannot say so itself: its log lies on the same disk."""
        space = os.statvfs(self.folder.path)
        full = space.f_bavail * space.f_frsize < _FULL_BYTES
        return f"; the disk of {self.folder.path} is full (No space left on device)" if full else ""

    def _start_problem(self, error: Exception, environment: dict[str, str]) -> str:
        program = self._local.command[0]
        if isinstance(error, FileNotFoundError):
            return (
                f"{program!r} is not on this machine (PATH={environment.get('PATH', '')}): a local run uses the "
                f"programs that are installed, not the image {self.task.image}"
            )
        return f"{program!r} cannot be started: {_words(error)}"

    def _settle(self, verdict: Verdict) -> Ending | None:
        for mount, files in self._granted.files.items():
            for name in files:
                (local_place(self.folder, mount) / name).unlink(missing_ok=True)
        try:
            if verdict.checkpoints and self._checkpoints is not None:
                self._checkpoints.last(self._on_bytes)
            if verdict.outputs:
                touched = staging.written_into(self._linked)
                if touched is not None:
                    return Ending(1, f"{touched} {_SHARED}")
                self._keep_outputs()
        except (OSError, NoescapeError) as error:
            return Ending(CODE_UPLOAD, _words(error))
        return None

    def _keep_outputs(self) -> None:
        made = manifest.take(self.folder.output)
        manifest.write(self.folder.manifest, made)
        self.record |= {
            "digest": manifest.digest_of(made),
            "files": len(made),
            "bytes": sum(one.size for one in made),
        }
        if self._local.outputs:
            from noescape.flow.engine.urls import listing_of, store_at
            from noescape.flow.storage.store import matcher

            self.marks["output_upload_start_time"] = time.time()
            for one in self._local.outputs:
                store = store_at(self._shop, one.url)
                if not any(map(matcher(one.regex), (file.path for file in made))) and not store.exists():
                    continue  # as on a cluster, nothing comes from nothing: no empty folder that looks like a result
                store.upload(
                    self.folder.output,
                    regex=one.regex,
                    owner=self._shop.owner(self.task.name),
                    on_bytes=self._on_bytes,
                )
                self.record.setdefault("urls", {})[store.url] = listing_of(store)


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        where = error.filename if error.filename is not None else ""
        reason = error.strerror or str(error)
        return f"{os.fsdecode(where)}: {reason}" if where else reason
    return str(error)


def _code_words(code: int) -> str:
    if code > 128:
        try:
            return f"ended by signal {signal.Signals(code - 128).name}"
        except ValueError:
            pass
    return f"exit code {code}"
