"""Where an LLVM may be that compiles Mitsuba's kernels, and how to load it."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

WHEEL = "karellen-llvm-core"
# What the wheel's libLLVM needs and the loader does not find, in the order in which they need each other.
NEEDED = ("libunwind.so.1", "libc++abi.so.1", "libc++.so.1")
SYSTEM = ("/usr/lib/llvm-*/lib/libLLVM*.so*", "/usr/lib/*-linux-gnu/libLLVM*.so*", "/usr/lib64/libLLVM*.so*")
_LOADED: set[str] = set()  # what this process itself has put into DRJIT_LIBLLVM_PATH


@dataclass(frozen=True, kw_only=True)
class Llvm:
    """A library that may work; `preload` must be in the process before it. `origin` is for people."""

    library: str
    preload: tuple[str, ...] = ()
    origin: str


def candidates(environ: Mapping[str, str] | None = None) -> list[Llvm]:
    """What to try, in order: the one that DRJIT_LIBLLVM_PATH names (then no other), the wheel's, the system's."""
    environ = os.environ if environ is None else environ
    named = environ.get("DRJIT_LIBLLVM_PATH")
    if named and named not in _LOADED:
        return [Llvm(library=named, origin=f"DRJIT_LIBLLVM_PATH, {named}")]
    wheel = _of_wheel()
    return ([wheel] if wheel else []) + _of_system()


def load(llvm: Llvm) -> None:
    """Make Dr.Jit find the library; call it before mitsuba is imported. OSError if what it needs cannot be loaded."""
    for path in llvm.preload:
        # Not RTLD_GLOBAL: other libraries would then unwind their C++ exceptions with this libunwind, and OpenVINO's
        # conversion of a network dies of it. The loader finds what libLLVM needs by name all the same.
        ctypes.CDLL(path, mode=ctypes.RTLD_LOCAL)
    os.environ["DRJIT_LIBLLVM_PATH"] = llvm.library
    _LOADED.add(llvm.library)


def _of_wheel() -> Llvm | None:
    try:
        found = metadata.distribution(WHEEL)
    except metadata.PackageNotFoundError:
        return None
    paths = {file.name: str(found.locate_file(file)) for file in found.files or () if ".so" in file.name}
    libraries = sorted(name for name in paths if re.fullmatch(r"libLLVM\.so\.[\d.]+", name))
    if not libraries:
        return None
    preload = tuple(paths[name] for name in NEEDED if name in paths)
    return Llvm(library=paths[libraries[-1]], preload=preload, origin=f"{WHEEL} {found.version}")


def _of_system() -> list[Llvm]:
    found: dict[Path, int] = {}
    for pattern in SYSTEM:
        for path in Path("/").glob(pattern.lstrip("/")):
            version = re.search(r"(\d+)", path.name.removeprefix("libLLVM").lstrip("-.so")) or re.search(
                r"llvm-(\d+)", str(path)
            )
            if version and path.is_file():
                found.setdefault(path.resolve(), int(version[1]))
    newest = sorted(found, key=lambda path: (-found[path], str(path)))
    return [Llvm(library=str(path), origin=f"the system's LLVM {found[path]}, {path}") for path in newest[:4]]
