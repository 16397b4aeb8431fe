"""The renderer and the inspector live in one process: neither breaks the other, whichever comes first."""

from __future__ import annotations

import subprocess
import sys

import pytest

RENDER = """
import numpy as np
from noescape.board.model import Camera, Dome, Material, Mesh
from noescape.board.render.engine import renderer
points, faces = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32), np.array([[0, 1, 2]], np.int32)
mesh = Mesh(path="/a", instance="/a", points=points, faces=faces, material=Material(name="m"))
camera = Camera(x=0.5, y=0.5, z=5, field=(1, 1), resolution=(32, 32))
light = [Dome(name="d", radiance=(1, 1, 1))]
assert renderer("mitsuba").render([mesh], camera, light, spp=4, bounces=2, seed=0).color.mean() > 0.05
"""
CONVERT = """
from noescape.changenet.cached.features import build_descriptor
from noescape.features.runtime import convert_to_openvino
convert_to_openvino(build_descriptor("efficientnet_lite0", (32, 32), None), (64, 32))
"""


@pytest.mark.parametrize("program", [RENDER + CONVERT, CONVERT + RENDER], ids=["render first", "convert first"])
def test_a_process_renders_and_converts_a_network(program: str) -> None:
    """Libraries that the renderer brings must not take over how others throw C++ exceptions."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
