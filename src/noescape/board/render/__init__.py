"""Meshes, a camera and lights into colour, instances and depth: one folder per engine."""

from noescape.board.render.engine import NAMES, EngineName, Renderer, renderer
from noescape.board.render.tone import exposure_for, to_srgb

__all__ = ["NAMES", "EngineName", "Renderer", "exposure_for", "renderer", "to_srgb"]
