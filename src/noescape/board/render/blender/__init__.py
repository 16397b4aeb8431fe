"""Cycles by choice, in a process of its own: nothing of Blender is imported here."""

from noescape.board.render.blender.engine import Blender

__all__ = ["Blender"]
