"""What a task sees of the caller's environment: a short list of names, never the whole.

Shells of developers hold tokens and keys; a task gets those it asked for as credentials and no other.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

MARK = "NOESCAPE_RUN"
_NAMES = """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TERM TMPDIR TMP TEMP
    VIRTUAL_ENV CONDA_PREFIX LD_LIBRARY_PATH LIBRARY_PATH XDG_CACHE_HOME XDG_RUNTIME_DIR
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
    http_proxy https_proxy no_proxy all_proxy ftp_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY FTP_PROXY
    SOURCE_DATE_EPOCH NUMBA_CACHE_DIR NUMBA_NUM_THREADS HF_HOME HF_HUB_OFFLINE TORCH_HOME
"""
_STARTS = ("LC_", "PYTHON", "CUDA_", "OMP_", "OPENBLAS_", "MKL_")
_PASSED = frozenset(_NAMES.split())
_OWN = (MARK, "CUDA_VISIBLE_DEVICES")


def from_caller(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of the caller's environment that every task gets."""
    kept = {k: v for k, v in environ.items() if (k in _PASSED or k.startswith(_STARTS)) and k not in _OWN}
    kept["PATH"] = _path(kept.get("PATH", os.defpath))
    return kept


def _path(path: str) -> str:
    """PATH on which `noescape` is this very program, so that tasks run the code that the engine reasons about."""
    here = Path(sys.executable).parent
    own = here / "noescape"
    if not own.exists() or shutil.which("noescape", path=path) == str(own):
        return path
    return f"{here}{os.pathsep}{path}" if path else str(here)


def mark(run_id: str, token: str, task: str = "", retry: int | None = None) -> str:
    """The value by which processes of a run, or of one try, are found again."""
    return f"{run_id}:{token}/" + ("" if retry is None else f"{task}/{retry}/")
