"""One pixel, one ray, no bounces: diffuse light of rings and dome, and a highlight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noescape.board.model import Camera, Light, Mesh, Picture
from noescape.board.render.soup import check_meshes, soup
from noescape.board.render.surface import surface
from noescape.board.render.toy.light import lit
from noescape.board.render.toy.looks import looks


class Toy:
    """The renderer for tests. `spp`, `bounces` and `seed` change nothing: there is no noise."""

    name = "toy"
    variant = "numpy"

    def render(
        self, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], *, spp: int, bounces: int, seed: int
    ) -> Picture:
        """About 1 CPU-s at 512 x 512."""
        del spp, bounces, seed
        check_meshes(meshes)
        joined = soup(meshes)
        seen = surface(meshes, camera, joined)
        color = np.zeros((*seen.mesh.shape, 3), np.float32)
        shown = looks(meshes, joined, seen, camera)
        color[shown.rows, shown.columns] = lit(shown, lights)
        return Picture(color=color, mesh=seen.mesh, depth=seen.depth, own=seen.own)
