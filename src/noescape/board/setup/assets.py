"""The scenes of boards with their cookbooks, and a picture to line up with each: what `datasets/pcb/assets` holds.

<board>/spark_lighting.usd, spark_lighting_textures/   the scene, imported from the board's own CAD
<board>/*.yaml                                         its cookbook: change it here
input_real_image/<board>.jpg, <board>.truth.json       a stand-in for the first photo, said to be one
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from noescape.board.align.standin import make_standin
from noescape.board.cad.kicad import read_kicad
from noescape.board.cad.models import Models
from noescape.board.cad.stage import write_stage
from noescape.board.render.engine import Renderer
from noescape.board.render.job import render_job
from noescape.board.scene.cookbook import load_cookbook, load_render_config
from noescape.board.scene.read import open_scene
from noescape.board.setup.examples import Site
from noescape.files import fresh, safe_name, write_bytes, write_json
from noescape.imaging import jpeg_bytes, read_picture
from noescape.records import UsageError

SCENE = "spark_lighting.usd"
PHOTOS = "input_real_image"
PHOTO_NAMES = {"1152819000": "115_2819_000"}  # of the photo; for a board that is not here, the board's own name
TARGET, GOOD, DAY1 = "pcba_target.yaml", "day0_image.yaml", "usd2roi_day1.yaml"
SHARED = ("augmentation_config.yaml",)


def shipped() -> tuple[str, ...]:
    """Names of the boards that come with the package."""
    return tuple(sorted(p.name for p in _home().iterdir() if (p / "board.kicad_pcb").is_file()))


def write_assets(boards: Sequence[str], out: Path, engine: Renderer, *, seed: int = 42, photos: bool = True) -> None:
    """Fill the new folder `out` with `boards`. Same seed and engine, same bytes. UsageError for an unknown board."""
    unknown = [name for name in boards if name not in shipped()]
    if unknown or not boards:
        raise UsageError(
            f"no board is called {', '.join(map(repr, unknown)) or '(none given)'}; there are {', '.join(shipped())}"
        )
    with fresh.fresh_folder(out) as scratch:
        for name in boards:
            home = out / safe_name(name)
            cad = _home() / name / "board.kicad_pcb"
            write_stage(read_kicad(cad), home / SCENE, models=Models(cad, [], None))
            for source in [*sorted((_home() / name).glob("*.yaml")), *(_home() / file for file in SHARED)]:
                shutil.copyfile(source, home / source.name)
            if photos:
                _photo(home, out / PHOTOS / PHOTO_NAMES.get(name, name), engine, seed, scratch / name)


def open_site(home: Path, scene: str = SCENE) -> Site:
    """A board of the assets, ready to be rendered as its cookbook says."""
    target, config = load_cookbook(home / TARGET, home / GOOD)
    return Site(name=home.name, scene=open_scene(home / scene, target, config.semantics), target=target, config=config)


def _photo(home: Path, stem: Path, engine: Renderer, seed: int, scratch: Path) -> None:
    target, config = load_cookbook(home / TARGET, home / DAY1, seed=seed)
    light = load_render_config(home / GOOD, home / TARGET).lighting  # day 1 renders in white light, so it is another
    config = config.model_copy(update={"lighting": light, "use_scene_lights": False})
    render_job(open_scene(home / SCENE, target, config.semantics), target, config, scratch, engine)
    (picture,) = sorted(scratch.glob("trigger_*/rgb_*.png"))[:1]
    photo, truth = make_standin(read_picture(picture).rgb, seed=seed)
    write_bytes(stem.with_name(f"{stem.name}.jpg"), jpeg_bytes(photo))
    write_json(stem.with_name(f"{stem.name}.truth.json"), truth.to_json())


def _home() -> Path:
    return Path(str(files("noescape.assets"))) / "cookbooks" / "pcb"
