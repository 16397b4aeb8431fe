"""How large a part is on the board, by the name of its package alone: body and leads, mm, as it lies at 0 degrees."""

from __future__ import annotations

import re

from noescape.board.parts.names import read_name

# Length along x, width along y at 0 degrees, as KiCad's library turns them (two-terminal parts along x; SOT-23 and
# SOIC with their rows of leads left and right). IPC turns some by 90 degrees; a square of the longer side holds both.
_CHIPS = {
    "01005": (0.4, 0.2), "0201": (0.6, 0.3), "0402": (1.0, 0.5), "0603": (1.6, 0.8), "0805": (2.0, 1.25),
    "1206": (3.2, 1.6), "1210": (3.2, 2.5), "1806": (4.5, 1.6), "1812": (4.5, 3.2), "2010": (5.0, 2.5),
    "2220": (5.7, 5.0), "2512": (6.3, 3.2),
}  # fmt: skip
_BODIES = {
    "SOT23": (2.5, 2.9), "SOT23_5": (2.8, 2.9), "SOT23_6": (2.8, 2.9), "SOT23_8": (2.8, 2.9), "SOT323": (2.1, 2.0),
    "SOT353": (2.1, 2.0), "SOT363": (2.1, 2.0), "SOT143": (2.4, 2.9), "SOT523": (1.6, 1.6), "SOT563": (1.6, 1.6),
    "SOT723": (1.2, 1.2), "SOT223": (7.0, 6.5), "SOT89": (4.1, 4.5), "TO252": (10.0, 6.6), "TO263": (15.0, 10.2),
    "SOD123": (3.7, 1.6), "SOD323": (2.5, 1.25), "SOD523": (1.6, 0.8), "SOD923": (1.0, 0.6), "SMA": (5.2, 2.6),
    "SMB": (5.4, 3.6), "SMC": (8.0, 5.9), "MINIMELF": (3.5, 1.4), "MICROMELF": (2.0, 1.2), "MELF": (5.9, 2.2),
}  # fmt: skip
_PINS = re.compile(r"(?:SO|SOIC|SSOP|TSSOP|MSOP|VSSOP|SOP|QFP|LQFP|TQFP|QFN|VQFN|DFN|DIP)[-_ ]?(\d+)", re.IGNORECASE)
_LEADS = {"SOIC": 1.1, "SOP": 1.1, "SSOP": 1.0, "TSSOP": 1.0, "MSOP": 1.0, "VSSOP": 0.9, "QFP": 1.0}
_PITCH = {"SOIC": 1.27, "SOP": 1.27, "SSOP": 0.65, "TSSOP": 0.65, "MSOP": 0.65, "VSSOP": 0.5}
_ROW_BODY = {"SOIC": 3.9, "SOP": 4.4, "SSOP": 5.3, "TSSOP": 4.4, "MSOP": 3.0, "VSSOP": 2.3}
UNKNOWN = (3.0, 3.0)


def package_size(package: str, refdes: str = "") -> tuple[float, float] | None:
    """Length and width, None where the name says nothing. `C_0603_1608Metric`, `R0402`, `SOT-23`, `LQFP-48_7x7mm` …"""
    name = read_name(package, refdes)
    if name.kind == "CHIP" and name.code in _CHIPS:
        return _CHIPS[name.code]
    if name.code in _BODIES:
        return _BODIES[name.code]
    reach = _LEADS.get(name.kind, 0.0)
    if name.body is not None:
        along = 2 * reach if name.kind == "QFP" else 0.0
        return name.body[0] + 2 * reach, name.body[1] + along
    pins = _PINS.search(package)
    if name.kind in _ROW_BODY and pins is not None:
        return _ROW_BODY[name.kind] + 2 * reach, max(1.0, int(pins[1]) / 2 * _PITCH[name.kind])
    return None
