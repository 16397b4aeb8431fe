"""A .kicad_pcb as a Board: format 6 proven on real boards, 7 to 9 by the published format, older as far as they go.

What KiCad has and a picture of the board does not need (nets, rules, dimensions, groups, inner layers) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from noescape.board.cad import footprints, graphics, pads, texts
from noescape.board.cad.fields import SIDES, Source, says, text_of
from noescape.board.cad.model import Board, Drawing, Footprint, Pad
from noescape.board.cad.outline import outlines
from noescape.board.cad.sexpr import Node, read_file
from noescape.board.cad.shapes import arc_through
from noescape.records import DataError

OUTLINE = "Edge.Cuts"
WANTED = frozenset({OUTLINE} | {f"{side}.{kind}" for side in "FB" for kind in ("Cu", "Mask", "SilkS")})
VERSION_6 = 20200101  # between the last of 5 (20171130) and the first previews of 6
NEWEST_KNOWN = 20250101  # version 9 writes 20241229
_NEEDED = ("F.Cu", "B.Cu", OUTLINE)


def read_kicad(path: Path) -> Board:
    """Read a board; 7 MB take 4 s. DataError: no board, an open outline or none, a layer or a number that is wrong."""
    if path.is_dir():
        raise DataError(f"{path}: a folder; expected a .kicad_pcb file")
    root, text = read_file(path)
    source = _source(path, root, text)
    setup = root.child("setup")
    reading = _Reading(source=source, setup=setup, variables=_variables(root, path))
    for node in root.children():
        reading.take(node)
    board = reading.drawings
    colors, finish = _stackup(setup)
    rim = [drawing for drawing in board if drawing.layer == OUTLINE]
    return Board(
        name=path.stem,
        outlines=outlines(rim, str(path)),
        drawings=tuple(drawing for drawing in board if drawing.layer != OUTLINE),
        footprints=tuple(reading.footprints),
        vias=tuple(reading.vias),
        thickness=_thickness(source, root),
        layers=frozenset(source.layers.values()),
        mask_color=colors["Mask"],
        silk_color=colors["SilkS"],
        finish=finish,
        origins=_origins(source, setup),
        notices=tuple(reading.notices()),
    )


def _source(path: Path, root: Node, text: str) -> Source:
    if root.name == "module" or root.name == "footprint":
        raise DataError(f"{path}: a single footprint; expected a board (kicad_pcb …)")
    if root.name != "kicad_pcb":
        raise DataError(f"{path}: starts with ({root.name[:30]} …); expected a KiCad board (kicad_pcb …)")
    number = text_of(root, "version", "")
    if not number.isdigit() or len(number) > 9:
        raise DataError(
            f"{path}: no (version …) that could be read ({number[:20]!r}); open and save the board in KiCad"
        )
    table = root.child("layers")
    if table is None:
        raise DataError(f"{path}: no table of layers (layers …); open and save the board in KiCad")
    version = int(number)
    names: dict[str, str] = {}
    for entry in table.children():
        words = entry.words()
        if words:
            copper = {"0": "F.Cu", "31": "B.Cu"}.get(entry.name) if version < VERSION_6 else None
            names[words[0]] = copper or words[0]
    missing = [name for name in _NEEDED if name not in names.values()]
    if missing:
        raise DataError(
            f"{path}: the table of layers lacks {', '.join(missing)}; it has {', '.join(sorted(names)[:40])}"
        )
    return Source(path=str(path), text=text, version=version, layers=names)


class _Reading:
    """What has been read so far."""

    def __init__(self, *, source: Source, setup: Node | None, variables: dict[str, str]) -> None:
        self.source, self.variables = source, variables
        self.drawings: list[Drawing] = []
        self.footprints: list[Footprint] = []
        self.vias: list[Pad] = []
        self._zones = self._unfilled = 0
        self._mask_margin = (
            pads.mask_margin(source, setup, 0.0, name="pad_to_mask_clearance") if setup is not None else 0.0
        )
        self._tented = _tented(setup)
        self._via_drill = source.value(setup, "via_drill", 0.0) if setup is not None else 0.0

    def take(self, node: Node) -> None:
        """Read one list of the board."""
        source = self.source
        if node.name in graphics.KINDS:
            if source.layer(node) in WANTED:
                self.drawings.append(graphics.drawing(source, node))
        elif node.name in ("footprint", "module"):
            drawn = footprints.footprint(source, node, self._mask_margin, self.variables, WANTED)
            self.footprints.append(drawn.footprint)
            self.drawings += drawn.drawings
        elif node.name in ("segment", "arc"):
            if source.layer(node) in SIDES:
                self.drawings.append(_track(source, node))
        elif node.name == "via":
            self.vias.append(pads.via(source, node, self._via_drill, self._tented))
        elif node.name == "zone":
            self._zone(node)
        elif node.name in ("gr_text", "gr_text_box") and source.layer(node) in WANTED and not texts.is_hidden(node):
            self.drawings += texts.drawn(source, node, self.variables)

    def _zone(self, node: Node) -> None:
        if node.child("keepout") is not None:
            return
        layers = self.source.layer_set(node) | {self.source.layer(node)}
        if not layers & WANTED and not any(name.startswith(("*", "F&B")) for name in layers):
            return
        filled = list(_fills(self.source, node))
        self._zones += 1
        self._unfilled += not filled
        self.drawings += [drawing for drawing in filled if drawing.layer in WANTED]

    def notices(self) -> Iterator[str]:
        """What people should know about the file."""
        if self._unfilled:
            yield (
                f"{self._unfilled} of {self._zones} zones hold no filled copper: if they should, fill all "
                "zones in KiCad (key B) and save"
            )
        if self.source.version < VERSION_6:
            yield f"format {self.source.version} is older than KiCad 6: read as far as it is known"
        elif self.source.version > NEWEST_KNOWN:
            yield f"format {self.source.version} is newer than KiCad 9: read as far as it is known"


def _track(source: Source, node: Node) -> Drawing:
    ends = [source.named_point(node, name) for name in ("start", "end")]
    points = np.array(ends)
    if node.name == "arc":
        points = arc_through(ends[0], source.named_point(node, "mid"), ends[1])
    return Drawing(layer=source.layer(node), points=points, width=source.pen(node))


def _fills(source: Source, node: Node) -> Iterator[Drawing]:
    """Copper of a zone. Fills of old files have to be drawn round with the pen they were shrunk by."""
    own = source.layer(node)
    thick = says(node, "filled_areas_thickness", default=True) if node.child("filled_areas_thickness") else True
    pen = source.value(node, "min_thickness", 0.0) if thick and source.version < 20220000 else 0.0
    for child in node.children("filled_polygon"):
        if child.child("pts") is not None and (child.child("pts") or child).items:
            yield Drawing(layer=source.layer(child) or own, points=source.points(child), width=pen, filled=True)


def _thickness(source: Source, root: Node) -> float:
    general = root.child("general")
    value = source.value(general, "thickness", 1.6) if general is not None else 1.6
    return value if 0.02 <= value <= 50 else 1.6


def _variables(root: Node, path: Path) -> dict[str, str]:
    found = {"FILENAME": path.name, "PROJECTNAME": path.stem, "CURRENT_DATE": ""}
    block = root.child("title_block")
    if block is not None:
        for name, key in (("title", "TITLE"), ("date", "ISSUE_DATE"), ("rev", "REVISION"), ("company", "COMPANY")):
            found[key] = text_of(block, name)
    for child in root.children("property"):
        words = child.words()
        if len(words) > 1:
            found[words[0].upper()] = words[1]
    return found


def _tented(setup: Node | None) -> tuple[bool, bool]:
    """Whether vias are covered by the mask at the front and at the back; KiCad's default is that they are."""
    if setup is None:
        return True, True
    node = setup.child("tenting")
    if node is not None:
        return pads.tenting(node)
    plot = setup.child("pcbplotparams")
    bare = plot is not None and plot.child("viasonmask") is not None and says(plot, "viasonmask")
    return not bare, not bare


def _stackup(setup: Node | None) -> tuple[dict[str, dict[str, str]], str]:
    """Colours of mask and silk by layer, lower case, and the finish of bare copper, where the board states them."""
    stack = setup.child("stackup") if setup is not None else None
    colors: dict[str, dict[str, str]] = {"Mask": {}, "SilkS": {}}
    for layer in stack.children("layer") if stack is not None else ():
        name = next(iter(layer.words()), "")
        color, kind = text_of(layer, "color").lower(), name.partition(".")[2]
        if color and kind in colors:
            colors[kind][name] = color
    return colors, text_of(stack, "copper_finish") if stack is not None else ""


def _origins(source: Source, setup: Node | None) -> dict[str, tuple[float, float]]:
    found = {"page": (0.0, 0.0)}
    aux = setup.child("aux_axis_origin") if setup is not None else None
    if aux is not None:
        found["aux"] = source.point(aux)
    return found
