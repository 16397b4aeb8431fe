"""Path-traced colour on top of the z-buffer's ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Camera, Light, Mesh, Picture
from noescape.board.render.mitsuba.choice import choose
from noescape.board.render.mitsuba.denoise import can_denoise, denoised
from noescape.board.render.mitsuba.stage import Stage, sensor
from noescape.board.render.mitsuba.start import start
from noescape.board.render.soup import check_meshes, soup
from noescape.board.render.surface import surface

SAMPLES_AT_ONCE = 1 << 22
BRIGHTEST = 50.0  # times the mean: what is brighter is a path that found a light by luck, white in any case


class Mitsuba:
    """The best variant that works here (see `choose`), or the one that is named.

    Denoised where the denoiser is installed, unless `denoise` is False.
    """

    name = "mitsuba"

    def __init__(self, variant: str | None = None, *, denoise: bool = True) -> None:
        """UsageError if Mitsuba is not installed, or the named variant does not work here."""
        chosen = choose(variant)
        self.variant = chosen.variant + ("+oidn" if denoise and can_denoise() else "")
        self._variant, self._llvm = chosen.variant, chosen.llvm
        self._denoise = denoise and can_denoise()
        self._stage: Stage | None = None

    def render(
        self, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], *, spp: int, bounces: int, seed: int
    ) -> Picture:
        """About 3 CPU-s at 512 x 512 and 16 samples with LLVM, 9 without; what was built for the same meshes is used
        again."""
        check_meshes(meshes)
        mi = start(self._variant, self._llvm)
        if self._stage is None:
            self._stage = Stage(mi)
        joined = soup(meshes)
        seen = surface(meshes, camera, joined)
        color = np.zeros((*seen.mesh.shape, 3), np.float32)
        if lights and len(joined.faces):
            scene = self._stage.scene(meshes, lights)
            color = self._colors(mi, scene, camera, float(joined.points[:, 2].max()), spp, bounces, seed)
            if self._denoise:
                color = denoised(color)
        return Picture(color=color, mesh=seen.mesh, depth=seen.depth, own=seen.own)

    def _colors(
        self, mi: Any, scene: Any, camera: Camera, top: float, spp: int, bounces: int, seed: int
    ) -> npt.NDArray[np.float32]:
        # max_depth counts the camera's ray too; hide_emitters: the dome is no background. Roulette from the first
        # bounce on: most of a board is dark, and so a third of the time goes for a tenth more noise.
        tracer = mi.load_dict({"type": "path", "max_depth": bounces + 1, "rr_depth": 1, "hide_emitters": True})
        view = sensor(mi, camera, top)
        width, height = camera.resolution
        color = np.zeros((height, width, 3), np.float64)
        for at, samples in enumerate(passes(spp, width * height)):
            noise = (seed + at * 0x9E3779B9) % 2**32
            color += samples / spp * np.array(mi.render(scene, sensor=view, integrator=tracer, spp=samples, seed=noise))
        color = np.nan_to_num(color, nan=0.0, posinf=0.0, neginf=0.0)
        return np.asarray(np.minimum(color, BRIGHTEST * color.mean()), np.float32)


def passes(spp: int, pixels: int) -> list[int]:
    """Samples per pixel of each pass: all at once would take 60 bytes for every sample."""
    most = max(1, SAMPLES_AT_ONCE // pixels)
    count = -(-spp // most)
    return [spp // count + (at < spp % count) for at in range(count)]
