"""The one door of all engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from noescape.board.model import Camera, Light, Mesh, Picture
from noescape.records import UsageError

EngineName = Literal["auto", "mitsuba", "toy", "blender"]
NAMES: tuple[EngineName, ...] = ("auto", "mitsuba", "toy", "blender")


class Renderer(Protocol):
    """Something that makes a picture. `variant` says in which way (it changes the last bits of the colours)."""

    name: str
    variant: str

    def render(
        self, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], *, spp: int, bounces: int, seed: int
    ) -> Picture:
        """The picture; the same arguments give the same bits on one machine. What was built for meshes that come
        again (the same objects) is kept from call to call."""
        ...


def renderer(name: EngineName | str) -> Renderer:
    """An engine by name; `auto` is mitsuba where it is installed, else toy.

    UsageError for an unknown name, and for an engine that is not there, saying how to get it.
    """
    import importlib.util

    if name == "auto":
        name = "mitsuba" if importlib.util.find_spec("mitsuba") else "toy"
    if name == "toy":
        from noescape.board.render.toy import Toy

        return Toy()
    if name == "mitsuba":
        from noescape.board.render.mitsuba import Mitsuba

        return Mitsuba()
    if name == "blender":
        from noescape.board.render.blender import Blender

        return Blender()
    raise UsageError(f"no engine is called {name!r}; there are {', '.join(NAMES)}")
