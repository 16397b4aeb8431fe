"""Why a task failed, as one of a few classes, each with its mend: a table, read from the top.

What the scheduler says (status, exit code beyond 255) comes first, then what the task's own last words say, then its
exit code. The words of a log are the weakest witness: only its last lines count, the latest match wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from noescape.flow.watching.foreign import discreet, harmless
from noescape.flow.watching.snapshot import Snapshot, TaskState, failed

LAST_WORDS = 60  # lines of the log that are searched


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One class of failure: its short stable name, what it means, and what to do."""

    name: str
    meaning: str
    mend: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one try of a task failed. `evidence` is the line that told, if a line did."""

    task: str
    group: str
    retry_id: int
    status: str
    exit_code: int | None
    kind: str
    meaning: str
    mend: str
    evidence: str = ""


_KINDS = (
    Kind(
        name="credentials",
        meaning="it was not allowed to read or write something",
        mend="check the credential that the task names (cluster: `osmo credential list`; here: the variable or .env "
        "line that `noescape flow preflight` asks for), that it has not run out, and that it may read that address",
    ),
    Kind(
        name="artifact missing",
        meaning="an input that should be there is not",
        mend="`noescape flow preflight NAME` lists what is missing, with the setup command that makes it",
    ),
    Kind(
        name="transfer",
        meaning="data could not be copied in or out",
        mend="try `noescape flow data list URL` for the addresses of the task; if that works, run again",
    ),
    Kind(
        name="out of memory",
        meaning="it ran out of memory",
        mend="give its resource more `memory` (or a larger GPU), or its command less at once (batch, workers, size)",
    ),
    Kind(
        name="out of memory or killed",
        meaning="exit code 137: it was killed, by the kernel for want of memory, or by someone or something else",
        mend="look whether its memory was full (then give its resource more `memory`); if not, who killed it: an "
        "eviction, an operator, a timeout. Map 137 to RESCHEDULE in exitActions if it may be tried again",
    ),
    Kind(
        name="disk full",
        meaning="there was no room left to write",
        mend="give its resource more `storage`, or make room; `noescape flow runs prune` frees that of old runs",
    ),
    Kind(
        name="evicted",
        meaning="the cluster took the machine away (eviction or preemption); its outputs were not uploaded",
        mend="submit again with a higher --priority, or allow RESCHEDULE for its exit codes; set a checkpoint",
    ),
    Kind(
        name="image pull",
        meaning="its image could not be fetched or started",
        mend="check the image's name and tag, and that a REGISTRY credential for its registry is set",
    ),
    Kind(
        name="timeout",
        meaning="its time was up",
        mend="raise `timeout` (`exec_timeout` for running, `queue_timeout` for waiting) or give it more to work with",
    ),
    Kind(
        name="upstream",
        meaning="something that it needs failed before it",
        mend="mend the failure above; this task was never tried",
    ),
    Kind(
        name="lead ended",
        meaning="the lead of its group ended, and with it the group",
        mend="look at the lead of the group",
    ),
    Kind(
        name="canceled",
        meaning="somebody canceled the run",
        mend="submit or run it again if that was not meant",
    ),
    Kind(
        name="start error",
        meaning="it could not be started",
        mend="look at the events of the run (cluster: `osmo workflow events ID --task TASK`): mounts, devices, a "
        "pod template; here: is the command installed?",
    ),
    Kind(
        name="server",
        meaning="the cluster's own machinery failed, not the task",
        mend="try again later; if it comes again, tell the people who run the cluster",
    ),
    Kind(
        name="user code",
        meaning="its own command failed",
        mend="read the end of its log",
    ),
    Kind(
        name="unknown",
        meaning="it failed in a way that is not in the table",
        mend="read its log and its failure message",
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}

STATUSES = {
    "FAILED_UPSTREAM": "upstream",
    "FAILED_CANCELED": "canceled",
    "FAILED_EVICTED": "evicted",
    "FAILED_PREEMPTED": "evicted",
    "FAILED_IMAGE_PULL": "image pull",
    "FAILED_EXEC_TIMEOUT": "timeout",
    "FAILED_QUEUE_TIMEOUT": "timeout",
    "FAILED_START_TIMEOUT": "timeout",
    "FAILED_START_ERROR": "start error",
    "FAILED_SERVER_ERROR": "server",
    "FAILED_BACKEND_ERROR": "server",
    "FAILED_SUBMISSION": "server",
}
# First and last code, class. None: the words decide between credentials, a missing artifact and a failed transfer.
CODES: tuple[tuple[int, int, str | None], ...] = (
    (256, 257, "start error"),
    (301, 305, "image pull"),
    (1001, 1001, "start error"),
    (2010, 2012, None),
    (2013, 2014, "credentials"),
    (2020, 2020, "credentials"),
    (2002, 2040, "server"),
    (3000, 3000, "upstream"),
    (3001, 3002, "server"),
    (3003, 3003, "start error"),
    (3004, 3004, "evicted"),
    (3005, 3005, "timeout"),
    (3006, 3006, "evicted"),
    (4000, 4000, "unknown"),
)
_LEAD_ENDED = re.compile(r"\blead( task)?( has)? (ended|finished|failed)", re.IGNORECASE)
WORDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("disk full", r"no space left on device|disk quota exceeded|ENOSPC\b"),
        ("out of memory", r"out of memory|OutOfMemoryError|OOMKilled|\bMemoryError\b|bad_alloc|cannot allocate memory"),
        (
            "credentials",
            r"access ?denied|invalid ?access ?key|signature ?does ?not ?match|expired ?token|no ?credentials|"
            r"unauthori[sz]ed|\b401\b.{0,40}(client error|unauth)|\b403\b.{0,40}forbidden|forbidden.{0,20}\b403\b|"
            r"gated repo|invalid (api key|credentials|token)|authentication (failed|required)|permission denied.*token",
        ),
        ("image pull", r"ImagePullBackOff|ErrImagePull|manifest unknown|pull access denied"),
        (
            "artifact missing",
            r"no ?such ?(key|bucket)|\b404\b.{0,40}not found|not found.{0,20}\b404\b|RepositoryNotFound|"
            r"(FileNotFoundError|no such file or directory).*/input/|/input/.*no such file or directory|"
            r"required artifact|input .{0,80}(is missing|does not exist|is empty)",
        ),
    )
)


def classify(
    status: str, exit_code: int | None = None, message: str = "", tail: Sequence[str] = ()
) -> tuple[Kind, str]:
    """The class of a failure, and the line (harmless, without secrets) that told it, or ''."""
    words = [message, *reversed(tail[-LAST_WORDS:])] if message else list(reversed(tail[-LAST_WORDS:]))
    if status in STATUSES:
        return KINDS[STATUSES[status]], _shown(message)
    for first, last, name in CODES:
        if exit_code is not None and first <= exit_code <= last:
            if name:
                return KINDS[name], _shown(message)
            kind, line = _by_words(words, {"credentials", "artifact missing", "disk full"})
            return (kind, line) if kind else (KINDS["transfer"], _shown(message))
    if _LEAD_ENDED.search(message):
        return KINDS["lead ended"], _shown(message)
    kind, line = _by_words(words, set(KINDS))
    if kind:
        return kind, line
    if exit_code == 137:
        return KINDS["out of memory or killed"], _shown(message)
    last_line = next((line for line in reversed(tail) if line.strip()), message)
    if exit_code is not None and 0 <= exit_code <= 255:
        return KINDS["user code"], _shown(last_line)
    return KINDS["unknown"], _shown(message or last_line)


def _by_words(words: Iterable[str], wanted: set[str]) -> tuple[Kind | None, str]:
    for line in words:
        for name, pattern in WORDS:
            if name in wanted and pattern.search(line[:4000]):
                return KINDS[name], _shown(line)
    return None, ""


def _shown(line: str) -> str:
    return harmless(discreet(line)).strip()[:300]


def explain(task: TaskState, tail: Sequence[str] = ()) -> Failure:
    """Why this try failed; give the end of its log where there is one."""
    kind, evidence = classify(task.status, task.exit_code, task.failure_message, tail)
    return Failure(
        task=task.name,
        group=task.group,
        retry_id=task.retry_id,
        status=task.status,
        exit_code=task.exit_code,
        kind=kind.name,
        meaning=kind.meaning,
        mend=kind.mend,
        evidence=evidence,
    )


def needs_log(task: TaskState) -> bool:
    """Whether the log can tell more about this failure: not where the task never ran or was told to stop."""
    return failed(task.status) and STATUSES.get(task.status) not in ("upstream", "canceled", "image pull", "server")


def explain_all(snapshot: Snapshot, tail_of: Callable[[TaskState], Sequence[str]]) -> tuple[Failure, ...]:
    """Every failed task, causes before consequences (what failed upstream or with its lead comes last)."""
    found = [explain(task, tail_of(task) if needs_log(task) else ()) for task in snapshot.tasks if failed(task.status)]
    return tuple(sorted(found, key=lambda failure: failure.kind in ("upstream", "lead ended")))


def sentence(failure: Failure, *alike: Failure) -> str:
    """`task: class (status, exit code): meaning [evidence]` and its mend; `alike` failed in the same way."""
    code = "" if failure.exit_code is None else f", exit code {failure.exit_code}"
    told = f" [{failure.evidence}]" if failure.evidence else ""
    names = ", ".join(harmless(one.task) for one in (failure, *alike))
    return (
        f"{names}: {failure.kind} ({harmless(failure.status)}{code}): {failure.meaning}{told}\n  mend: {failure.mend}"
    )
