"""What this generator needs beyond the rest of noescape, and how to get it."""

from __future__ import annotations

import importlib.util
import os

from noescape.records import UsageError

MODULES = ("diffusers", "peft", "transformers")
# Their remarks at import (no torchvision, old configurations) are no news to a user; nothing is reported to anyone.
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_TELEMETRY": "1"}
INSTALL = "pip install 'noescape[diffusion]'"


def require_extra() -> None:
    """UsageError with the line to type, where something of the extra `diffusion` is not installed.

    Call it before any of that is imported: it also keeps its remarks quiet.
    """
    lost = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if lost:
        raise UsageError(
            f"the diffusion generator needs {', '.join(lost)}, which {'is' if len(lost) == 1 else 'are'} not installed "
            f"here: {INSTALL}; the exemplar generator needs nothing more"
        )
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
