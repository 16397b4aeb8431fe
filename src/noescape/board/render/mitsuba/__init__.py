"""The renderer of choice: path tracing by Mitsuba, ids by our own z-buffer, noise taken out by Open Image Denoise."""

from noescape.board.render.mitsuba.engine import Mitsuba

__all__ = ["Mitsuba"]
