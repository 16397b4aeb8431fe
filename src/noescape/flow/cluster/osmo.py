"""The cluster, by way of the installed `osmo` command: one method per command, plain values out, clear errors.

Every call has a time limit. Answers are read tolerantly (unknown keys stay, missing ones are None). Secrets go into
no argument, and what the command says in an error is shown without them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.flow.cluster.capture import Captured, capture
from noescape.flow.cluster.osmo_error import INTERRUPTED, OsmoError, refuse, said, tidy
from noescape.flow.watching.foreign import secrets_in
from noescape.records import UsageError

VARIABLE = "NOESCAPE_OSMO"
PRIORITIES = ("HIGH", "NORMAL", "LOW")
LONG_SECRET = 12  # shorter ones may be words that stand in any path
LOG_BYTES = 8 << 20  # of a log, the end: enough for thousands of lines


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What a submission answered; `text` is the rendered file of a dry run."""

    id: str | None
    overview: str | None = None
    dashboard_url: str | None = None
    warnings: tuple[str, ...] = ()
    text: str = ""
    raw: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The end of a log. `cut`: it goes on (a task that runs), or more lies before it."""

    lines: tuple[str, ...]
    cut: bool = False


def find_osmo(environ: Mapping[str, str] | None = None, *, timeout_s: float = 60.0) -> Osmo:
    """The installed command: the path in NOESCAPE_OSMO, else `osmo` on PATH. UsageError if there is none."""
    source = os.environ if environ is None else environ
    named = source.get(VARIABLE)
    path = shutil.which(named or "osmo", path=source.get("PATH"))
    if path is None:
        where = f"{VARIABLE}={named} is no program that can be run" if named else "there is no `osmo` on PATH"
        raise UsageError(
            f"the cluster needs its own command, and {where}: install the osmo client, `osmo login URL`, or name it "
            f"with {VARIABLE}. Without a cluster, `noescape flow run` runs the same file on this machine"
        )
    return Osmo(command=str(Path(path).absolute()), timeout_s=timeout_s)


def has_osmo(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the command is installed."""
    try:
        find_osmo(environ)
    except UsageError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Osmo:
    """The command at `command`. Each method is one call of it; all raise OsmoError, with what to do, when it fails."""

    command: str
    timeout_s: float = 60.0

    def submit(
        self,
        file: Path,
        *,
        pool: str | None = None,
        sets: Sequence[str] = (),
        string_sets: Sequence[str] = (),
        priority: str | None = None,
        dry_run: bool = False,
    ) -> Submitted:
        """Submit `file` as it is; the new run's id. 5 minutes at most. What must be checked first: `submit.prepare`."""
        words = ["workflow", "submit", str(file.absolute()), *(("--pool", pool) if pool else ())]
        words += ["--set", *sets] if sets else []
        words += ["--set-string", *string_sets] if string_sets else []
        words += ["--priority", priority] if priority else []
        words += ["--dry-run"] if dry_run else []
        words += ["--format-type", "json"]
        if dry_run:  # answers with the rendered text, whatever format is asked for
            return Submitted(id=None, text=self._text(words, timeout_s=300))
        answer = self._object(words, timeout_s=300)
        name = _text(answer.get("name"))
        if name is None:
            raise OsmoError(
                "garbled",
                f"`osmo workflow submit` answered without the id of the run: {tidy(json.dumps(answer))[:300]}",
            )
        warnings = answer.get("warnings")
        return Submitted(
            id=name,
            overview=_text(answer.get("overview")),
            dashboard_url=_text(answer.get("dashboard_url")),
            warnings=tuple(str(w) for w in warnings) if isinstance(warnings, list) else (),
            raw=answer,
        )

    def query(self, run_id: str, *, verbose: bool = False) -> dict[str, Any]:
        """The query JSON of a run; `verbose`: with every try of every task."""
        return self._object(["workflow", "query", _word(run_id), *(["--verbose"] if verbose else []), "-t", "json"])

    def logs(
        self,
        run_id: str,
        *,
        task: str | None = None,
        retry_id: int | None = None,
        error: bool = False,
        lines: int | None = 200,
        timeout_s: float = 20.0,
    ) -> Logs:
        """The last `lines` of a log, as they are (`foreign.harmless` before a terminal sees them).

        The log of a task that runs never ends: after `timeout_s` what came is returned. `retry_id` 0 and None both
        give the latest try, as the command itself has it. Memory: at most 16 MiB, however long the log is.
        """
        if task is None and (retry_id or error):
            raise UsageError("logs: name the task whose try or error log you want (-t TASK)")
        words = ["workflow", "logs", _word(run_id)]
        words += ["--task", _word(task)] if task else []
        words += ["--retry-id", str(retry_id)] if retry_id else []
        words += ["--error"] if error else []
        words += ["-n", str(lines)] if lines else []
        done = self._run(words, timeout_s=timeout_s, limit=LOG_BYTES, keep_end=True)
        text = done.out.decode("utf-8", "replace")
        if done.code is None and not text:
            raise OsmoError("silent", f"`osmo {said(words)}` said nothing for {timeout_s:.0f} s; try again")
        if done.code not in (0, None, INTERRUPTED):
            refuse(words, done)
        found = text.split("\n")
        if not done.out_cut and found and found[0].startswith("Workflow ") and found[0].rstrip().endswith("logs:"):
            del found[0]  # its banner
        if found and not found[-1]:
            del found[-1]
        more = lines is not None and len(found) > lines
        return Logs(lines=tuple(found[-lines:] if lines else found), cut=done.code != 0 or done.out_cut or more)

    def spec(self, run_id: str) -> str:
        """The rendered file of a run."""
        return self._text(["workflow", "spec", _word(run_id)])

    def cancel(self, run_id: str, *, message: str | None = None, force: bool = False) -> str:
        """Ask the cluster to cancel a run; what it answered. It says no with exit code 0: that is an error here."""
        words = ["workflow", "cancel", _word(run_id), *(["--message", message] if message else [])]
        text = self._text([*words, *(["--force"] if force else []), "-t", "json"])
        try:
            answer = json.loads(text)
        except ValueError:
            raise OsmoError("refused", f"not canceled: {tidy(text) or 'no reason given'}") from None
        return str(answer.get("name", run_id)) if isinstance(answer, dict) else run_id

    def runs(self, *, count: int = 20, name: str | None = None, statuses: Iterable[str] = ()) -> list[dict[str, Any]]:
        """The newest runs, newest last."""
        words = ["workflow", "list", "-c", str(count), *(["-n", _word(name)] if name else [])]
        found = self._object([*words, *(["-s", *statuses] if statuses else []), "-t", "json"]).get("workflows")
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def data_list(self, url: str, *, recursive: bool = True) -> list[str]:
        """The keys under `url`."""
        words = ["data", "list", _word(url), *(["--recursive"] if recursive else []), "--no-pager"]
        lines = [line for line in self._text(words, timeout_s=600).split("\n") if line.strip()]
        return [line for line in lines if not (line.startswith("Total ") and line.endswith("objects found"))]

    def data_upload(self, url: str, paths: Sequence[Path], *, regex: str | None = None) -> None:
        """Upload files and folders. No limit but a day: data may be large."""
        words = ["data", "upload", _word(url), *(str(path.absolute()) for path in paths)]
        self._text([*words, *(["--regex", regex] if regex else [])], timeout_s=86400)

    def data_download(self, url: str, folder: Path, *, regex: str | None = None, resume: bool = False) -> None:
        """Download what lies under `url` into `folder`, which is made. A day at most."""
        folder.mkdir(parents=True, exist_ok=True)
        words = ["data", "download", _word(url), str(folder.absolute()), *(["--regex", regex] if regex else [])]
        self._text([*words, *(["--resume"] if resume else [])], timeout_s=86400)

    def credentials(self) -> list[dict[str, Any]]:
        """Names and types of the credentials that are set; never their values."""
        found = self._object(["credential", "--format-type", "json", "list"]).get("credentials")
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def profile(self) -> dict[str, Any]:
        """Settings of the user: `profile` (with its default `pool`), accessible `pools`, `roles`."""
        answer = self._object(["profile", "list", "-t", "json"])
        return {"profile": {}, "pools": [], "roles": [], **{k: v for k, v in answer.items() if v is not None}}

    def pools(self, *names: str, mode: str = "free") -> dict[str, Any]:
        """Pools with their quota and capacity, as the cluster tells them."""
        chosen = ["-p", *(_word(name) for name in names)] if names else []
        return self._object(["pool", "list", *chosen, "-m", mode, "-t", "json"])

    def config(self, kind: str, *names: str) -> dict[str, Any]:
        """A part of the cluster's configuration (POD_TEMPLATE …), for administrators."""
        return self._object(["config", "show", _word(kind), *(_word(name) for name in names)])

    def _object(self, words: Sequence[str], *, timeout_s: float | None = None) -> dict[str, Any]:
        text = self._text(words, timeout_s=timeout_s)
        start = text.find("{")  # a notice may stand before it
        try:
            value = json.loads(text if start < 0 else text[start:])
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        raise OsmoError("garbled", f"`osmo {said(words)}`: expected a JSON object, got {tidy(text)[:300] or 'nothing'}")

    def _text(self, words: Sequence[str], *, timeout_s: float | None = None) -> str:
        limit_s = timeout_s or self.timeout_s
        done = self._run(words, timeout_s=limit_s)
        if done.code is None:
            raise OsmoError(
                "silent", f"`osmo {said(words)}` did not answer within {limit_s:.0f} s; is the cluster reachable?"
            )
        if done.code != 0:
            refuse(words, done)
        if done.out_cut:
            raise OsmoError("garbled", f"`osmo {said(words)}` answered more than 64 MiB")
        return done.out.decode("utf-8", "replace")

    def _run(
        self, words: Sequence[str], *, timeout_s: float, limit: int = 64 << 20, keep_end: bool = False
    ) -> Captured:
        refuse_secrets(words)
        try:
            return capture([self.command, *words], timeout_s=timeout_s, limit=limit, keep_end=keep_end)
        except OSError as error:
            raise UsageError(f"{self.command} cannot be run ({error.strerror or error}); see {VARIABLE}") from None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _word(value: str) -> str:
    """A value that cannot be taken for a flag."""
    if not value or value.startswith("-") or "\0" in value:
        raise UsageError(f"expected a name or an address, got {value!r}")
    return value


def refuse_secrets(words: Sequence[str]) -> None:
    """UsageError if a secret of the environment is a word or its value, or (a long one) stands within a word."""
    for secret in secrets_in():
        for word in words:
            knob, equals, value = word.partition("=")
            if secret in (word, value) or (len(secret) >= LONG_SECRET and secret in word):
                what = f"the value of {knob!r}" if equals and secret not in knob else "an argument"
                raise UsageError(
                    f"{what} holds a secret of your environment, and every user of a machine can read command lines: "
                    "pass it as a credential (`credentials:` of the task, `osmo credential set NAME --payload-file …`)"
                )
