"""The one clock for stamps in files; SOURCE_DATE_EPOCH stops it, so that repeats give the same bytes."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from noescape.records import UsageError


def utc_stamp() -> str:
    """Now as `2026-01-29T15:00:00Z`, or the moment that SOURCE_DATE_EPOCH names."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.fromtimestamp(int(epoch) if epoch else time.time(), UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH: expected whole seconds since 1970, got {epoch!r}") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def clock_is_stopped() -> bool:
    """Whether SOURCE_DATE_EPOCH is set: then durations, which no two runs share, are left out of what is written."""
    return bool(os.environ.get("SOURCE_DATE_EPOCH"))
