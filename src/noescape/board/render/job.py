"""A run: every frame whole or not at all, one bad frame one row, and after a kill on from where it stood."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from noescape.board.model import Camera, Mesh
from noescape.board.render.blur import blurred
from noescape.board.render.colours import colours, shown_labels
from noescape.board.render.engine import Renderer
from noescape.board.render.ledger import Ledger
from noescape.board.render.masks import (
    Names,
    depth_file,
    depth_scale,
    instance_files,
    number_instances,
    semantic_files,
)
from noescape.board.render.plan import Plan, Planned, make_plan, sees
from noescape.board.render.tone import to_srgb
from noescape.board.scene.blacken import vantablack
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.draws import draw_blur, frame_rng
from noescape.board.scene.light import draw_lights
from noescape.board.scene.poses import Drawn, defects_of, draw_poses
from noescape.board.scene.posing import pose
from noescape.board.scene.target import Target
from noescape.board.scene.things import Scene
from noescape.files import dump_yaml, write_bytes, write_text
from noescape.imaging import png_bytes
from noescape.records import NoescapeError, WorkError

FORMAT = 1
GOLDEN, DEFECT = "golden", "defect"
Tell = Callable[[str, int], Callable[[int], None]]


@dataclass(kw_only=True)
class Done:
    """What a run did: frames made now, kept from before, failed (where and why), and what a person should know."""

    rendered: int = 0
    kept: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def render_job(
    scene: Scene,
    target: Target,
    config: RenderConfig,
    out: Path,
    engine: Renderer,
    *,
    golden: bool = False,
    tell: Tell | None = None,
) -> Done:
    """Write the frame tree into `out`; with `golden` two of them, `out/golden` and `out/defect`, which differ in the
    poses alone: camera, light, noise and blur of a frame are the same.

    A folder that holds part of the same run is filled up, with the bytes that an uninterrupted run gives; one that
    holds anything else is refused. Poses are drawn once per trigger: a trigger is one spoilt board, scanned. WorkError
    when no frame at all could be made.
    """
    plan = make_plan(scene, target, config)
    done = Done(notices=list(scene.notices))
    run = _Run(scene=scene, target=target, config=config, engine=engine, plan=plan, names=_names(scene, config))
    spoilt = config.pipeline_type != "good"
    if plan.bare and spoilt:
        done.notices.append(f"no part stands in {len(plan.bare)} of the chosen cells: {', '.join(plan.bare[:8])}")
    trees = [(out / GOLDEN, False), (out / DEFECT, True)] if golden and spoilt else [(out, spoilt)]
    step = tell("frames", len(plan.frames) * len(trees)) if tell else lambda _: None
    for folder, posed in trees:
        _tree(run, folder, posed, done, step)
    if not done.rendered and not done.kept:
        why = done.failed[0]["error"] if done.failed else "no frame was planned"
        raise WorkError(f"{out}: not one frame could be made; the first said: {why}")
    return done


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    scene: Scene
    target: Target
    config: RenderConfig
    engine: Renderer
    plan: Plan
    names: Names

    def identity(self, posed: bool) -> dict[str, Any]:
        """All that the bytes of the frames hang on, but the machine."""
        said = {"render": self.config.model_dump(mode="json"), "target": self.target.model_dump(mode="json")}
        return {
            "format": FORMAT,
            "engine": self.engine.name,
            "variant": self.engine.variant,
            "versions": _versions(self.engine.name),
            "seed": self.config.random_seed,
            "spp": self.config.pathtracing.total_spp,
            "bounces": self.config.pathtracing.max_bounces,
            "resolution": list(self.config.resolution),
            "posed": posed,
            "scene": {"name": self.scene.path.stem, "digest": self.scene.digest},
            "cookbook": {name: _digest(value) for name, value in said.items()},
        }


def _tree(run: _Run, folder: Path, posed: bool, done: Done, step: Callable[[int], None]) -> None:
    with Ledger(folder, run.identity(posed)) as ledger:
        write_text(folder / "render_config.yaml", dump_yaml(run.config.model_dump(mode="json", exclude_none=True)))
        write_text(folder / "pcba_target.yaml", dump_yaml(run.target.model_dump(mode="json", exclude_none=True)))
        board = _Board(run, posed)
        for frame in run.plan.frames:
            if ledger.has(frame.trigger, frame.name):
                done.kept += 1
            else:
                try:
                    meshes, drawn = board.of(frame.trigger)
                    ledger.add(frame.trigger, frame.name, _frame(run, frame, folder, meshes, drawn))
                    done.rendered += 1
                except (NoescapeError, RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
                    row = {"trigger": frame.trigger, "cell": frame.name, "error": str(error) or type(error).__name__}
                    done.failed.append({"tree": folder.name, **row})
                    ledger.fail(row)
            step(done.rendered + done.kept + len(done.failed))
        ledger.close([(frame.trigger, frame.name) for frame in run.plan.frames])
        done.notices += [f"trigger {trigger}: {text}" for trigger, text in board.skipped]


class _Board:
    """The meshes of one trigger at a time: the same objects from frame to frame."""

    def __init__(self, run: _Run, posed: bool) -> None:
        self._run, self._posed = run, posed
        self._trigger: int | None = None
        self._meshes: tuple[Mesh, ...] = ()
        self._drawn = Drawn(poses=())
        self.skipped: list[tuple[int, str]] = []

    def of(self, trigger: int) -> tuple[tuple[Mesh, ...], Drawn]:
        if trigger != self._trigger:
            config, scene, target = self._run.config, self._run.scene, self._run.target
            meshes, drawn = scene.meshes, Drawn(poses=())
            if self._posed:
                rng = frame_rng(config.random_seed, trigger, "poses")
                drawn = draw_poses(scene, defects_of(config), target.component_types or (), rng, target.pcba_root)
                meshes = pose(scene, drawn.poses)
                self.skipped += [(trigger, text) for text in drawn.skipped]
            self._meshes = vantablack(meshes) if config.vantablack_components else meshes
            self._drawn, self._trigger = drawn, trigger
        return self._meshes, self._drawn


def _frame(run: _Run, frame: Planned, folder: Path, meshes: Sequence[Mesh], drawn: Drawn) -> dict[str, Any]:
    """Render one frame, write its files, and give its row of the metadata."""
    config, camera = run.config, _above(frame.cell.camera, meshes)
    lit = draw_lights(
        config, frame_rng(config.random_seed, frame.number, "lights"), camera=camera, stage=run.scene.lights
    )
    smear = draw_blur(config.augmentation.motion_blur, frame_rng(config.random_seed, frame.number, "blur"))
    noise = int(frame_rng(config.random_seed, frame.number, "noise").integers(2**31))
    tracing = config.pathtracing
    picture = run.engine.render(
        meshes, camera, lit.lights, spp=tracing.total_spp, bounces=tracing.max_bounces, seed=noise
    )
    scale = depth_scale(meshes)
    semantic, labels = semantic_files(picture, meshes, run.names)
    instances, table, boxes = instance_files(picture, meshes, run.names)
    files = {
        f"rgb_{frame.name}.png": png_bytes(blurred(to_srgb(picture.color), smear)),
        f"semantic_segmentation_{frame.name}.png": semantic,
        f"semantic_segmentation_labels_{frame.name}.json": labels,
        f"instance_segmentation_{frame.name}.png": instances,
        f"instance_segmentation_mapping_{frame.name}.json": table,
        f"bounding_box_2d_tight_{frame.name}.json": boxes,
        f"depth_{frame.name}.png": depth_file(picture, camera.z, scale),
    }
    place = f"trigger_{frame.trigger:04d}"
    for name, data in files.items():
        write_bytes(folder / place / name, data, sync=False)
    parts = {part.path: part for part in run.scene.parts}
    reach = max(camera.field) * 0.05 + 1.0
    return {
        "trigger": frame.trigger,
        "cell": frame.name,
        "grid": [frame.cell.i, frame.cell.j],
        "camera": asdict(camera),
        "lighting": dict(lit.record),
        "lights": [{"kind": type(light).__name__.lower(), **asdict(light)} for light in lit.lights],
        "motion_blur": smear.record(),
        "noise_seed": noise,
        "depth": asdict(scale),
        "poses": [one.record() for one in drawn.poses if sees(frame.cell, parts[one.path].bounds, reach)],
        "files": {f"{place}/{name}": hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }


def _above(camera: Camera, meshes: Sequence[Mesh]) -> Camera:
    """An orthographic camera lifted above parts that were set upright; its picture is the same from any height."""
    top = max((float(mesh.points[:, 2].max()) for mesh in meshes if len(mesh.points)), default=0.0)
    if camera.projection == "orthographic" and camera.z <= top:
        return replace(camera, z=top + 1.0)
    return camera


def _names(scene: Scene, config: RenderConfig) -> Names:
    types = tuple(config.writer.semantic_types)
    modes = ("", *(mode for mode in defects_of(config).enabled_modes)) if config.pipeline_type != "good" else ("",)
    wanted = {
        shown_labels({**mesh.labels, **({"defect": mode} if mode else {})}, types)
        for mesh in scene.meshes
        for mode in modes
    }
    return Names(numbers=number_instances(scene.meshes), colours=colours(w for w in wanted if w), types=types)


def _versions(engine: str) -> dict[str, str]:
    wanted = {"mitsuba": ("mitsuba", "drjit", "mitsuba-oidn"), "toy": ("numpy",)}.get(engine, ())
    out = {}
    for name in ("noescape", *wanted):
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = ""
    return out


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(dump_yaml(value).encode()).hexdigest()
