"""OpenVINO's converter reports each use over the network and keeps an identity in the home folder: not from here."""

from __future__ import annotations

import sys
from typing import Any

PACKAGE = "openvino_telemetry"  # of its own; where it is not found, OpenVINO goes on without
_SPEAKING = ("init", "send_event", "start_session", "end_session", "send_error", "send_stack_trace")


def silence_telemetry() -> None:
    """From now on nothing of this process is reported, whether OpenVINO was imported before or will be later.

    Later: the package is not found. Before: its class is in use already, so its methods that speak do nothing any
    more; what the program around sent until now was its own doing.
    """
    loaded = sys.modules.setdefault(PACKAGE, None)  # type: ignore[arg-type]
    if loaded is not None:
        for name in _SPEAKING:
            setattr(loaded.Telemetry, name, _say_nothing)


def _say_nothing(*_: Any, **__: Any) -> None:
    """Stand in for any method that would speak."""
