"""The lights and the camera of an inspection machine round a new board: three coloured rings, white light, one eye."""

from __future__ import annotations

import math

from noescape.board.cad.usd import StageWriter

# Name, radius and height in mm over the board, colour: steep light is red, flat light blue, as solder light has it.
RINGS = (
    ("Inner_Red", 25.0, 85.0, (1.0, 0.03, 0.03)),
    ("Middle_Green", 50.0, 62.0, (0.03, 1.0, 0.03)),
    ("Outer_Blue", 72.0, 28.0, (0.03, 0.03, 1.0)),
)
LAMPS = 16  # per ring
_STRENGTHS = {"Inner_Red": 6500.0, "Middle_Green": 3000.0, "Outer_Blue": 4500.0}  # the middle of the cookbooks' ranges
CAMERA_Z = 150.0
APERTURE = 200.0  # tenths of a mm: 20 mm of board


def write_rig(writer: StageWriter, bounds: tuple[float, float, float, float]) -> None:
    """Lights and camera over the middle of the board."""
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    writer.xform("/World/RingLight", translate=(x, y, 0.0))
    for name, radius, z, color in RINGS:
        writer.xform(f"/World/RingLight/{name}")
        for k in range(LAMPS):
            turn = 2 * math.pi * (k + 0.5) / LAMPS
            place = (round(radius * math.cos(turn), 6), round(radius * math.sin(turn), 6), z)
            writer.lamp(f"/World/RingLight/{name}/Lamp_{k:02d}", place, 2.5, color, _STRENGTHS[name] / LAMPS)
    writer.dome_light("/World/WhiteLight", 300.0)
    writer.camera("/World/Camera", (x, y, CAMERA_Z), aperture=(APERTURE, APERTURE), focal=500.0)
