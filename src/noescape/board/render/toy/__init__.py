"""A renderer in numpy: right ids, plain shading. For tests, and for looking at things where Mitsuba is not."""

from noescape.board.render.toy.engine import Toy

__all__ = ["Toy"]
