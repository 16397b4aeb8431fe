"""Labelled examples of board defects in the AnomalyGen layout, rendered: `origin: rendered` is said with each of them.

A defect is made in the scene (`spoil`), the same small view is rendered without and with it, and the mask is where
what was changed is seen in either: nothing is guessed, and the light does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.crop.job import LABELS_FILE
from noescape.board.model import Camera, Mesh, Picture
from noescape.board.render.colours import BACKGROUND, Labels, colours, key_of, shown_labels
from noescape.board.render.engine import Renderer
from noescape.board.render.masks import Names, semantic_files
from noescape.board.render.plan import make_plan
from noescape.board.render.tone import to_srgb
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.draws import frame_rng
from noescape.board.scene.light import draw_lights
from noescape.board.scene.target import Target
from noescape.board.scene.things import Scene
from noescape.board.setup.spoil import TEXTURES, Chance, chances, spoil
from noescape.files import dump_row, fresh, safe_name, write_bytes, write_json, write_text
from noescape.imaging import png_bytes
from noescape.records import DataError

SPEC_FILE = "defect_spec.jsonl"
ORIGIN = "origin.jsonl"
MARGIN = 0.6  # of the larger side of what is spoilt, on each side of it
SURROUNDINGS = 3.0  # mm around a view that are rendered, too
STRAY = 0.15  # how far the middle of a view may be off, as a share of its side
LEAST_PIXELS = 20
ATTEMPTS = 10
TYPES = tuple(TEXTURES)
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A board to take examples from."""

    name: str
    scene: Scene
    target: Target
    config: RenderConfig


@dataclass(kw_only=True)
class Made:
    """Examples per `TEXTURE+TYPE`, clean images per texture, and views that showed too little of a defect."""

    counts: dict[str, int] = field(default_factory=dict)
    clean: dict[str, int] = field(default_factory=dict)
    hidden: int = 0


def make_examples(
    sites: Sequence[Site],
    out: Path,
    engine: Renderer,
    *,
    per_type: int = 6,
    clean: int = 20,
    size: int = 256,
    seed: int = 42,
    step: Callable[[int], None] = lambda done: None,
) -> Made:
    """Fill the new folder `out` with `per_type` examples of bridge, excess_solder and missing, and clean views.

    Boards take turns, and parts of a board are taken at random without repeating one as long as there are others.
    `size` is the picture's side in pixels. Same scenes, engine and seed, same bytes. DataError where no board has a
    place for a type. Cost: two renders of `size`² per example, one per clean image.
    """
    places = {kind: [chances(site.scene, kind) for site in sites] for kind in TYPES}
    for kind, found in places.items():
        if not any(found):
            names = ", ".join(site.name for site in sites)
            raise DataError(f"no place for {kind} on {names}: expected a soldered {_wanted(kind)} on one of the boards")
    with fresh.fresh_folder(out):
        maker = _Maker(sites=sites, out=out, engine=engine, size=size, seed=seed)
        for kind in TYPES:
            for number in range(per_type):
                maker.example(places[kind], kind, number)
                step(maker.pictures)
        for texture in sorted(set(TEXTURES.values())):
            kinds = [kind for kind in TYPES if TEXTURES[kind] == texture]
            for number in range(clean):
                maker.clean(places[kinds[number % len(kinds)]], texture, number)
                step(maker.pictures)
        maker.close()
    return maker.made


Places = Sequence[Sequence[Chance]]  # of each site


@dataclass(kw_only=True, eq=False)
class _Maker:
    sites: Sequence[Site]
    out: Path
    engine: Renderer
    size: int
    seed: int
    pictures: int = 0
    made: Made = field(default_factory=Made)
    rows: list[dict[str, Any]] = field(default_factory=list)
    shown: set[Labels] = field(default_factory=set)

    def example(self, places: Places, kind: str, number: int) -> None:
        """One example that shows its defect: a view in which too little of it is seen is drawn again."""
        for attempt in range(ATTEMPTS):
            site, chance = self._choose(places, number + attempt * 1009, kind)
            rng = frame_rng(self.seed, number * ATTEMPTS + attempt, kind)
            spoilt, camera = spoil(site.scene, chance, rng), _view(site, chance, self.size, rng)
            before, after = near(site.scene.meshes, camera), near(spoilt.meshes, camera)
            good = self._shoot(site, before, camera, number, kind)
            bad = self._shoot(site, after, camera, number, kind)
            mask = shown(good, before, bad, after, spoilt.touched)
            if mask.sum() >= LEAST_PIXELS:
                break
            self.made.hidden += 1
        else:
            least = f"less than {LEAST_PIXELS} pixels of it"
            raise DataError(f"{kind}: {ATTEMPTS} views in a row showed {least}; give a larger size")
        home, name = self.out / TEXTURES[kind], safe_name(f"{site.name}_{spoilt.said['refdes']}_{number:03d}")
        _picture(home / "anomaly_image" / kind / f"{name}.png", to_srgb(bad.color))
        _picture(home / "mask" / kind / f"{name}_mask.png", mask.astype(np.uint8) * 255)
        key, image = f"{TEXTURES[kind]}+{kind}", f"{TEXTURES[kind]}/anomaly_image/{kind}/{name}.png"
        self.made.counts[key] = self.made.counts.get(key, 0) + 1
        facts = {"board": site.name, **spoilt.said, "field_mm": round(camera.field[0], 4)}
        self.rows.append({"image": image, "origin": "rendered", **facts})
        self.pictures += 1

    def clean(self, places: Places, texture: str, number: int) -> None:
        """A clean view with its CAD mask."""
        what = f"clean {texture}"
        site, chance = self._choose(places, number, what)
        camera = _view(site, chance, self.size, frame_rng(self.seed, number, what))
        meshes = near(site.scene.meshes, camera)
        picture = self._shoot(site, meshes, camera, number, what)
        wanted = [shown_labels(mesh.labels, ("class",)) for mesh in meshes]
        names = Names(numbers={}, colours=colours(labels for labels in wanted if labels), types=("class",))
        name = safe_name(f"{site.name}_{site.scene.parts[chance.part].refdes}_{number:03d}")
        _picture(self.out / texture / "clean_image" / f"{name}.png", to_srgb(picture.color))
        mask, _ = semantic_files(picture, meshes, names)
        write_bytes(self.out / texture / "cad_mask" / f"{name}.png", mask, sync=False)
        self.shown |= {wanted[at - 1] for at in np.unique(picture.mesh) if at and wanted[at - 1]}
        self.made.clean[texture] = number + 1
        self.pictures += 1

    def close(self) -> None:
        """What placement and people read beside the pictures."""
        spec = [{"defect_type": key, "spatial_dependency": "cad"} for key in sorted(self.made.counts)]
        write_text(self.out / SPEC_FILE, "".join(dump_row(row) + "\n" for row in spec))
        write_text(self.out / ORIGIN, "".join(dump_row(row) + "\n" for row in self.rows))
        palette = colours(self.shown)
        said: dict[str, dict[str, str]] = {BACKGROUND: {"class": "BACKGROUND"}}
        said |= {key_of(palette[labels]): dict(labels) for labels in sorted(self.shown)}
        write_json(self.out / LABELS_FILE, said)
        note = "made in a scene and rendered; photographed examples of your own teach more: put them in their place"
        engine = {"engine": self.engine.name, "variant": self.engine.variant}
        write_json(self.out / "source.json", {"origin": "rendered", **engine, "note": note})

    def _choose(self, places: Places, number: int, what: str) -> tuple[Site, Chance]:
        """Boards in turn; within one, a shuffled order."""
        usable = [i for i, found in enumerate(places) if found]
        at = usable[number % len(usable)]
        order = frame_rng(self.seed, at, f"order {what}").permutation(len(places[at]))
        return self.sites[at], places[at][int(order[number // len(usable) % len(order)])]

    def _shoot(self, site: Site, meshes: Sequence[Mesh], camera: Camera, number: int, what: str) -> Picture:
        lights = frame_rng(self.seed, number, f"lights {what}")
        lit = draw_lights(site.config, lights, camera=camera, stage=site.scene.lights)
        tracing, noise = site.config.pathtracing, int(frame_rng(self.seed, number, f"noise {what}").integers(2**31))
        spp, bounces = tracing.total_spp, tracing.max_bounces
        return self.engine.render(meshes, camera, lit.lights, spp=spp, bounces=bounces, seed=noise)


def near(meshes: Sequence[Mesh], camera: Camera) -> tuple[Mesh, ...]:
    """What is in view or so close to it that its shadow or its reflection may be; a board has much more than that."""
    reach = max(camera.field) / 2 + SURROUNDINGS
    middle = np.array([camera.x, camera.y])
    return tuple(
        mesh
        for mesh in meshes
        if (mesh.points[:, :2].min(axis=0) < middle + reach).all()
        and (mesh.points[:, :2].max(axis=0) > middle - reach).all()
    )


def shown(good: Picture, before: Sequence[Mesh], bad: Picture, after: Sequence[Mesh], touched: frozenset[str]) -> Bool:
    """Where the defect is seen: pixels that show, in either picture, a mesh that was changed, added or taken away.

    That is the whole joint that has too much solder, and a missing part with its joints, as placement's rules have it.
    What merely looks different (a shadow, a reflection) does not count.
    """
    return _touched(good, before, touched) | _touched(bad, after, touched)


def _touched(picture: Picture, meshes: Sequence[Mesh], touched: frozenset[str]) -> Bool:
    table = np.array([False, *(mesh.path in touched for mesh in meshes)])
    out: Bool = table[picture.mesh]
    return out


def _view(site: Site, chance: Chance, size: int, rng: np.random.Generator) -> Camera:
    """Straight down on what is spoilt with some surroundings, never finer than the cookbook's own scan."""
    scan = make_plan(site.scene, site.target, site.config).frames[0].cell.camera
    (x0, y0), (x1, y1) = chance.bounds
    side = max(max(x1 - x0, y1 - y0) * (1 + 2 * MARGIN), size * scan.field[0] / scan.resolution[0])
    low, high = site.scene.bounds
    x, y = (
        _inside((a + b) / 2 + side * float(rng.uniform(-STRAY, STRAY)), side, float(low[axis]), float(high[axis]))
        for axis, (a, b) in enumerate(((x0, x1), (y0, y1)))
    )
    top = float(high[2])
    z = max(scan.z, top + 1.0)
    return Camera(x=x, y=y, z=z, field=(side, side), resolution=(size, size), yaw=scan.yaw, focus_z=scan.focus_z)


def _inside(middle: float, side: float, low: float, high: float) -> float:
    """The middle of a view that does not look past the board's edge, where the board is large enough for that."""
    if side >= high - low:
        return (low + high) / 2
    return min(max(middle, low + side / 2), high - side / 2)


def _picture(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    write_bytes(path, png_bytes(pixels), sync=False)


def _wanted(kind: str) -> str:
    return "IC with pads side by side" if kind == "bridge" else "capacitor, resistor or inductor"
