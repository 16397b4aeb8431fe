"""What a footprint's name says: the kind of part, its code, its body's size. Only reading, nothing is built here."""

from __future__ import annotations

import re
from dataclasses import dataclass

_METRIC = {"0402M": "01005", "0603M": "0201", "1005": "0402", "1608": "0603", "2012": "0805", "2125": "0805",
           "3216": "1206", "3225": "1210", "4516": "1806", "4532": "1812", "5025": "2010", "5750": "2220",
           "6332": "2512"}  # fmt: skip
_CODES = ("01005", "0201", "0402", "0603", "0805", "1206", "1210", "1806", "1812", "2010", "2220", "2512")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(?:x(\d+(?:\.\d+)?))?(mm)?(?![\d.])", re.I)
_NOT_PARTS = re.compile(
    r"^(?:plain_)?(?:mounting_?)?holes?(?:_|$|\d)|fiducial|^fid|test_?point|^tp[_\d]|logo|symbol|solder_?jumper|^gs\d|"
    r"net_?tie|mouse_?bite|tooling|edge_?conn|bus_?pci|^mire|oshw",
    re.IGNORECASE,
)
_CONNECTORS = re.compile(
    r"conn|header|socket|usb|jst|rj\d\d|molex|terminal_?block|bornier|dsub|d-sub|db\d|hdmi|jack|idc|pin_?array|"
    r"phoenix|barrel|coax|sma_|micro_?sd|card|pinh|^x_|jumper|jtag|ffc|fpc|hirose|samtec|bu_|din\d", re.I,
)  # fmt: skip
# In this order: the first that is found wins.
_PACKAGES = (
    (r"(?:SOT|SC)-?23-?8|TSOT-?23-?8", "SOT", "SOT23_8"), (r"SOT-?23-?6|SOT-?26|TSOT-?23-?6", "SOT", "SOT23_6"),
    (r"SOT-?23-?5|SOT-?25|TSOT-?23-?5", "SOT", "SOT23_5"), (r"SOT-?23|TO-?236", "SOT", "SOT23"),
    (r"SOT-?363|SC-?70-?6|SOT-?323-?6", "SOT", "SOT363"), (r"SOT-?353|SC-?70-?5|SOT-?323-?5", "SOT", "SOT353"),
    (r"SOT-?323|SC-?70", "SOT", "SOT323"), (r"SOT-?143", "SOT", "SOT143"), (r"SOT-?523|SC-?75", "SOT", "SOT523"),
    (r"SOT-?563|SOT-?666", "SOT", "SOT563"), (r"SOT-?723", "SOT", "SOT723"), (r"SOT-?223", "SOT", "SOT223"),
    (r"SOT-?89", "SOT", "SOT89"), (r"TO-?252|D-?PAK(?!2)", "SOT", "TO252"), (r"TO-?263|D2PAK", "SOT", "TO263"),
    (r"SOD-?123", "SOD", "SOD123"), (r"SOD-?323|SC-?76", "SOD", "SOD323"), (r"SOD-?523|SC-?79", "SOD", "SOD523"),
    (r"SOD-?923|SOD-?882", "SOD", "SOD923"), (r"MINI-?MELF|SOD-?80|LL-?34", "MELF", "MINIMELF"),
    (r"MICRO-?MELF", "MELF", "MICROMELF"), (r"MELF", "MELF", "MELF"),
    (r"(?:^|_)(?:D_)?SMA(?:$|_|\b)|DO-?214AC", "SMX", "SMA"), (r"(?:^|_)SMB(?:$|_)|DO-?214AA", "SMX", "SMB"),
    (r"(?:^|_)SMC(?:$|_)|DO-?214AB", "SMX", "SMC"),
    (r"VSSOP", "VSSOP", ""), (r"MSOP|MICRO-?SO", "MSOP", ""), (r"TSSOP|HTSSOP", "TSSOP", ""), (r"SSOP", "SSOP", ""),
    (r"SOIC|SO-?\d+|SOJ|SO8|SO14|SO16", "SOIC", ""), (r"TSOP|SOP", "SOP", ""), (r"QFP|LQFP|TQFP|QUAD", "QFP", ""),
    (r"QFN|MLF|MLPQ|(?<!P)LCC|LFCSP", "QFN", ""), (r"DFN|W?SON|MLP|USON", "DFN", ""),
    (r"BGA|WLCSP|CSP", "BGA", ""), (r"LGA", "LGA", ""), (r"PLCC", "QFP", ""),
    (r"DIP|DIL", "DIP", ""), (r"TO-?92|SOT-?54", "TO92", ""),
    (r"HC-?49|CRYSTAL|XTAL|OSCILLATOR|QUARTZ|RESONATOR", "XTAL", ""),
    (r"TACT|PUSH|(?:^|_)SW[_\d]|BUTTON", "SW", ""),
)  # fmt: skip
_TABLE = tuple((re.compile(pattern, re.I), kind, code) for pattern, kind, code in _PACKAGES)


@dataclass(frozen=True, kw_only=True)
class Name:
    """What was read. `kind` "" when the name says nothing; `part` is the letter of its sort (C, R, L, D, LED)."""

    kind: str = ""
    code: str = ""
    part: str = ""
    body: tuple[float, float] | None = None
    height: float | None = None
    ignore: bool = False


def read_name(footprint: str, refdes: str = "") -> Name:
    """Read `Library:C_0603_1608Metric`, `SM0805`, `SOT-23-5`, `LQFP-48_7x7mm_P0.5mm` and their like."""
    plain = footprint.rsplit(":", 1)[-1].strip()
    if _NOT_PARTS.search(plain):
        return Name(ignore=True)
    body, height = _size(plain)
    part = _part(plain, refdes)
    if _CONNECTORS.search(plain) and not re.search(r"(?:^|_)D_?SMA|AXIAL|^[CRLD]_", plain, re.IGNORECASE):
        code = "USB" if re.search("usb", plain, re.I) else "SOCKET" if re.search("socket", plain, re.I) else ""
        header = re.search(r"header|pin_?socket|pin_?array|pinh", plain, re.I)
        return Name(kind="HEADER" if header else "CONN", code=code, part=part, body=body, height=height)
    kind, code = _kind(plain, part)
    if kind == "CHIP" or (kind and code):
        return Name(kind=kind, code=code, part=part, height=height if kind != "CHIP" else None)
    return Name(kind=kind, part=part, body=body or _round(plain), height=height)


def _size(plain: str) -> tuple[tuple[float, float] | None, float | None]:
    """Body and height in mm; `1x04` without a unit counts pins and is no size."""
    found = _SIZE.search(plain)
    if not found:
        return None, None
    a, b = float(found[1]), float(found[2])
    if not (min(a, b) > 0.2 and max(a, b) < 99) or (not found[4] and min(a, b) < 2):
        return None, None
    height = float(found[3]) if found[3] else 0.0
    return (a, b), height if 0.1 < height < 40 else None


def _kind(plain: str, part: str) -> tuple[str, str]:
    if re.search(r"CP?_?ELEC|ELKO|CAPAE|PANASONIC_[A-H]", plain, re.I):
        return "CAN", ""
    if re.search(r"CP_RADIAL|CP_AXIAL|C_RADIAL_ELEC|CP\d?_", plain, re.I) and not re.search(r"EIA|TANT", plain, re.I):
        return "RADIAL", ""
    eia = re.search(r"(?:EIA|TANT[A-Z]*|CT|CP)[-_]?(\d{4})", plain, re.I)
    if eia and eia[1] in ("2012", "3216", "3528", "6032", "7343"):
        return "CT", eia[1]
    for pattern, kind, code in _TABLE:
        if pattern.search(plain):
            return kind, code
    found = _chip_code(plain)
    if found:
        return "CHIP", found
    if re.search(r"AXIAL|DO-?35|DO-?41|^R[34]$|^D[35]$|^R1$", plain, re.I):
        return "AXIAL", ""
    if re.search(r"C_DISC|C_RECT|^C[12]$|C1-1", plain, re.I):
        return "DISC", ""
    if part == "LED" and re.search(r"LED[_-]?D?[358]", plain, re.I):
        return "LEDTH", ""
    return "", ""


def _chip_code(plain: str) -> str:
    """The imperial code of a chip; KiCad writes the metric one behind it, some libraries write it alone."""
    for found in re.finditer(r"(?<!\d)(\d{4,5})(?!\d)(_?METRIC)?", plain, re.I):
        digits = found[1]
        if digits in _CODES and not found[2]:
            return digits
        if digits in _METRIC:
            return _METRIC[digits]
        if digits + "M" in _METRIC and found[2]:
            return _METRIC[digits + "M"]
    return ""


def _part(plain: str, refdes: str) -> str:
    """C, R, L, D, LED, or the reference's letters.

    A name that says LED or D is believed; between C, R and L the reference is, for one land pattern serves them all.
    """
    if re.search(r"(?:^|_)LED", plain, re.IGNORECASE):
        return "LED"
    known = {"CP": "C", "FB": "L", "FUSE": "R", "F": "R", "RN": "R", "RV": "R", "CR": "D", "ZD": "D"}
    head = re.match(r"(CP|C|R|L|D|FB|FUSE|F)(?:_|\d|$)", plain, re.IGNORECASE)
    letters = re.match(r"[A-Za-z]*", refdes)
    named = known.get(head[1].upper(), head[1].upper()) if head else ""
    marked = known.get(letters[0].upper(), letters[0].upper()) if letters else ""
    return marked if not named or (named != "D" and marked in ("C", "R", "L")) else named


def _round(plain: str) -> tuple[float, float] | None:
    """`D5.0mm` and `D6.3mm_H5.4` give a diameter; `D5.1mm_W3.1mm` and `L6.3mm_D2.5mm` two sides."""
    found = {k.upper(): float(v) for k, v in re.findall(r"(?:^|_)([DLW])(\d+(?:\.\d+)?)(?:mm)?", plain, re.I)}
    if "L" in found and "D" in found:
        return found["L"], found["D"]
    if "D" in found:
        return found["D"], found.get("W", found["D"])
    return None
