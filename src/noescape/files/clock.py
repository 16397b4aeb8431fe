"""The one clock for stamps in files; SOURCE_DATE_EPOCH stops it, so that repeats give the same bytes."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def utc_stamp() -> str:
    """Now as `2026-01-29T15:00:00Z`, or the moment that SOURCE_DATE_EPOCH names."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch) if epoch else time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
