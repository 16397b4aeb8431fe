"""A tiny render with a known answer, run as a process of its own: `… -m …mitsuba.trial VARIANT [LIBRARY [PRELOAD …]]`.

A wrong LLVM ends the process that tries it; so nobody tries one in a process that has other work.
"""

from __future__ import annotations

import sys
from typing import Any

from noescape.board.render.mitsuba.llvm import Llvm
from noescape.board.render.mitsuba.start import start

WORKS = "it works"
RESOLUTION, SAMPLES = 16, 4


def main(arguments: list[str]) -> int:
    """Render and print `WORKS`; 1 with what came otherwise."""
    variant, *libraries = arguments
    llvm = Llvm(library=libraries[0], preload=tuple(libraries[1:]), origin="trial") if libraries else None
    level = _white_sheet(start(variant, llvm))
    if abs(level - 1.0) > 0.02:  # a white sheet under an even sky of 1 sends back 1
        print(f"a white sheet under light of 1 came out as {level:.4f}", file=sys.stderr)
        return 1
    print(WORKS)
    return 0


def _white_sheet(mi: Any) -> float:
    """The mean of a picture of diffuse white, with a piece of metal outside of it so that its code is compiled too."""
    import numpy as np

    look = mi.ScalarTransform4f()
    metal = {"type": "principled", "base_color": {"type": "rgb", "value": 0.8}, "metallic": 1.0, "roughness": 0.2}
    scene = mi.load_dict(
        {
            "type": "scene",
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 1.0}},
            "sheet": {"type": "rectangle", "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 1.0}}},
            "metal": {"type": "sphere", "center": [40, 0, -40], "bsdf": {"type": "twosided", "bsdf": metal}},
            "eye": {
                "type": "orthographic",
                "to_world": look.look_at(origin=[0, 0, 2], target=[0, 0, 0], up=[0, 1, 0]) @ look.scale([0.5, 0.5, 1]),
                "film": {
                    "type": "hdrfilm",
                    "width": RESOLUTION,
                    "height": RESOLUTION,
                    "pixel_format": "rgb",
                    "rfilter": {"type": "box"},
                },
            },
            "integrator": {"type": "path", "max_depth": 3},
        }
    )
    return float(np.array(mi.render(scene, spp=SAMPLES, seed=0)).mean())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
