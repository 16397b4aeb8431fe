"""Pictures to look at: a whole board from above, and a sheet of packages against kinds of defects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.board.model import Camera, Dome, Light, Mesh
from noescape.board.preview_poses import MODES
from noescape.board.preview_scene import Specimen, ring_light, specimen
from noescape.board.render.engine import Renderer
from noescape.board.render.tone import exposure_for, to_srgb
from noescape.records import UsageError

Rgb = npt.NDArray[np.uint8]

# One of every kind that the library draws; the caption is the package as people write it.
SPECIMENS = tuple(
    Specimen(land=land, value=value, refdes=refdes, caption=caption)
    for land, value, refdes, caption in (
        ("C_0402", "100n", "C1", "C 0402"), ("R_0402", "10k", "R1", "R 0402"), ("C_0603", "100n", "C1", "C 0603"),
        ("R_0603", "4k7", "R1", "R 0603"), ("L_0603", "2u2", "L1", "L 0603"), ("LED_0603", "green", "D1", "LED 0603"),
        ("R_1206", "220", "R1", "R 1206"), ("D_SOD-123", "T4", "D1", "SOD-123"), ("D_SMA", "SS14", "D1", "SMA"),
        ("D_MiniMELF", "", "D1", "MiniMELF"), ("CP_EIA-3528", "476C", "C1", "Tantalum 3528"),
        ("CP_Elec_6.3x5.4", "100", "C1", "Electrolytic 6.3"), ("L_Power_6.3x6.3", "100", "L1", "Inductor 6.3"),
        ("SOT-23", "1AM", "Q1", "SOT-23"), ("SOT-23-5", "LB3A", "U1", "SOT-23-5"), ("SOT-223", "N117", "U1", "SOT-223"),
        ("SOT-89", "BCX", "Q1", "SOT-89"), ("TO-252", "N705", "U1", "TO-252"),
        ("SOIC-8_3.9x4.9mm", "N358", "U1", "SOIC-8"),
        ("TSSOP-16_4.4x5mm", "N595", "U1", "TSSOP-16"), ("LQFP-48_7x7mm", "NE-48", "U1", "LQFP-48"),
        ("QFN-16_3x3mm", "N16A", "U1", "QFN-16"), ("BGA-64_8x8mm", "NE-B64", "U1", "BGA-64"),
        ("Crystal_SMD_3225", "16.000", "Y1", "Crystal 3225"), ("SW_Push_4x4", "", "S1", "Push button"),
        ("Conn_JST_1x04", "", "J1", "Connector"),
    )
)  # fmt: skip
_LEFT, _TOP, _GAP = 120, 30, 2
_INK, _PAPER, _NONE = (235, 235, 235), (24, 26, 30), (38, 41, 47)


def chosen(names: Sequence[str]) -> tuple[Specimen, ...]:
    """The rows whose caption contains one of the names, all without names. UsageError lists what there is."""
    rows = tuple(s for s in SPECIMENS if not names or any(n.lower() in s.caption.lower() for n in names))
    if not rows:
        raise UsageError(
            f"no package on the sheet is called {', '.join(names)}; there are: "
            + ", ".join(s.caption for s in SPECIMENS)
        )
    return rows


def package_sheet(
    engine: Renderer, *, rows: Sequence[Specimen] = SPECIMENS, modes: Sequence[str] = MODES, px: int = 128,
    spp: int = 16,
    tell: Callable[[int], None] | None = None,
) -> Rgb:  # fmt: skip
    """A contact sheet [H, W, 3]: a row per package, a column per mode, each tile `px` pixels wide, with captions.

    All tiles of a row are one scene under one far three-colour light, rendered at once. About 2 CPU-s per row at 128
    pixels and 16 samples with Mitsuba on LLVM.
    """
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("RGB", (_LEFT + len(modes) * (px + _GAP), _TOP + len(rows) * (px + _GAP)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for k, mode in enumerate(modes):
        x = _LEFT + k * (px + _GAP) + px / 2
        draw.text((x, _TOP / 2), mode.replace("reverse_polarity", "reversed"), _INK, font, anchor="mm")
    for n, row in enumerate(rows):
        y = _TOP + n * (px + _GAP)
        draw.text((8, y + px / 2), row.caption, _INK, font, anchor="lm")
        for k, tile in enumerate(_tiles(engine, row, modes, px, spp)):
            x = _LEFT + k * (px + _GAP)
            if tile is None:
                draw.rectangle((x, y, x + px - 1, y + px - 1), _NONE)
                draw.text((x + px / 2, y + px / 2), "-", _INK, font, anchor="mm")
            else:
                sheet.paste(Image.fromarray(tile), (x, y))
        if tell:
            tell(n + 1)
    return np.asarray(sheet, np.uint8)


def _tiles(engine: Renderer, row: Specimen, modes: Sequence[str], px: int, spp: int) -> list[Rgb | None]:
    """A row's pictures in the order of `modes`; None where the mode says nothing of such a part."""
    half = row.reach()
    shown: list[bool] = []
    meshes: list[Mesh] = []
    for mode in modes:
        found = list(specimen(row, mode, 2 * half * sum(shown), 0.0, half))
        shown.append(bool(found))
        meshes += found
    count = sum(shown)
    if not count:
        return [None] * len(modes)
    middle = half * (count - 1)
    camera = Camera(x=middle, y=0.0, z=80.0, field=(2 * half * count, 2 * half), resolution=(px * count, px))
    lights: tuple[Light, ...] = (
        *ring_light(middle, 0.0, 2 * half * count),
        Dome(name="white", radiance=(0.12, 0.12, 0.12)),
    )
    picture = engine.render(meshes, camera, lights, spp=spp, bounces=4, seed=0)
    strip = to_srgb(picture.color, exposure_for(lights))
    pieces = iter(np.split(strip, count, axis=1))
    return [next(pieces) if here else None for here in shown]


def board_picture(engine: Renderer, usd: Path, *, width: int = 1600, spp: int = 16) -> tuple[Rgb, tuple[str, ...]]:
    """A whole board from above under the three-colour light, `width` pixels wide, and what was left out of it.

    Errors are those of the scene's reader. About 10 CPU-s per megapixel with Mitsuba on LLVM.
    """
    from noescape.board.scene.read import open_scene
    from noescape.board.scene.target import Target

    if not 64 <= width <= 8192:
        raise UsageError(f"width is {width}; give 64 to 8192 pixels")
    scene = open_scene(usd, Target())
    low, high = np.asarray(scene.bounds, np.float64).reshape(2, 3)
    size = (high - low)[:2] * 1.04
    height = max(round(width * float(size[1] / size[0])), 16)
    if height > 8192:
        raise UsageError(f"{usd}: a picture {width} pixels wide would be {height} high; give a smaller width")
    x, y = ((low + high) / 2)[:2].tolist()
    camera = Camera(x=x, y=y, z=float(high[2]) + 100.0, field=(float(size[0]), float(size[0]) * height / width),
                    resolution=(width, height))  # fmt: skip
    lights: tuple[Light, ...] = (*ring_light(x, y, float(size.max())), Dome(name="white", radiance=(0.35, 0.35, 0.35)))
    picture = engine.render(scene.meshes, camera, lights, spp=spp, bounces=4, seed=0)
    return to_srgb(picture.color, exposure_for(lights)), scene.notices
