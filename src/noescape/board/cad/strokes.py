"""Letters of lines, for what is written on a board: our own plain capitals, small letters, figures and signs.

A glyph is some lines; a line is points of two signs, x (0-4) and y (0 at the foot, 6 at the top of a capital, z and y
below the foot). Letters with accents lose them; what has no glyph at all becomes a box.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

from noescape.board.cad.model import Points2

UNIT = 1 / 6  # of the text's height: one step of the grid
GAP = 1.6  # steps between letters
LINE = 1.61  # heights between the feet of two lines
_HEIGHTS = {**{str(n): n for n in range(9)}, "z": -1, "y": -2}
_BOX = "0006464000"
_GLYPHS = {
    "A": "002640 1232", "B": "00063645443303 3342413000", "C": "4536160501103041", "D": "00062644422000",
    "E": "46060040 0333", "F": "460600 0333", "G": "45361605011030414323", "H": "0006 4046 0343", "I": "0006",
    "J": "3631201001", "K": "0006 4602 1340", "L": "060040", "M": "0006234640", "N": "00064046",
    "O": "100105163645413010", "P": "00063645443303", "Q": "100105163645413010 2240", "R": "00063645443303 2340",
    "S": "453616050413334241301001", "T": "0646 2620", "U": "060110304146", "V": "062046", "W": "0610243046",
    "X": "0640 0046", "Y": "062346 2320", "Z": "06460040",
    "0": "100105163645413010 1135", "1": "152620 1030", "2": "05163645440040", "3": "05163645443313 334241301001",
    "4": "30360242", "5": "460604344341301001", "6": "453616050110304143341403", "7": "064610",
    "8": "13040516364544331302011030414233", "9": "011030414536160503123243",
    "a": "0314243330 321201102031", "b": "0600 0314243331201001", "c": "3324140301102031",
    "d": "3630 3324140301102031", "e": "02323324140301102031", "f": "10152636 0434",
    "g": "343z2y1y0z 3324140301102031", "h": "0600 0314243330", "i": "0004 0606", "j": "141z0y 1616",
    "k": "0600 3401 1230", "l": "060110", "m": "0004 03142320 23344340", "n": "0004 0314243330",
    "o": "100103142433312010", "p": "040y 0314243331201001", "q": "343y 3324140301102031", "r": "0004 031424",
    "s": "33241403122231201001", "t": "16112030 0434", "u": "0401102031 3430", "v": "042044", "w": "0410233044",
    "x": "0430 0034", "y": "0401102031 343z2y1y0z", "z": "04340030",
    "!": "0602 0000", '"': "0604 2624", "#": "1016 3036 0242 0444", "$": "453616050413334241301001 2z27",
    "%": "0046 0506161505 3031414030", "&": "4004051625240201102042", "'": "0604", "(": "16050110", ")": "06151100",
    "*": "2125 0244 0442", "+": "2125 0343", ",": "100z", "-": "0333", ".": "0000", "/": "0046", ":": "0101 0404",
    ";": "110z 1414", "<": "350331", "=": "0242 0444", ">": "053301", "?": "05163645442322 2020",
    "@": "32341412324245361605011030", "[": "16060010", "\\": "0640", "]": "06161000", "^": "042644", "_": "0z4z",
    "`": "0615", "{": "26151403121120", "|": "070z", "}": "06151423121100", "~": "03143243",
    "Ω": "001011020516364542313040", "μ": "040y 01102031 3430", "°": "1605142516", "±": "2226 0444 0040",
    "×": "1135 1531", "–": "0343", "—": "0343", "′": "0604", "″": "0604 2624", "✓": "022046", "→": "0343 354331",
}  # fmt: skip


def text_lines(text: str, height: float, width: float, align: str = "center", valign: str = "center") -> list[Points2]:
    """The lines of a text whose anchor is (0, 0), y upwards; `width` is what a letter takes for its `height`.

    `align`: left, center or right; `valign`: top, center or bottom. Several rows stand under each other.
    """
    rows = text.split("\n")
    top = {"top": -height, "center": -height / 2, "bottom": 0.0}[valign]
    extra = LINE * height * (len(rows) - 1)
    top += {"top": 0.0, "center": extra / 2, "bottom": extra}[valign]
    found: list[Points2] = []
    for number, row in enumerate(rows):
        pieces, length = _row(row)
        shift = {"left": 0.0, "center": -length / 2, "right": -length}[align]
        scale = np.array([width * UNIT, height * UNIT])
        foot = np.array([shift * width * UNIT, top - number * LINE * height])
        found += [piece * scale + foot for piece in pieces]
    return found


def _row(text: str) -> tuple[list[Points2], float]:
    pieces: list[Points2] = []
    at = 0.0
    for sign in unicodedata.normalize("NFKD", text):
        if unicodedata.combining(sign):
            continue
        if sign.isspace():
            at += 2.4 + GAP
            continue
        lines, width = _glyph(sign)
        pieces += [line + np.array([at, 0.0]) for line in lines]
        at += width + GAP
    return pieces, max(0.0, at - GAP)


@cache
def _glyph(sign: str) -> tuple[tuple[Points2, ...], float]:
    lines = []
    for code in _GLYPHS.get(sign, _BOX).split():
        line = [(float(code[k]), float(_HEIGHTS[code[k + 1]])) for k in range(0, len(code), 2)]
        lines.append(np.array(line))
    return tuple(lines), float(max(line[:, 0].max() for line in lines))
