"""A colour for each set of labels: the same in every frame, every run and on every board."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

Colour = tuple[int, int, int]
Labels = tuple[tuple[str, str], ...]

BACKGROUND, UNLABELLED = "(0, 0, 0, 0)", "(0, 0, 0, 255)"
# Far from each other, so that people tell them apart; whatever is not named here gets a colour from its name.
KNOWN: dict[str, Colour] = {
    "pcb": (0, 92, 40),
    "pad": (214, 158, 46),
    "solder": (190, 190, 200),
    "capacitor": (224, 64, 64),
    "resistor": (64, 120, 224),
    "inductor": (150, 90, 30),
    "diode": (230, 120, 200),
    "led": (250, 230, 60),
    "transistor": (60, 200, 200),
    "ic": (120, 60, 200),
    "connector": (240, 140, 40),
    "crystal": (160, 230, 120),
    "electrolytic": (110, 20, 70),
    "other": (110, 110, 110),
}


def shown_labels(labels: Mapping[str, str], types: Iterable[str]) -> Labels:
    """Of `labels` those of the wanted types, sorted; empty for what has no class."""
    found = tuple(sorted((key, labels[key]) for key in types if labels.get(key)))
    return found if any(key == "class" for key, _ in found) else ()


def colours(wanted: Iterable[Labels]) -> dict[Labels, Colour]:
    """A colour of its own for each of `wanted`, never black; it hangs on the labels alone.

    Only where two sets of labels meet in one colour (1 in 16 million) the later one, in sorted order, moves on.
    """
    out: dict[Labels, Colour] = {}
    taken: set[Colour] = set()
    ordered = sorted(set(wanted), key=lambda labels: (_known(labels) is None, labels))
    for labels in ordered:
        attempt = 0
        colour = _known(labels) or _hashed(labels, attempt)
        while colour in taken:
            attempt += 1
            colour = _hashed(labels, attempt)
        taken.add(colour)
        out[labels] = colour
    return out


def key_of(colour: Colour) -> str:
    """As the file of labels names a colour: `(r, g, b, 255)`."""
    return f"({colour[0]}, {colour[1]}, {colour[2]}, 255)"


def _known(labels: Labels) -> Colour | None:
    return KNOWN.get(labels[0][1]) if len(labels) == 1 and labels[0][0] == "class" else None


def _hashed(labels: Labels, attempt: int) -> Colour:
    """Bright enough to be seen, from a digest of the labels."""
    digest = hashlib.sha256(repr((labels, attempt)).encode("utf-8", "backslashreplace")).digest()
    red, green, blue = (48 + digest[at] * 207 // 255 for at in range(3))
    return red, green, blue
