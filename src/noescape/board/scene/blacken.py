"""Parts so black that only board and solder are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noescape.board.model import Material, Mesh
from noescape.board.scene.things import BOARD_CLASSES, JOINT_CLASSES, PAD_CLASSES

VANTABLACK = Material(name="vantablack", base_color=(0.0, 0.0, 0.0), metallic=0.0, roughness=1.0)
_STAY = BOARD_CLASSES | JOINT_CLASSES | PAD_CLASSES


def vantablack(meshes: Sequence[Mesh]) -> tuple[Mesh, ...]:
    """The meshes with every component (anything labelled but board, solder and pad) black; the others are the same."""
    return tuple(
        replace(mesh, material=VANTABLACK) if (kind := mesh.labels.get("class")) and kind not in _STAY else mesh
        for mesh in meshes
    )
