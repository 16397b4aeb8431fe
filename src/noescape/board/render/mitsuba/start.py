"""Mitsuba itself, imported once and in one place."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from contextlib import nullcontext, suppress
from typing import Any

from noescape.board.render.mitsuba.llvm import Llvm, candidates, load
from noescape.records import UsageError, WorkError

INSTALL = "pip install 'noescape[board]'"


def start(variant: str, llvm: Llvm | None = None) -> Any:
    """The module `mitsuba` with `variant` chosen.

    Compiled kernels are kept in a temporary folder until the process ends, unless DRJIT_CACHE_DIR names one: making
    them costs 0.3 CPU-s, and nothing is left in the user's home.
    """
    if "DRJIT_CACHE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="noescape-kernels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["DRJIT_CACHE_DIR"] = folder
    _prepare(variant, llvm)
    try:
        module = importlib.import_module("mitsuba")
    except ImportError as error:
        raise UsageError(f"Mitsuba is not installed ({error}): {INSTALL}") from None
    if module.variant() != variant:
        module.set_variant(variant)
    module.set_log_level(module.LogLevel.Error)  # it logs to stdout
    return module


def _prepare(variant: str, llvm: Llvm | None) -> None:
    """Put an LLVM in place before drjit comes in and looks for one, also if it is needed only later in this process."""
    if "drjit" not in sys.modules:
        found = llvm or next(iter(candidates()), None)
        if found is not None:
            with suppress(OSError) if llvm is None else nullcontext():
                load(found)
    elif llvm is not None and variant.startswith("llvm") and llvm.library != os.environ.get("DRJIT_LIBLLVM_PATH"):
        raise WorkError(  # it has found another one, and a wrong one would end this process
            "drjit was imported before the renderer was started; import it after that, or not at all"
        )
