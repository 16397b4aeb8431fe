"""Which variant of Mitsuba works here; found out in processes of their own, since a wrong LLVM ends the process.

The answer is kept for the process, and in the user's config folder: with a digest of everything it hangs on (versions,
processor, libraries), so that it is asked again when any of that has changed.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from noescape.board.render.mitsuba.llvm import Llvm, candidates
from noescape.board.render.mitsuba.start import INSTALL
from noescape.board.render.mitsuba.trial import WORKS
from noescape.features.machine import config_folder
from noescape.files import read_json_object, write_json
from noescape.records import NoescapeError, UsageError

CUDA, LLVM, SCALAR = "cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb"
VARIANTS = (CUDA, LLVM, SCALAR)
TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The variant to use and with which LLVM; `why`, and what was `tried` in vain before, are for people."""

    variant: str
    llvm: Llvm | None
    why: str
    tried: tuple[str, ...] = ()


_KNOWN: dict[str, Choice] = {}  # of this process


def installed() -> bool:
    """Whether Mitsuba is there at all."""
    return importlib.util.find_spec("mitsuba") is not None and importlib.util.find_spec("drjit") is not None


def choose(variant: str | None = None, *, remember: bool = True) -> Choice:
    """A GPU's variant where there is one, else LLVM's, else scalar; or the named one, if it works.

    NOESCAPE_MITSUBA_VARIANT names one for the whole process. 1 to 3 s, once; `remember` False writes nothing.
    UsageError if Mitsuba is not installed or nothing works, with what each trial said.
    """
    if not installed():
        raise UsageError(f"Mitsuba is not installed: {INSTALL}; or use --engine toy")
    variant = variant or os.environ.get("NOESCAPE_MITSUBA_VARIANT") or None
    if variant is not None and variant not in VARIANTS:
        raise UsageError(f"no variant {variant!r} of Mitsuba is used here; there are {', '.join(VARIANTS)}")
    key = _hangs_on(variant)
    kept = _KNOWN.get(key) or _remembered(key)
    if kept is None:
        kept = _found_out(variant)
        if remember:
            _remember(key, kept)
    _KNOWN[key] = kept
    return kept


def ways(variant: str | None = None) -> Iterator[tuple[str, Llvm | None, str]]:
    """What to try, best first: the variant, its LLVM, and how it is called for people."""
    if variant in (None, CUDA) and (variant or ctypes.util.find_library("cuda")):
        yield CUDA, None, "an NVIDIA GPU"
    if variant in (None, LLVM):
        for llvm in candidates():
            yield LLVM, llvm, llvm.origin
    if variant in (None, SCALAR):
        yield SCALAR, None, "no compiler"


def trial(variant: str, llvm: Llvm | None, timeout_s: float = TIMEOUT_S) -> str | None:
    """None if the variant renders what it should in a process of its own, else what happened to that."""
    command = [sys.executable, "-P", "-m", "noescape.board.render.mitsuba.trial", variant]
    command += [llvm.library, *llvm.preload] if llvm else []
    environ = {name: value for name, value in os.environ.items() if name != "DRJIT_LIBLLVM_PATH"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, env=environ
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {timeout_s:g} s"
    except OSError as error:
        return f"no process can be started ({error.strerror or error})"
    if done.returncode == 0 and WORKS.encode() in done.stdout:
        return None
    said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    last = f" ({said[-1][:160]})" if said else ""
    if done.returncode < 0:
        return f"ended by {_signal(-done.returncode)}{last}"
    return f"failed{last or f' with exit code {done.returncode}'}"


def _found_out(variant: str | None) -> Choice:
    tried: list[str] = []
    for way, llvm, called in ways(variant):
        problem = trial(way, llvm)
        if problem is None:
            return Choice(variant=way, llvm=llvm, why=called, tried=tuple(tried))
        tried.append(f"{way} with {called}: {problem}")
    if variant == LLVM and not tried:
        tried.append(f"no LLVM found: {INSTALL}")
    raise UsageError("Mitsuba renders in no way here:\n" + "\n".join(f"  - {line}" for line in tried))


def _hangs_on(variant: str | None) -> str:
    """A digest of all that the answer hangs on."""
    libraries = [_stamp(Path(path)) for llvm in candidates() for path in (llvm.library, *llvm.preload)]
    versions = [_version(name) for name in ("mitsuba", "drjit", "noescape")]
    facts: list[Any] = [variant, versions, sys.version, platform.machine(), _processor(), libraries]
    facts += [ctypes.util.find_library("cuda"), os.environ.get("CUDA_VISIBLE_DEVICES"), Path("/dev/nvidiactl").exists()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    lines = text.split("\n\n")[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU ")))


def _stamp(path: Path) -> list[Any]:
    try:
        seen = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), seen.st_size, seen.st_mtime_ns]


def _file() -> Path:
    own = os.environ.get("NOESCAPE_CONFIG_DIR")
    return (Path(own).expanduser() if own else config_folder()) / "renderer.json"


def _remembered(key: str) -> Choice | None:
    """The answer of the file, if it is for `key` and whole."""
    try:
        if not _file().is_file():
            return None
        value = read_json_object(_file(), "what renders here")
        found = value["choice"] if value.get("key") == key else None
        if found is None or found["variant"] not in VARIANTS:
            return None
        llvm = found["llvm"] and Llvm(
            library=str(found["llvm"]["library"]),
            preload=tuple(map(str, found["llvm"]["preload"])),
            origin=str(found["llvm"]["origin"]),
        )
        return Choice(variant=found["variant"], llvm=llvm, why=str(found["why"]), tried=tuple(map(str, found["tried"])))
    except (NoescapeError, OSError, RuntimeError, KeyError, TypeError):
        return None  # damaged: ask again


def _remember(key: str, choice: Choice) -> None:
    with suppress(OSError, RuntimeError):  # a home that cannot be written costs two seconds the next time
        write_json(_file(), {"key": key, "choice": asdict(choice)})


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
