"""How many results a setting gives, and which setting gives that many: reads the yields of a card, both ways."""

from __future__ import annotations

import math
from collections.abc import Mapping

from noescape.flow.cards.card import Card, holds
from noescape.flow.cards.card_parts import Scale, Yield

HIGHEST = 10**7  # no flow does more of anything


def table_for(card: Card, values: Mapping[str, str]) -> Yield | None:
    """The yields that hold for these knob values, if there are any."""
    return next((table for table in card.yields if holds(table.when, values)), None)


def expected(table: Yield, setting: int, values: Mapping[str, str]) -> float:
    """Results to expect of this setting: the measured points, straight lines between, `growth` per doubling beyond.

    Rises with the setting without exception.
    """
    knots = sorted(table.points)
    power = math.log2(table.growth)
    if setting <= knots[0]:
        count = table.points[knots[0]] * (setting / knots[0]) ** power
    elif setting >= knots[-1]:
        count = table.points[knots[-1]] * (setting / knots[-1]) ** power
    else:
        right = next(i for i, knot in enumerate(knots) if knot >= setting)
        low, high = knots[right - 1], knots[right]
        share = (setting - low) / (high - low)
        count = table.points[low] + share * (table.points[high] - table.points[low])
    return float(count * (_share(table.scale, values) if table.scale else 1.0))


def setting_for(table: Yield, wanted: int, values: Mapping[str, str]) -> int | None:
    """The smallest setting to use that gives at least `wanted` results; None when only all there is may do."""
    low, high = table.floor, table.most or HIGHEST
    aim = wanted * table.spare
    if expected(table, high, values) < aim:
        return None
    while low < high:
        middle = (low + high) // 2
        if expected(table, middle, values) >= aim:
            high = middle
        else:
            low = middle + 1
    return low


def gave(made: int, asked: int) -> str:
    """The one line for the end of a run that was asked for a number of results."""
    return f"gave {made} of {asked}" + (" asked for" if made < asked else "")


def _share(scale: Scale, values: Mapping[str, str]) -> float:
    value = values.get(scale.knob, "")
    if value in scale.all:
        return 1.0
    return len([entry for entry in value.split(",") if entry]) / scale.full
