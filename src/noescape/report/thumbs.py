"""Small pictures as data URIs under a byte budget; a picture that cannot be read any more says why instead."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.files import contained
from noescape.imaging import fit_within, jpeg_bytes, read_picture
from noescape.records import ImageError, PathEscapeError

THUMB_PX, LARGE_PX = 220, 480
# First quality is given up, then size: a blurred edge hides less than a picture too small to see a scratch in.
_STEPS = ((82, 1.0), (72, 1.0), (60, 1.0), (48, 1.0), (48, 0.75), (40, 0.6), (35, 0.45))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One picture for the page: `uri` with `width` and `height` in pixels, or None and the reason in `missing`."""

    uri: str | None
    width: int = 0
    height: int = 0
    missing: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shots:
    """The thumbnail of a picture, and its larger view where one was asked for."""

    small: Shot
    large: Shot | None


def load_shots(root: Path, name: str | None, *, small_bytes: int, large_bytes: int | None) -> Shots:
    """Read `name` under `root` once and shrink it to at most 220 px (and 480 px if `large_bytes` is given).

    The byte limits are for the JPEG before base64; they are kept except for pictures that cannot be made smaller.
    Names that lead out of `root` are not followed. Costs one decode.
    """
    if name is None:
        return Shots(small=Shot(uri=None, missing="no picture was saved"), large=None)
    try:
        rgb = read_picture(contained(root, name)).rgb
    except PathEscapeError:
        return Shots(small=Shot(uri=None, missing="the name leads out of the image folder"), large=None)
    except ImageError as error:
        return Shots(small=Shot(uri=None, missing=f"cannot be read any more: {error.code}"), large=None)
    except (OSError, ValueError):
        return Shots(small=Shot(uri=None, missing="cannot be read any more"), large=None)
    large = None if large_bytes is None else _encode(rgb, LARGE_PX, large_bytes)
    return Shots(small=_encode(rgb, THUMB_PX, small_bytes), large=large)


def _encode(rgb: npt.NDArray[np.uint8], longest: int, max_bytes: int) -> Shot:
    shrunk = fit_within(rgb, longest)
    data = b""
    for quality, scale in _STEPS:
        if scale < 1.0:
            shrunk = fit_within(rgb, round(longest * scale))
        data = jpeg_bytes(shrunk, quality=quality)
        if len(data) <= max_bytes:
            break
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
    return Shot(uri=uri, width=shrunk.shape[1], height=shrunk.shape[0])
