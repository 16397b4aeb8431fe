"""Opening a USD stage from outside: one clear error for what is broken, named prims found before any work starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noescape.board.scene.needs import not_installed
from noescape.records import DataError, PathEscapeError, UsageError

SUFFIXES = frozenset({".usd", ".usda", ".usdc"})
MAX_BYTES = 2 << 30
MAX_PRIMS = 1_000_000


def pxr() -> Any:
    """The library, with the modules that are used here loaded. UsageError where it is not installed."""
    try:
        import pxr as lib
        from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdLux, UsdShade, UsdUtils, Vt  # noqa: F401  become attributes
    except ImportError:
        raise not_installed("usd-core", "A USD stage") from None
    return lib


def open_stage(path: Path) -> Any:
    """The stage in `path`. UsageError for a wrong kind of file, DataError for a broken one or missing references,
    PathEscapeError where it reaches into other folders."""
    lib = pxr()
    _look_at(path)
    with reading(path):
        stage = lib.Usd.Stage.Open(str(path))
        if stage is None:
            raise DataError(f"{path}: no USD that can be read")
        broken = [str(e).strip().split("\n", maxsplit=1)[0] for e in stage.GetCompositionErrors()]
        if broken:
            raise DataError(f"{path}: it refers to what is not there or cannot be read: {broken[0][:400]}")
    layer_files(stage, path)
    return stage


def layer_files(stage: Any, path: Path) -> list[Path]:
    """The files that the stage is made of. PathEscapeError where one lies outside of the stage's folder."""
    folder, files = path.parent.resolve(), []
    for layer in stage.GetUsedLayers():
        if layer.anonymous:
            continue
        file = Path(layer.realPath).resolve() if layer.realPath else None
        if file is None or not file.is_relative_to(folder):
            raise PathEscapeError(
                f"{path}: it is made of {layer.identifier!r}, which lies outside of its folder {folder}; "
                "copy all layers into one folder, or flatten the stage"
            )
        files.append(file)
    return sorted(set(files))


def demand_prims(stage: Any, path: Path, wanted: Mapping[str, str]) -> None:
    """DataError that lists every prim of `wanted` (key of the cookbook -> prim path) that the stage does not have."""
    lost = [f"{key} {prim}" for key, prim in wanted.items() if not _there(stage, prim)]
    if not lost:
        return
    roots = ", ".join(str(p.GetPath()) for p in stage.GetPseudoRoot().GetChildren()) or "none"
    raise DataError(f"{path}: the stage has no {' and no '.join(lost)}. Its root prims: {roots}; mend pcba_target.yaml")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What the library finds broken only when a value is asked for becomes one DataError; it says nothing itself."""
    with quiet():
        try:
            yield
        except pxr().Tf.ErrorException as error:
            raise DataError(f"{path}: no USD that can be read ({_first_reason(error)})") from None
        except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError) as error:
            raise DataError(f"{path}: a value in it cannot be read ({_first_reason(error)})") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what USD says about a stage off the standard error stream."""
    delegate = pxr().UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeUncoalescedDiagnostics()
        del delegate


def world_scale(stage: Any, path: Path) -> float:
    """mm per scene unit. DataError where the stage's unit is no number above 0."""
    unit = float(pxr().UsdGeom.GetStageMetersPerUnit(stage))
    if not 1e-9 <= unit <= 1e6:
        raise DataError(f"{path}: metersPerUnit is {unit:g}, expected a length such as 0.001 (mm) or 0.01 (cm)")
    return unit * 1000


def _there(stage: Any, prim: str) -> bool:
    if not pxr().Sdf.Path.IsValidPathString(prim):
        return False
    found = stage.GetPrimAtPath(prim)
    return bool(found) and found.IsActive() and found.IsDefined()


def _look_at(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: expected a USD stage ({', '.join(sorted(SUFFIXES))})")
    try:
        size = path.stat().st_size
        is_file = path.is_file()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not is_file or size == 0:
        raise DataError(f"{path}: expected a USD stage, got {'an empty file' if is_file else 'no file'}")
    if size > MAX_BYTES:
        raise DataError(f"{path}: {size >> 20} MiB; stages of up to {MAX_BYTES >> 20} MiB are read")


def _first_reason(error: Exception) -> str:
    try:
        text = " ".join(str(error).split())
    except UnicodeDecodeError:  # the library repeats the file's own bytes
        return "bytes that are no text"
    cut = text.find(": '")
    return (text[cut + 3 :] if cut >= 0 else text)[:300].strip("' ")
