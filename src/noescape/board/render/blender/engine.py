"""Hand a scene to a Blender that is installed beside us, take its colours back; ids come from our own z-buffer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Camera, Dome, Light, Material, Mesh, Picture, Ring
from noescape.board.render.project import axes
from noescape.board.render.ring import ring_strip
from noescape.board.render.soup import check_meshes, soup
from noescape.board.render.surface import surface
from noescape.records import UsageError, WorkError

SCRIPT = Path(__file__).with_name("script.py")
TIMEOUT_S = 3600.0
GET = (
    "install Blender 4.2 or newer so that `blender` is on PATH, or set BLENDER_PYTHON to a Python in which "
    "`import bpy` works (python -m venv blender-env && blender-env/bin/pip install bpy)"
)


def command(environ: Mapping[str, str] | None = None) -> list[str]:
    """How to start it, without the paths of the work. UsageError, saying how to get it, where none is there."""
    environ = os.environ if environ is None else environ
    if python := environ.get("BLENDER_PYTHON"):
        if not Path(python).is_file():
            raise UsageError(f"BLENDER_PYTHON names {python}, which is no file; {GET}")
        return [python, str(SCRIPT)]
    if found := shutil.which("blender", path=environ.get("PATH")):
        return [found, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(SCRIPT), "--"]
    raise UsageError(f"--engine blender: no Blender is here; {GET}")


class Blender:
    """Cycles on the CPU, denoised by what Blender brings. One process per picture."""

    name = "blender"
    variant = "cycles"

    def __init__(self) -> None:
        """UsageError where no Blender is found."""
        self._command = command()
        self.cpu_s = 0.0  # of the processes so far, for the benchmark

    def render(
        self, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], *, spp: int, bounces: int, seed: int
    ) -> Picture:
        """About 30 CPU-s at 512 x 512 and 16 samples. WorkError with what Blender said, if it gives no picture."""
        check_meshes(meshes)
        joined = soup(meshes)
        seen = surface(meshes, camera, joined)
        top = float(joined.points[:, 2].max()) if len(joined.points) else 0.0
        with tempfile.TemporaryDirectory(prefix="noescape-blender-") as scratch:
            folder = Path(scratch)
            _hand_over(folder, meshes, camera, lights, top, {"spp": spp, "bounces": bounces, "seed": seed % 2**31})
            color = self._run(folder, camera)
        return Picture(color=color, mesh=seen.mesh, depth=seen.depth, own=seen.own)

    def _run(self, folder: Path, camera: Camera) -> npt.NDArray[np.float32]:
        # No PYTHONPATH of ours: its Python has other versions of everything.
        environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        before = os.times()
        try:
            done = subprocess.run(
                [*self._command, str(folder)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
                env=environ,
            )
        except subprocess.TimeoutExpired:
            raise WorkError(f"Blender gave no picture within {TIMEOUT_S:g} s") from None
        except OSError as error:
            raise WorkError(f"{self._command[0]} cannot be started ({error.strerror or error})") from None
        after = os.times()
        self.cpu_s += after.children_user + after.children_system - before.children_user - before.children_system
        result, (width, height) = folder / "color.npy", camera.resolution
        if done.returncode or not result.is_file():
            said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
            raise WorkError(f"Blender gave no picture (exit code {done.returncode}): {' | '.join(said[-3:])[:600]}")
        color = np.load(result, allow_pickle=False)
        if color.shape != (height, width, 3):
            raise WorkError(f"Blender gave a picture of {color.shape}, expected {(height, width, 3)}")
        return np.asarray(color, np.float32)


def _hand_over(
    folder: Path, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], top: float, knobs: dict[str, int]
) -> None:
    """Arrays as .npz, everything else as JSON."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    bodies: list[dict[str, Any]] = []
    materials: dict[Material, str] = {}
    for at, mesh in enumerate(meshes):
        arrays |= {f"p{at}": mesh.points, f"f{at}": mesh.faces}
        if mesh.normals is not None:
            arrays[f"n{at}"] = mesh.normals
        if mesh.uvs is not None:
            arrays[f"u{at}"] = mesh.uvs
        name = materials.setdefault(mesh.material, f"material{len(materials)}")
        bodies.append({"name": f"mesh{at}", "at": at, "material": name})
    rings = [light for light in lights if isinstance(light, Ring)]
    for at, ring in enumerate(rings):
        arrays[f"rp{at}"], arrays[f"rf{at}"] = ring_strip(ring)
    domes = [light.radiance for light in lights if isinstance(light, Dome)]
    said = {
        "bodies": bodies,
        "materials": {name: _material(material) for material, name in materials.items()},
        "rings": [list(ring.radiance) for ring in rings],
        "dome": [sum(values) for values in zip(*domes, strict=True)] if domes else [0.0, 0.0, 0.0],
        "camera": {**asdict(camera), "up": axes(camera)[1], "top": top},
        **knobs,
    }
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    (folder / "scene.json").write_text(json.dumps(said), encoding="utf-8")


def _material(material: Material) -> dict[str, Any]:
    files = ("base_color_file", "metallic_file", "roughness_file")
    return {
        key: str(value.resolve()) if key in files and value is not None else value
        for key, value in asdict(material).items()
    }
