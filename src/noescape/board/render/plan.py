"""Which frames a run makes, in which order, and about what they cost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noescape.board.scene.config import FRAMES_ALL, RenderConfig
from noescape.board.scene.grid import Cell, frame_cells
from noescape.board.scene.target import Target
from noescape.board.scene.things import Bounds, Scene
from noescape.records import UsageError


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A frame to make. `number` counts all cells of all triggers, so that it does not hang on how many are taken;
    `name` is that of its files."""

    number: int
    trigger: int
    cell: Cell
    name: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`cells`: how many the scan has; `bare`: names of chosen cells in which no part stands."""

    frames: tuple[Planned, ...]
    cells: int
    bare: tuple[str, ...]


# CPU-s on two cores with AVX-512, a real board of 160,000 triangles, by benchmarks/render.py; on a GPU a guess.
SAMPLE = {
    "llvm_ad_rgb": 0.6,
    "scalar_rgb": 2.1,
    "cuda_ad_rgb": 0.02,
    "cycles": 6.0,
    "numpy": 0.0,
}  # per million samples
PIXEL = {"numpy": 5.7}  # per million pixels
PIXEL_OTHERS = 3.7
START_S, TRIANGLE_S = 3.0, 1e-6
SAMPLES_AT_ONCE = 1 << 22  # of one pass of Mitsuba


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Rough: right within a factor of two on machines like the one it was measured on."""

    frames: int
    cpu_s: float
    wall_s: float
    memory_mb: int
    disk_mb: int


def make_plan(scene: Scene, target: Target, config: RenderConfig) -> Plan:
    """The frames of a run.

    Without a cap all cells but the first `seed` ones, each once per trigger. With a cap each trigger has its share of
    the frames, in cells that lie far from each other; the first is drawn from `random_seed`, and cells in which no part
    stands come last. UsageError where `seed` leaves no cell.
    """
    cells = frame_cells(scene, target, config)
    left = cells[config.seed :]
    if not left:
        raise UsageError(f"seed {config.seed} leaves out all {len(cells)} cells of the scan; give less")
    boxes = [part.bounds for part in scene.parts]
    with_parts = [_shows(cell, boxes) for cell in left]
    total = config.num_triggers * len(left)
    count = total if config.max_image_count == FRAMES_ALL else min(config.max_image_count, total)
    frames: list[Planned] = []
    bare: list[str] = []
    for trigger in range(config.num_triggers):
        mine = count // config.num_triggers + (trigger < count % config.num_triggers)
        for at in spread(left, mine, with_parts, np.random.default_rng([config.random_seed, trigger, 7])):
            number = trigger * len(cells) + config.seed + at
            name = left[at].name if config.rename_to_grid_index else f"{number:0{config.writer.frame_padding}d}"
            frames.append(Planned(number=number, trigger=trigger, cell=left[at], name=name))
            if not with_parts[at]:
                bare.append(left[at].name)
    return Plan(frames=tuple(frames), cells=len(cells), bare=tuple(dict.fromkeys(bare)))


def spread(cells: Sequence[Cell], count: int, wanted: Sequence[bool], rng: np.random.Generator) -> list[int]:
    """Places of `count` cells, ascending: each as far as can be from those before; wanted ones before the others."""
    if count >= len(cells):
        return list(range(len(cells)))
    at = np.array([(cell.camera.x, cell.camera.y) for cell in cells])
    order: list[int] = []
    far = np.full(len(cells), np.inf)
    for group in (np.flatnonzero(wanted), np.flatnonzero(~np.asarray(wanted, bool))):
        free = [int(v) for v in rng.permutation(group)]
        while free and len(order) < count:
            best = max(free, key=lambda place: far[place])  # of equals the first of the drawn order
            free.remove(best)
            order.append(best)
            far = np.minimum(far, np.hypot(*(at - at[best]).T))
    return sorted(order)


def estimate(plan: Plan, config: RenderConfig, variant: str, triangles: int, trees: int = 1) -> Estimate:
    """What a run will take, from stated constants."""
    millions = config.resolution[0] * config.resolution[1] / 1e6
    spp = config.pathtracing.total_spp
    base = variant.split("+")[0]
    frame = millions * (PIXEL.get(base, PIXEL_OTHERS) + spp * SAMPLE.get(base, 2.0)) + triangles * TRIANGLE_S
    frames = len(plan.frames) * trees
    cpu = START_S + frames * frame
    cores = 1 if base == "numpy" else min(os.cpu_count() or 1, 8)
    samples = 0 if base == "numpy" else max(min(millions * 1e6 * spp, SAMPLES_AT_ONCE), millions * 1e6)
    memory = 370 + triangles * 3e-4 + millions * 250 + samples * 6e-5
    return Estimate(
        frames=frames,
        cpu_s=round(cpu, 1),
        wall_s=round(cpu / cores * (1.3 if cores > 1 else 1.0), 1),
        memory_mb=round(memory),
        disk_mb=max(1, round(frames * millions * 3.5)),
    )


def sees(cell: Cell, box: Bounds, margin: float = 0.0) -> bool:
    """Whether any of a box of the world's mm may lie in a cell's picture."""
    camera = cell.camera
    wide, high = camera.field if camera.yaw in (0, 180) else camera.field[::-1]
    low, top = box[0], box[1]
    return bool(
        low[0] < camera.x + wide / 2 + margin
        and top[0] > camera.x - wide / 2 - margin
        and low[1] < camera.y + high / 2 + margin
        and top[1] > camera.y - high / 2 - margin
    )


def _shows(cell: Cell, boxes: Sequence[Bounds]) -> bool:
    return any(sees(cell, box) for box in boxes)
