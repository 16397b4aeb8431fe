"""What the end of a command means: exit actions by exit code, the first that fits in the order of the file."""

from __future__ import annotations

from collections.abc import Mapping

COMPLETE, FAIL, RESCHEDULE = "COMPLETE", "FAIL", "RESCHEDULE"
LAST_OWN_CODE = 255  # beyond are those of inputs, outputs and start


def action_for(actions: Mapping[str, str], code: int | None) -> str:
    """COMPLETE, FAIL or RESCHEDULE. Without a fitting action 0 completes and everything else fails.

    Codes beyond a command's own (its inputs or outputs could not be moved) can be tried again, never completed.
    """
    if code is None:
        return FAIL
    for action, codes in actions.items():
        if holds(codes, code) and not (action == COMPLETE and code > LAST_OWN_CODE):
            return action
    return COMPLETE if code == 0 else FAIL


def holds(codes: str, code: int) -> bool:
    """Whether `137,200-210` names `code`."""
    for part in codes.split(","):
        low, _, high = part.partition("-")
        if int(low) <= code <= int(high or low):
            return True
    return False
