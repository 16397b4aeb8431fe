"""What the colours of a semantic mask mean, and which pixels carry which meaning."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.records import DataError

UNNAMED = frozenset({"background", "unlabelled", "unlabeled"})
GROUND = ("pcb",)  # the board itself: everything lies on it, so it joins nothing
MAX_COLOURS = 4096  # each costs a look at every pixel
_COLOUR = re.compile(r"\s*[(\[]\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?[)\]]\s*")

Colour = tuple[int, int, int]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """The classes that a colour stands for, and the kind of defect, "" for none; all in lower case."""

    classes: tuple[str, ...]
    defect: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Classes and defect: crops may be asked for by either."""
        return (*self.classes, self.defect) if self.defect else self.classes


Palette = Mapping[Colour, Meaning]


def read_palette(value: Mapping[str, Any], where: str) -> dict[Colour, Meaning]:
    """Colour -> meaning from `{"(r, g, b, a)": {"class": "a,b", "defect": …}}`; background and unlabelled mean nothing.

    DataError for what is no such entry, and for a colour that stands for two things.
    """
    if len(value) > MAX_COLOURS:
        raise DataError(f"{where}: {len(value)} colours, at most {MAX_COLOURS} are read")
    out: dict[Colour, Meaning] = {}
    for text, entry in value.items():
        found = _COLOUR.fullmatch(text)
        colour = tuple(int(part) for part in found.groups()[:3]) if found else (256,)
        if not isinstance(entry, Mapping) or max(colour) > 255 or not _words(entry):
            raise DataError(f'{where}: expected "(r, g, b, a)": {{"class": …}}, got {text[:60]!r}: {str(entry)[:60]}')
        meaning = Meaning(classes=_split(entry.get("class", "")), defect=str(entry.get("defect", "")).strip().lower())
        if UNNAMED & set(meaning.names):
            meaning = Meaning(classes=())
        key = (colour[0], colour[1], colour[2])
        if out.setdefault(key, meaning) != meaning:
            raise DataError(f"{where}: the colour {key} is there twice, as {out[key].names} and {meaning.names}")
    return out


def refuse_unknown(semantic: U8, palette: Palette) -> None:
    """DataError where pixels of `semantic` [H, W, 3] have a colour, not black, that the labels do not name."""
    packed = pack(semantic)
    known = packed == 0
    for red, green, blue in palette:
        known |= packed == (red << 16 | green << 8 | blue)
    count = int(known.size - np.count_nonzero(known))
    if count:
        y, x = (int(v) for v in np.argwhere(~known)[0])
        colour = tuple(int(v) for v in semantic[y, x])
        raise DataError(
            f"{count} pixels of the mask have colours that its labels do not name (at x {x}, y {y}: {colour})"
        )


def pack(semantic: U8) -> npt.NDArray[np.uint32]:
    """One number per pixel: red << 16 | green << 8 | blue."""
    wide = semantic.astype(np.uint32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], dtype=np.uint32)


def without_ground(semantic: U8, palette: Palette, ground: Collection[str]) -> U8:
    """The mask with black where it says ground: what fills the place of a missing part looks there for bare board."""
    packed = pack(semantic)
    out = semantic.copy()
    for red, green, blue in set(palette) - set(labelled_colours(palette, ground)):
        out[packed == (red << 16 | green << 8 | blue)] = 0
    return out


def labelled_colours(palette: Palette, ground: Collection[str] = GROUND) -> list[Colour]:
    """The colours that stand for something on the board, rather than for the board."""
    return [colour for colour, meaning in palette.items() if not set(meaning.names) <= set(ground)]


def _words(entry: Mapping[str, Any]) -> bool:
    return all(isinstance(entry.get(key, ""), str) for key in ("class", "defect"))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())
