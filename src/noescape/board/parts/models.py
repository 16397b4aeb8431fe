"""The door to models that the user has: .wrl by our own reader, .step by cascadio where it is installed; cached."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from noescape.board.model import Material
from noescape.board.parts.model import Piece
from noescape.files import sha256_file, write_bytes
from noescape.records import DataError, UsageError

_VERSION = 1  # of what the cache holds; a change of the readers' results raises it
SUFFIXES = (".wrl", ".step", ".stp")


def load_model(path: Path, cache_dir: Path | None = None) -> tuple[Piece, ...]:
    """The meshes of a model file in mm, one piece per material, in the model's own frame.

    With `cache_dir` they are kept there as `<sha256>.npz` and read back in milliseconds. DataError: no such file, or
    it cannot be read; UsageError: a kind of file that is not read, or STEP without `cascadio`.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise UsageError(
            f"{path}: models are read from {', '.join(SUFFIXES)}, not {path.suffix or 'a name without ending'}"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such model file")
    kept = cache_dir / f"{sha256_file(path)}-{kind[1:]}.npz" if cache_dir else None
    if kept is not None and kept.is_file():
        pieces = _read(kept)
        if pieces is not None:
            return pieces
    pieces = _load(path, kind)
    if kept is not None:
        write_bytes(kept, _packed(pieces), sync=False)
    return pieces


def _load(path: Path, kind: str) -> tuple[Piece, ...]:
    if kind == ".wrl":
        from noescape.board.parts.wrl import read_wrl

        return read_wrl(path)
    from noescape.board.parts.step import read_step

    return read_step(path)


def _packed(pieces: tuple[Piece, ...]) -> bytes:
    arrays: dict[str, Any] = {}
    rows = []
    for k, p in enumerate(pieces):
        arrays[f"points{k}"], arrays[f"faces{k}"] = p.points, p.faces
        if p.normals is not None:
            arrays[f"normals{k}"] = p.normals
        m = p.material
        rows.append(
            {
                "name": p.name,
                "material": m.name,
                "color": m.base_color,
                "metallic": m.metallic,
                "roughness": m.roughness,
            }
        )
    arrays["about"] = np.frombuffer(json.dumps({"version": _VERSION, "pieces": rows}).encode(), np.uint8)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _read(path: Path) -> tuple[Piece, ...] | None:
    """The cached pieces; None when the file is torn, altered or of another version: then they are made anew."""
    try:
        file = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        about = json.loads(file["about"].tobytes())
        if about["version"] != _VERSION:
            return None
        return tuple(_piece(file, k, row) for k, row in enumerate(about["pieces"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile):
        return None


def _piece(file: Any, k: int, row: dict[str, Any]) -> Piece:
    points, faces = file[f"points{k}"], file[f"faces{k}"]
    normals = file.get(f"normals{k}")
    if points.dtype != np.float32 or faces.dtype != np.int32 or (len(faces) and int(faces.max()) >= len(points)):
        raise ValueError("altered")
    r, g, b = row["color"]
    material = Material(
        name=row["material"], base_color=(r, g, b), metallic=row["metallic"], roughness=row["roughness"]
    )
    return Piece(name=row["name"], points=points, faces=faces, normals=normals, material=material)
