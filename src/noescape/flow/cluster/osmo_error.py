"""What a failed call of the cluster's command means, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NoReturn

from noescape.flow.cluster.capture import Captured
from noescape.flow.watching.foreign import discreet, harmless_lines
from noescape.records import WorkError

# The command's own exit codes: 0 done, 1 refused (submission, arguments), 2 any other error, and these.
INTERRUPTED, SERVER, BUSY = 3, 10, 75
_HINTS = {
    401: "; `osmo login URL` first",
    403: "; this needs a right that you have not",
    404: "; is the id or address right?",
}


class OsmoError(WorkError):
    """The cluster or its command said no, or nothing. `reason` is a short stable word; `again` = waiting may help."""

    def __init__(self, reason: str, message: str, *, code: int | None = None, status: int | None = None) -> None:
        """`code` is the command's exit code, `status` the one that the server answered with, such as 403."""
        super().__init__(message)
        self.reason, self.code, self.status = reason, code, status

    @property
    def again(self) -> bool:
        """Whether the same call may work a little later."""
        return self.reason in ("busy", "unreachable", "silent")


def refuse(words: Sequence[str], done: Captured) -> NoReturn:
    """Raise the OsmoError of the failed call `osmo words…`."""
    code, text = done.code, done.out.decode("utf-8", "replace") or done.err.decode("utf-8", "replace")
    message, server_code = _message(text)
    where = f"`osmo {said(words)}`"
    detail = f": {message}" if message else ""
    if code == BUSY or server_code == 429:
        raise OsmoError(
            "busy", f"{where}: the cluster asks to be left alone for a while; wait, then try again", code=75
        )
    if code == SERVER:
        raise OsmoError(
            "unreachable",
            f"{where}: the server does not answer, or failed{detail}. Is the network up? `osmo login URL` if the "
            "session ran out; else try again later",
            code=code,
        )
    if code == INTERRUPTED:
        raise OsmoError("stopped", f"{where} was interrupted; run it again", code=code)
    if code == 1:
        raise OsmoError(
            "refused", f"{where}: refused{detail}{_HINTS.get(server_code or 0, '')}", code=code, status=server_code
        )
    raise OsmoError(
        "failed",
        f"{where} failed{detail}{_HINTS.get(server_code or 0, '')} (exit code {code})",
        code=code,
        status=server_code,
    )


def _message(text: str) -> tuple[str, int | None]:
    """What an error said, and the server's own code: from JSON, from `Error message:` lines, else the last lines."""
    start = text.find("{")
    try:
        value = json.loads(text[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and "message" in value:
        code = value.get("code")
        return tidy(str(value["message"])), code if isinstance(code, int) else None
    code_line = next((line for line in text.split("\n") if line.startswith("Error code:")), "")
    digits = code_line.partition(":")[2].strip()
    body = "\n".join(line for line in text.split("\n") if not line.startswith("Error code:"))
    return tidy(body.replace("Error message:", "", 1)), int(digits) if digits.isdecimal() and len(digits) < 6 else None


def tidy(text: str) -> str:
    """The last lines of a message on one line; no traceback, no control characters, no secrets."""
    text = text.split("Traceback (most recent call last)")[0]
    lines = [line.strip() for line in harmless_lines(discreet(text)) if line.strip()]
    return " | ".join(lines[-8:])[:1000]


def said(words: Sequence[str]) -> str:
    """Enough of a call to know it again: the command and its object."""
    return discreet(" ".join(words[:3]))
