"""Land patterns of our own, by name: what the demo boards and the contact sheet stand their parts on."""

from __future__ import annotations

from collections.abc import Sequence

from noescape.board.parts.model import Pad
from noescape.records import UsageError

# Two pads: centre's distance from the middle, length along, breadth across.
_TWO = {
    "C_0402": (0.48, 0.56, 0.62), "R_0402": (0.5, 0.54, 0.64), "C_0603": (0.775, 0.8, 0.95),
    "R_0603": (0.81, 0.8, 0.95),
    "L_0603": (0.79, 0.86, 0.95), "D_0603": (0.79, 0.86, 0.95), "LED_0603": (0.79, 0.86, 0.95),
    "FB_0603": (0.79, 0.86, 0.95),
    "C_0805": (0.95, 1.0, 1.45), "R_0805": (0.92, 1.0, 1.4), "C_1206": (1.48, 1.15, 1.8), "R_1206": (1.46, 1.13, 1.75),
    "R_2512": (2.9, 1.4, 3.4), "LED_0805": (0.94, 0.98, 1.4), "D_SOD-323": (1.05, 0.6, 0.5),
    "D_SOD-123": (1.65, 0.9, 1.2),
    "D_SMA": (2.0, 2.4, 1.8), "D_MiniMELF": (1.7, 1.3, 1.7), "CP_EIA-3216": (1.35, 1.4, 1.35),
    "CP_EIA-3528": (1.54, 1.5, 2.35),
    "CP_Elec_4x5.4": (1.8, 2.6, 1.6), "CP_Elec_6.3x5.4": (2.7, 3.5, 1.6), "L_Power_6.3x6.3": (2.45, 2.0, 5.0),
}  # fmt: skip
# Two rows: pins, pitch, distance of a row from the middle, length and breadth of a pad.
_ROWS = {
    "SOIC-8_3.9x4.9mm": (8, 1.27, 2.48, 1.95, 0.6), "SOIC-14_3.9x8.7mm": (14, 1.27, 2.48, 1.95, 0.6),
    "TSSOP-8_4.4x3mm": (8, 0.65, 2.86, 1.48, 0.4), "TSSOP-16_4.4x5mm": (16, 0.65, 2.86, 1.48, 0.4),
    "MSOP-8_3x3mm": (8, 0.65, 2.11, 1.63, 0.4), "SOT-363": (6, 0.65, 0.95, 0.85, 0.4),
    "SOT-23-6": (6, 0.95, 1.14, 1.32, 0.6),
}  # fmt: skip
# Four rows: pins, pitch, distance of a row from the middle, length and breadth of a pad, side of the pad in the middle.
_QUADS = {
    "LQFP-32_7x7mm": (32, 0.8, 4.18, 1.5, 0.5, 0.0), "LQFP-48_7x7mm": (48, 0.5, 4.16, 1.48, 0.3, 0.0),
    "LQFP-100_14x14mm": (100, 0.5, 7.68, 1.5, 0.3, 0.0), "QFN-16_3x3mm": (16, 0.5, 1.45, 0.85, 0.28, 1.7),
    "QFN-24_4x4mm": (24, 0.5, 1.95, 0.85, 0.28, 2.6),
}  # fmt: skip
_BALLS = {"BGA-64_8x8mm": (8, 0.8, 0.42), "BGA-144_13x13mm": (12, 1.0, 0.5)}  # balls in a row, pitch, pad's diameter
_FREE: dict[str, tuple[tuple[str, float, float, float, float], ...]] = {
    "SOT-23": (("1", -0.94, 0.95, 1.47, 0.6), ("2", -0.94, -0.95, 1.47, 0.6), ("3", 0.94, 0.0, 1.47, 0.6)),
    "SOT-323": (("1", -0.95, 0.65, 0.85, 0.45), ("2", -0.95, -0.65, 0.85, 0.45), ("3", 0.95, 0.0, 0.85, 0.45)),
    "SOT-23-5": (("1", -1.14, 0.95, 1.32, 0.6), ("2", -1.14, 0.0, 1.32, 0.6), ("3", -1.14, -0.95, 1.32, 0.6),
                 ("4", 1.14, -0.95, 1.32, 0.6), ("5", 1.14, 0.95, 1.32, 0.6)),
    "SOT-223": (("1", -3.15, 2.3, 2.0, 1.5), ("2", -3.15, 0.0, 2.0, 1.5), ("3", -3.15, -2.3, 2.0, 1.5),
    ("4", 3.15, 0.0, 2.0, 3.8)),
    "SOT-89": (("1", -1.65, 1.5, 1.3, 0.9), ("2", -1.65, 0.0, 1.4, 0.9), ("3", -1.65, -1.5, 1.3, 0.9),
    ("4", 1.1, 0.0, 2.6, 1.9)),
    "TO-252": (("1", -4.2, 2.28, 2.2, 1.2), ("3", -4.2, -2.28, 2.2, 1.2), ("2", 2.1, 0.0, 6.4, 5.8)),
    "Crystal_SMD_3225": (("1", -1.1, -0.85, 1.4, 1.2), ("2", 1.1, -0.85, 1.4, 1.2), ("3", 1.1, 0.85, 1.4, 1.2),
    ("4", -1.1, 0.85, 1.4, 1.2)),
    "Crystal_SMD_5032": (("1", -1.85, 0.0, 2.0, 2.4), ("2", 1.85, 0.0, 2.0, 2.4)),
    "SW_Push_4x4": (("1", -2.4, 1.5, 1.3, 1.0), ("2", 2.4, 1.5, 1.3, 1.0), ("3", -2.4, -1.5, 1.3, 1.0),
    ("4", 2.4, -1.5, 1.3, 1.0)),
    "Conn_JST_1x04": (*((str(k + 1), -1.875 + 1.25 * k, 1.9, 0.7, 1.6) for k in range(4)),
                      ("M1", -3.9, -1.4, 1.2, 2.0), ("M2", 3.9, -1.4, 1.2, 2.0)),
}  # fmt: skip
NAMES = (*_TWO, *_ROWS, *_QUADS, *_BALLS, *_FREE, "PinHeader_1x04_P2.54mm", "PinHeader_2x05_P2.54mm")


def land(name: str) -> tuple[Pad, ...]:
    """The pads of one of `NAMES`, pin 1 first, in the footprint's frame (y up). UsageError for another name."""
    if name in _TWO:
        far, long, wide = _TWO[name]
        return tuple(Pad(name=n, x=x, y=0.0, w=long, h=wide) for n, x in (("1", -far), ("2", far)))
    if name in _ROWS:
        return _two_rows(*_ROWS[name])
    if name in _QUADS:
        return _four_rows(*_QUADS[name])
    if name in _BALLS:
        return _balls(*_BALLS[name])
    if name in _FREE:
        return tuple(Pad(name=n, x=x, y=y, w=w, h=h) for n, x, y, w, h in _FREE[name])
    if name.startswith("PinHeader_") and name in NAMES:
        columns, rows = (int(k) for k in name.split("_")[1].split("x"))
        return _pins(columns, rows)
    raise UsageError(f"no land pattern of ours is called {name!r}; there are: {', '.join(NAMES)}")


def _two_rows(pins: int, pitch: float, far: float, long: float, wide: float) -> tuple[Pad, ...]:
    """Pin 1 at the top left, counter-clockwise."""
    half = pins // 2
    ys = _line(half, pitch)
    left = [Pad(name=str(k + 1), x=-far, y=ys[-1 - k], w=long, h=wide) for k in range(half)]
    return (*left, *(Pad(name=str(half + k + 1), x=far, y=ys[k], w=long, h=wide) for k in range(half)))


def _four_rows(pins: int, pitch: float, far: float, long: float, wide: float, middle: float) -> tuple[Pad, ...]:
    half = pins // 4
    out = []
    for side in range(4):
        for k, u in enumerate(_line(half, pitch)):
            x, y = ((-far, -u), (u, -far), (far, u), (-u, far))[side]
            w, h = (long, wide) if side % 2 == 0 else (wide, long)
            out.append(Pad(name=str(side * half + k + 1), x=x, y=y, w=w, h=h))
    if middle:
        out.append(Pad(name=str(pins + 1), x=0.0, y=0.0, w=middle, h=middle, corner=0.05))
    return tuple(out)


def _balls(count: int, pitch: float, across: float) -> tuple[Pad, ...]:
    rows, spots = "ABCDEFGHJKLMNPRT", _line(count, pitch)
    return tuple(
        Pad(name=f"{rows[i]}{j + 1}", x=spots[j], y=spots[-1 - i], w=across, h=across, corner=0.5)
        for i in range(count)
        for j in range(count)
    )


def _pins(columns: int, rows: int) -> tuple[Pad, ...]:
    """Through-hole pins at 2.54 mm: pin 1 square, the others round; numbered across, then down."""
    xs, ys = _line(columns, 2.54), _line(rows, 2.54)
    out = []
    for k in range(rows):
        for j in range(columns):
            n = k * columns + j + 1
            out.append(Pad(name=str(n), x=xs[j], y=ys[-1 - k], w=1.7, h=1.7, hole=1.0, corner=0.0 if n == 1 else 0.5))
    return tuple(out)


def _line(count: int, pitch: float) -> Sequence[float]:
    return [round((k - (count - 1) / 2) * pitch, 4) for k in range(count)]
