"""STEP models by `cascadio` (Open CASCADE), where it is installed: it writes a GLB, which is read here."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Material
from noescape.board.parts.model import Piece
from noescape.records import DataError, UsageError

TOLERANCE_MM, TOLERANCE_RAD = 0.02, 0.4  # how far the triangles may lie from the true surface
MM_PER_UNIT = 1000.0  # GLB counts in metres
MAX_BYTES = 256 << 20
TIMEOUT_S = 600
_CONVERT = """\
import sys, cascadio
cascadio.step_to_glb(sys.argv[1], sys.argv[2], tol_linear=float(sys.argv[3]), tol_angular=float(sys.argv[4]))
"""
_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
Flat = npt.NDArray[np.float64]


def read_step(path: Path) -> tuple[Piece, ...]:
    """The meshes of a STEP file in mm, one piece per colour. UsageError without `cascadio`; DataError when it fails."""
    if importlib.util.find_spec("cascadio") is None:
        raise UsageError(
            f"{path}: STEP models need the package 'cascadio' (pip install cascadio); or export the model as .wrl"
        )
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size >> 20} MiB of STEP; at most {MAX_BYTES >> 20} are read")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.glb"
        # A process of its own: Open CASCADE prints on stdout as it likes, and may end the process on a damaged file.
        command = [sys.executable, "-c", _CONVERT, str(path), str(out), str(TOLERANCE_MM), str(TOLERANCE_RAD)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise DataError(f"{path}: not read after {TIMEOUT_S} s; export it simpler, or as .wrl") from error
        if done.returncode != 0 or not out.is_file():
            raise DataError(f"{path}: the STEP reader gives up on it (exit code {done.returncode}); export it as .wrl")
        return read_glb(out.read_bytes(), str(path))


def read_glb(data: bytes, where: str) -> tuple[Piece, ...]:
    """Triangles of a binary glTF, one piece per material, in mm; its axes are kept as they are. DataError when torn."""
    try:
        head, body = _chunks(data)
        found: dict[int, list[tuple[Flat, npt.NDArray[np.int64], Flat | None]]] = {}
        for node in head["scenes"][head.get("scene", 0)]["nodes"]:
            _walk(head, body, node, np.eye(4), found, 0)
        pieces = [_piece(head, key, items) for key, items in sorted(found.items())]
    except (KeyError, IndexError, TypeError, ValueError, struct.error, UnicodeDecodeError) as error:
        raise DataError(f"{where}: the mesh made of it is damaged ({type(error).__name__}: {error})") from error
    if not pieces:
        raise DataError(f"{where}: no surfaces in it; nothing to show")
    return tuple(pieces)


def _chunks(data: bytes) -> tuple[Any, bytes]:
    if data[:4] != b"glTF":
        raise ValueError("no glTF")
    size, kind = struct.unpack("<I4s", data[12:20])
    if kind != b"JSON":
        raise ValueError("no JSON chunk")
    head = json.loads(data[20 : 20 + size])
    start = 20 + size
    length = struct.unpack("<I", data[start : start + 4])[0]
    return head, data[start + 8 : start + 8 + length]


def _walk(head: Any, body: bytes, index: int, matrix: Flat, found: dict[int, Any], depth: int) -> None:
    if depth > 60:
        raise ValueError("nodes inside one another without end")
    node = head["nodes"][index]
    here = matrix @ _local(node)
    if "mesh" in node:
        for part in head["meshes"][node["mesh"]]["primitives"]:
            if part.get("mode", 4) == 4 and "POSITION" in part["attributes"]:
                found.setdefault(part.get("material", -1), []).append(_triangles(head, body, part, here))
    for child in node.get("children", []):
        _walk(head, body, child, here, found, depth + 1)


def _local(node: Any) -> Flat:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    out = np.eye(4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    turn = [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]  # fmt: skip
    out[:3, :3] = np.array(turn) @ np.diag(node.get("scale", (1, 1, 1)))
    out[:3, 3] = node.get("translation", (0, 0, 0))
    return out


def _triangles(head: Any, body: bytes, part: Any, matrix: Flat) -> tuple[Flat, npt.NDArray[np.int64], Flat | None]:
    points = _array(head, body, part["attributes"]["POSITION"], 3).astype(np.float64)
    index = part.get("indices")
    flat = np.arange(len(points)) if index is None else _array(head, body, index, 1).ravel()
    faces = flat.astype(np.int64)[: len(flat) // 3 * 3].reshape(-1, 3)
    if (len(faces) and int(faces.max()) >= len(points)) or not np.isfinite(points).all():
        raise ValueError("a face speaks of a point that is not there")
    turn = matrix[:3, :3]
    if np.linalg.det(turn) < 0:
        faces = faces[:, ::-1]
    normals = None
    if "NORMAL" in part["attributes"]:
        normals = _array(head, body, part["attributes"]["NORMAL"], 3).astype(np.float64) @ np.linalg.inv(turn)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return MM_PER_UNIT * (points @ turn.T + matrix[:3, 3]), faces, normals


def _array(head: Any, body: bytes, index: int, width: int) -> npt.NDArray[Any]:
    about = head["accessors"][index]
    view = head["bufferViews"][about["bufferView"]]
    kind = np.dtype(_TYPES[about["componentType"]])
    start, count = view.get("byteOffset", 0) + about.get("byteOffset", 0), about["count"]
    step = view.get("byteStride", kind.itemsize * width)
    if (
        start < 0
        or count < 1
        or step < kind.itemsize * width
        or start + step * (count - 1) + kind.itemsize * width > len(body)
    ):
        raise ValueError("an array reaches beyond the file")
    strides = (step, kind.itemsize)
    return np.ndarray((count, width), kind, buffer=body, offset=start, strides=strides).copy()


def _piece(head: Any, key: int, items: list[tuple[Flat, npt.NDArray[np.int64], Flat | None]]) -> Piece:
    starts = np.cumsum([0, *(len(p) for p, _, _ in items)])
    normals = [n for _, _, n in items if n is not None]
    color = (0.6, 0.6, 0.6)
    if key >= 0:
        r, g, b = head["materials"][key].get("pbrMetallicRoughness", {}).get("baseColorFactor", [0.6] * 4)[:3]
        color = (float(np.clip(r, 0, 1)), float(np.clip(g, 0, 1)), float(np.clip(b, 0, 1)))
    # STEP knows colours only: a bright one without hue is taken for metal.
    metal = min(color) > 0.33 and max(color) - min(color) < 0.12 and max(color) < 0.95
    name = "Model_" + "".join(f"{round(255 * c):02x}" for c in color)
    return Piece(
        name=f"{name}_{max(key, 0)}",
        points=np.concatenate([p for p, _, _ in items]).astype(np.float32),
        faces=np.concatenate([f + s for (_, f, _), s in zip(items, starts, strict=False)]).astype(np.int32),
        normals=np.concatenate(normals).astype(np.float32) if len(normals) == len(items) else None,
        material=Material(name=name, base_color=color, metallic=float(metal), roughness=0.35 if metal else 0.5),
    )
